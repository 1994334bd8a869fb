"""Files and folders that appear under their name only when they are complete, and work that survives being killed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from satvsr_plugin.errors import DataError

PLAN = '.plan'  # in a folder of unfinished work: a digest of what is being made
LOCK = '.lock'  # in a folder that a process works in


def _read_boot_id() -> str | None:
    try:
        return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    except OSError:
        return None


BOOT_ID = _read_boot_id()  # changes whenever the system starts; None where it does not tell


@contextmanager
def written_beside(path: Path, durably: bool = False) -> Iterator[Path]:
    """A name beside ``path`` to write a file to; it takes ``path``'s place when the block ends well.

    Missing parent folders are made. On any error nothing of the new file stays, and a file that was there before is
    as it was.

    Args:
        path: the file.
        durably: wait until all is on the disk, so that the file is whole also after a power cut.

    Raises:
        OSError: the folder cannot be made, or the file not written or renamed.
    """
    partial = path.with_name(f'.{path.name}.partial-{os.getpid()}')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if durably:
            sync(partial)
        os.replace(partial, path)
        if durably:
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk, not only on their way there.

    Raises:
        OSError: the disk refuses it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def built_beside(output: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``output`` when the block ends well, and is removed when it does not.

    Whatever was called ``output`` before is removed, but only once the new folder is in place.

    Raises:
        DataError: another process is building the same folder.
        OSError: the folder cannot be made or renamed; what was there before is as it was.
    """
    work = output.with_name(f'.{output.name}.partial')
    with locked(work):
        try:
            shutil.rmtree(work / 'new', ignore_errors=True)  # of a killed run
            (work / 'new').mkdir()
            yield work / 'new'
            put_in_place(work / 'new', output)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def put_in_place(new: Path, output: Path) -> None:
    """Rename the folder ``new`` to ``output``; what was there before is removed afterwards.

    Two renames replace a folder. A run killed between them leaves what was there under a hidden name, and
    :func:`mend_interrupted` brings it back.

    Raises:
        OSError: a folder cannot be renamed; what was there before is as it was.
    """
    old = _old(output)
    mend_interrupted(output)
    try:
        if os.path.lexists(output):
            os.replace(output, old)
        os.replace(new, output)
    finally:
        mend_interrupted(output)


def mend_interrupted(output: Path) -> None:
    """Finish what a killed :func:`put_in_place` left: the former ``output`` comes back, or goes if there is a new one.

    Raises:
        OSError: it cannot be renamed.
    """
    old = _old(output)
    if not os.path.lexists(old):
        return
    if not os.path.lexists(output):
        os.replace(old, output)
    elif old.is_symlink() or not old.is_dir():
        old.unlink()
    else:
        shutil.rmtree(old, ignore_errors=True)


def _old(output: Path) -> Path:
    return output.with_name(f'.{output.name}.old')


@contextmanager
def resumable(folder: Path, plan: Any) -> Iterator[bool]:
    """A folder for work that the next run takes up where this one is stopped, be it by an error or by a kill.

    It is removed when the block ends well. Otherwise it stays, and a run with the same plan finds it as it was; for
    one with another plan it is emptied, and so it is after the system was started anew, since not all that was
    written need have reached the disk then. Whoever writes into it must make sure that what is half-written does
    not look finished.

    Args:
        folder: its name should begin with a dot, since it is nobody's business.
        plan: all that decides what is made: settings, and names, sizes and times of the source files. Anything
            that JSON can hold.

    Yields:
        Whether earlier work is taken up.

    Raises:
        DataError: another process works in this folder.
        OSError: the folder cannot be made or written to.
    """
    with locked(folder):
        taken_up = is_resumable(folder, plan)
        if not taken_up:
            empty(folder)
            with written_beside(folder / PLAN) as partial:
                partial.write_text(_digest(plan))
        yield taken_up
        shutil.rmtree(folder, ignore_errors=True)


def is_resumable(folder: Path, plan: Any) -> bool:
    """Whether ``folder`` holds unfinished work of this plan, see :func:`resumable`."""
    found = folder / PLAN
    return found.exists() and found.read_bytes() == _digest(plan).encode()


def _digest(plan: Any) -> str:
    return hashlib.sha256(json.dumps([BOOT_ID, plan], sort_keys=True).encode()).hexdigest()


def empty(folder: Path) -> None:
    """Remove all that is in a folder, but for its lock."""
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is missing, for this process; the lock goes with the process, however it ends.

    Raises:
        DataError: another process holds it.
        OSError: it cannot be made or opened.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # the process before us finished and removed the folder between our two steps
        try:
            # A record lock, not flock: that one would be held by worker processes too, for moments after a kill.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise  # e.g. a file system without locks
            raise DataError(f'{folder}: another process is at work there; wait for it to end') from None
        if _is_same_file(descriptor, folder / LOCK):
            break
        os.close(descriptor)  # the process before us removed what we have locked
    try:
        yield
    finally:
        if _is_same_file(descriptor, folder / LOCK):  # not that of a process that begins while we remove the folder
            (folder / LOCK).unlink()
        os.close(descriptor)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
