"""Ctrl-C and the signal by which schedulers end a job: training ends after the step at hand, with a checkpoint.

The second signal ends the process at once.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, ClassVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Noted:
    """What has arrived in this process, and the handlers that were there before."""

    arrived: signal.Signals | None = None
    handlers: ClassVar[dict[signal.Signals, Any]] = {}


def note_stop_signals() -> None:
    """From now on the first signal is noted only; whoever trains asks for it with :func:`noted_signal`."""
    _Noted.arrived = None
    if not _Noted.handlers:
        # None: of a handler that was not set in Python
        _Noted.handlers = {number: signal.signal(number, _note) or signal.SIG_DFL for number in SIGNALS}


def restore_stop_signals() -> None:
    """Signals do again what they did before :func:`note_stop_signals`."""
    for number, handler in _Noted.handlers.items():
        signal.signal(number, handler)
    _Noted.handlers = {}


def noted_signal() -> signal.Signals | None:
    """The signal that has arrived, if any."""
    return _Noted.arrived


def ignore_stop_signals(_worker: int = 0) -> None:
    """For worker processes: Ctrl-C and schedulers reach them too, but their data are needed until training ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _note(number: int, _frame: FrameType | None) -> None:
    _Noted.arrived = signal.Signals(number)
    restore_stop_signals()
