"""Files and folders under their final names only when complete, at whatever point a process is killed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from satvsr_plugin import atomic
from satvsr_plugin.atomic import (
    built_beside,
    empty,
    is_resumable,
    locked,
    mend_interrupted,
    put_in_place,
    resumable,
    written_beside,
)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write_folder(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / 'frame').write_text(text)
    return folder


def run(program: str, *arguments: object) -> int:
    """Exit status of a Python program, negative where a signal ended it."""
    program = f"""
import os, signal, sys
os.environ['SATVSR_REGISTER'] = '0'
from pathlib import Path
from satvsr_plugin import atomic
folder = Path(sys.argv[1])
{program}"""
    return subprocess.run([sys.executable, '-c', program, *map(str, arguments)], timeout=60).returncode


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'report.json'
    with written_beside(path) as partial:
        partial.write_text('first')
        assert not path.exists() and partial.parent == path.parent and partial.name.startswith('.')
    assert path.read_text() == 'first' and names(path.parent) == ['report.json']
    with written_beside(path) as partial:
        partial.write_text('second')
        assert path.read_text() == 'first'
    assert path.read_text() == 'second' and names(path.parent) == ['report.json']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_a_file_stays_as_it_was_on_errors(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / 'report.json'
    path.write_text('first')
    with pytest.raises(error), written_beside(path) as partial:
        partial.write_text('sec')
        raise error
    assert path.read_text() == 'first' and names(tmp_path) == ['report.json']
    with pytest.raises(FileNotFoundError), written_beside(path):
        pass  # nothing was written
    assert path.read_text() == 'first'


def test_a_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    write_folder(tmp_path / 'x.json', 'old')
    with pytest.raises(OSError), written_beside(tmp_path / 'x.json') as partial:
        partial.write_text('new')
    assert names(tmp_path) == ['x.json'] and (tmp_path / 'x.json' / 'frame').read_text() == 'old'


@pytest.mark.parametrize('before', ['nothing', 'folder', 'file', 'link'])
def test_a_folder_takes_the_place_of_anything(tmp_path: Path, before: str) -> None:
    output, target = tmp_path / 'place' / 'GT.lmdb', write_folder(tmp_path / 'target', 'kept')
    output.parent.mkdir()
    if before == 'folder':
        write_folder(output, 'old')
    elif before == 'file':
        output.write_text('old')
    elif before == 'link':
        output.symlink_to(target)
    with built_beside(output) as partial:
        (partial / 'frame').write_text('new')
        assert output.exists() is (before != 'nothing')
    assert not output.is_symlink() and (output / 'frame').read_text() == 'new'
    assert names(output.parent) == ['GT.lmdb'] and (target / 'frame').read_text() == 'kept'


def test_a_folder_that_is_not_finished_leaves_what_was_there(tmp_path: Path) -> None:
    output = write_folder(tmp_path / 'GT.lmdb', 'old')
    with pytest.raises(ZeroDivisionError), built_beside(output) as partial:
        (partial / 'frame').write_text('new')
        raise ZeroDivisionError
    assert names(tmp_path) == ['GT.lmdb'] and (output / 'frame').read_text() == 'old'


def test_a_killed_runs_half_built_folder_is_not_taken_up(tmp_path: Path) -> None:
    write_folder(tmp_path / '.GT.lmdb.partial' / 'new', 'half')
    with built_beside(tmp_path / 'GT.lmdb') as partial:
        assert names(partial) == []
    assert names(tmp_path) == ['GT.lmdb']


@pytest.mark.parametrize('failing', [1, 2])
def test_a_rename_that_fails_leaves_both_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                      failing: int) -> None:
    output, new = write_folder(tmp_path / 'GT', 'old'), write_folder(tmp_path / '.new', 'new')
    rename, calls = os.replace, []

    def refuse(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == failing:
            raise PermissionError(13, 'refused')
        rename(source, target)

    monkeypatch.setattr(os, 'replace', refuse)
    with pytest.raises(PermissionError):
        put_in_place(new, output)
    assert names(tmp_path) == ['.new', 'GT']
    assert ((output / 'frame').read_text(), (new / 'frame').read_text()) == ('old', 'new')


KILLED_AT_RENAME = """
rename, calls = os.replace, []
def replace(*names):
    calls.append(names)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*names)
