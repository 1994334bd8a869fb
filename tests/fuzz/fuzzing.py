"""What all fuzz tests share: how many cases they run, what they accept, and damage to bytes.

By default each test runs a small number of cases that are the same in every run. ``SATVSR_FUZZ=N`` makes it N times as
many, new ones in every run:

    SATVSR_FUZZ=20 pytest tests/fuzz

A case that fails is made as small as possible and printed, with what is needed to run it again. It belongs beside its
test as an ``@example`` once its cause is mended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from satvsr_plugin.errors import SatVSRError

Result = TypeVar('Result')

FACTOR = int(os.environ.get('SATVSR_FUZZ', '1'))
SECONDS = 30  # of computing for a case: one that takes more is taken to hang


def fuzz(cases: int) -> settings:
    """Decorator: run so many cases, or ``$SATVSR_FUZZ`` times as many."""
    known = FACTOR == 1
    return settings(max_examples=cases * FACTOR, derandomize=known, database=None, deadline=None, print_blob=not known,
                    phases=[Phase.explicit, Phase.generate, Phase.shrink],  # not explain, which traces every line
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                                           HealthCheck.data_too_large, HealthCheck.large_base_example])


def outcome(call: Callable[[], Result], names: str | Path = '') -> Result | SatVSRError:
    """What ``call`` returns or the error for people that it raises; anything else fails the test.

    Args:
        call: what is tested.
        names: what the message of an error has to name, e.g. the file that is damaged.
    """
    with _limited():
        try:
            return call()
        except SatVSRError as error:
            assert str(error).strip() and str(names) in str(error)
            str(error).encode('utf-8', 'backslashreplace')
            return error


def exit_code(main: Callable[[], Any]) -> int:
    """The exit code of a script or command, which may end in no other way."""
    with _limited():
        try:
            main()
        except SystemExit as ended:
            assert ended.code in (0, 1, 2), ended.code
            return int(ended.code)
    return 0


@contextmanager
def _limited() -> Iterator[None]:
    """End what computes for too long. Waiting is not counted: the machine may be busy, and pytest sees to it."""
    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f'still computing after {SECONDS} seconds')

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@st.composite
def damaged(draw: st.DrawFn, content: bytes, keep: int = 0) -> bytes:
    """The bytes of a file after one to three faults of disks, networks and people; maybe none that changes anything.

    Args:
        content: the bytes of the sound file.
        keep: so many bytes at the beginning stay as they are.
    """
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(keep, max(len(data) - 1, keep)))
        length = draw(st.sampled_from([1, 4, 64, 4096]))
        match draw(st.sampled_from(['cut', 'flip', 'zeros', 'random', 'remove', 'insert', 'repeat', 'append'])):
            case 'cut':
                del data[place:]
            case 'flip' if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 'zeros':  # a hole that a download left
                data[place:place + length] = bytes(len(data[place:place + length]))
            case 'random':
                new = draw(st.binary(min_size=1, max_size=16))
                data[place:place + len(new)] = new
            case 'remove':
                del data[place:place + length]
            case 'insert':
                data[place:place] = draw(st.binary(min_size=1, max_size=16))
            case 'repeat':
                data[place:place] = data[place:place + length]
            case 'append':
                data += draw(st.binary(min_size=1, max_size=64))
    return bytes(data)


# What people and programs write where a name or number belongs
STRANGE = ['', ' ', '~', '~nobody/clips', '/', '/dev/null', '/dev/zero', '..', '../../etc/passwd', 'a\0b', 'ü',
           '\ud800', '\u202e', 'x' * 5000, '1e400', '-1', 'nan', '.', '*', '[', '{}', 'null', 'C:\\clips', 'a/b', '\n',
           '%s', '\x7f']