os.replace = replace
atomic.put_in_place(folder / '.new', folder / 'GT')
"""


@pytest.mark.parametrize('second_try', [False, True])
@pytest.mark.parametrize('call', [1, 2])
def test_killed_at_a_rename_loses_nothing(tmp_path: Path, call: int, second_try: bool) -> None:
    output, new = write_folder(tmp_path / 'GT', 'old'), write_folder(tmp_path / '.new', 'new')
    assert run(KILLED_AT_RENAME, tmp_path, call) == -signal.SIGKILL
    assert output.exists() is (call == 1) and (new / 'frame').read_text() == 'new'
    if second_try:
        put_in_place(new, output)
    else:
        mend_interrupted(output)
    assert names(tmp_path) == (['GT'] if second_try else ['.new', 'GT'])
    assert (output / 'frame').read_text() == ('new' if second_try else 'old')


@pytest.mark.parametrize('kind', ['folder', 'link'])
def test_killed_before_the_former_folder_was_removed(tmp_path: Path, kind: str) -> None:
    output, old, target = write_folder(tmp_path / 'GT', 'new'), tmp_path / '.GT.old', tmp_path / 'target'
    write_folder(old if kind == 'folder' else target, 'old')
    if kind == 'link':
        old.symlink_to(target)
    mend_interrupted(output)
    assert (output / 'frame').read_text() == 'new' and not os.path.lexists(old)
    assert target.exists() is (kind == 'link')
    mend_interrupted(output)  # nothing to do
    assert (output / 'frame').read_text() == 'new'


def test_work_is_removed_when_it_is_done(tmp_path: Path) -> None:
    folder = tmp_path / 'deep' / '.work'
    with resumable(folder, {'scale': 4}) as taken_up:
        assert not taken_up
        write_folder(folder / 'LR4x', 'half')
    assert names(folder.parent) == []


def test_work_is_taken_up_for_the_same_plan_only(tmp_path: Path) -> None:
    folder, plan = tmp_path / '.work', {'scale': 4, 'frames': [['000.png', 17], ['001.png', 18]]}
    for expected in (False, True):
        with pytest.raises(KeyboardInterrupt), resumable(folder, plan) as taken_up:
            assert taken_up is expected
            (folder / 'done').write_text('frame')
            raise KeyboardInterrupt
        assert (folder / 'done').read_text() == 'frame'
    assert is_resumable(folder, dict(reversed(plan.items())))  # the order of keys means nothing
    other = {**plan, 'scale': 2}
    assert not is_resumable(folder, other)
    (folder / 'link').symlink_to(write_folder(tmp_path / 'target', 'kept'))
    with pytest.raises(ZeroDivisionError), resumable(folder, other) as taken_up:
        assert not taken_up and names(folder) == ['.lock', '.plan']
        raise ZeroDivisionError
    assert is_resumable(folder, other) and not is_resumable(folder, plan)
    assert (tmp_path / 'target' / 'frame').read_text() == 'kept'


def test_work_of_before_the_last_start_of_the_system_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for boot, expected in (('first', False), ('first', True), ('second', False)):
        monkeypatch.setattr(atomic, 'BOOT_ID', boot)
        with pytest.raises(ZeroDivisionError), resumable(tmp_path / '.work', 'plan') as taken_up:
            assert taken_up is expected
            raise ZeroDivisionError


def test_a_plan_that_is_half_written_does_not_count(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / '.work', 'half')
    for content in (b'', b'\xff\x00'):
        (folder / '.plan').write_bytes(content)
        assert not is_resumable(folder, 'plan')


KILLED_AT_WORK = """
with atomic.resumable(folder, 'plan'):
    (folder / 'done').write_text('frame')
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_work_of_a_killed_process_is_taken_up(tmp_path: Path) -> None:
    folder = tmp_path / '.work'
    assert run(KILLED_AT_WORK, folder) == -signal.SIGKILL
    with resumable(folder, 'plan') as taken_up:  # its lock went with it
        assert taken_up and (folder / 'done').read_text() == 'frame'
    assert not folder.exists()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / '.work'
    attempt = """
from satvsr_plugin.errors import DataError
try:
    with atomic.resumable(folder, 'other plan'):
        sys.exit(1)
except DataError as error:
    sys.exit(0 if str(error).startswith(f'{folder}: another process is at work there') else 2)
"""
    with resumable(folder, 'plan'):
        (folder / 'done').write_text('frame')
        assert run(attempt, folder) == 0
        assert names(folder) == ['.lock', '.plan', 'done']  # not emptied by the one that was refused
    assert run(attempt, folder) == 1  # free again


@pytest.mark.parametrize('step', ['open', 'lockf'])
def test_a_folder_that_is_removed_while_it_is_being_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The process before ends and removes the folder between two steps of this one."""
    folder, calls = tmp_path / '.work', []
    module = os if step == 'open' else atomic.fcntl
    original = getattr(module, step)

    def remove_first(*arguments: object, **keywords: object) -> object:
        calls.append(arguments)  # before the removal, which calls os.open too
        if len(calls) == 1:
            shutil.rmtree(folder)
        return original(*arguments, **keywords)

    monkeypatch.setattr(module, step, remove_first)
    with locked(folder):
        monkeypatch.undo()
        assert len(calls) >= 2 and names(folder) == ['.lock']
        assert run('with atomic.locked(folder): pass', folder) == 1  # a DataError: it is held
    assert names(folder) == []


def test_the_lock_of_a_process_that_begins_while_the_folder_is_removed_stays(tmp_path: Path) -> None:
    folder = tmp_path / '.work'
    with locked(folder):
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / '.lock').write_text('')  # of the other process
    assert names(folder) == ['.lock']


def test_a_file_system_without_locks_is_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(atomic.fcntl, 'lockf', refuse)
    with pytest.raises(OSError, match='No locks available'), locked(tmp_path / '.work'):
        pass


def test_empty_does_not_follow_links(tmp_path: Path) -> None:
    folder, target = write_folder(tmp_path / 'work', 'x'), write_folder(tmp_path / 'target', 'kept')
    write_folder(folder / 'inner', 'x')
    (folder / 'link').symlink_to(target)
    empty(folder)
    assert names(folder) == [] and names(target) == ['frame']
