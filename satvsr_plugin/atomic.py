"""Files and folders that appear under their name only when they are complete, and work that survives being killed."""

from __future__ import annotations

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


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write a file to; it takes ``path``'s place when the block ends well.

    Missing parent folders are made. On any error nothing of the new file stays, and a file that was there before is
    as it was.

    Raises:
        OSError: the folder cannot be made, or the file not renamed.
    """
    partial = path.with_name(f'.{path.name}.partial-{os.getpid()}')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def built_beside(output: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``output`` when the block ends well, and is removed when it does not.

    Whatever was called ``output`` before is removed, but only once the new folder is in place.

    Raises:
        OSError: the folder cannot be made or renamed; what was there before is as it was.
    """
    partial = output.with_name(f'.{output.name}.partial-{os.getpid()}')
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a killed run; in containers process numbers come again
        partial.mkdir(parents=True)
        yield partial
        put_in_place(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
    """A folder for work that the next run takes up where this one is stopped, by whatever: an error, a kill, no power.

    It is removed when the block ends well. Otherwise it stays, and a run with the same plan finds it as it was; for
    one with another plan it is emptied. Whoever writes into it must make sure that what is half-written does not
    look finished.

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
    with _locked(folder):
        digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        found = folder / PLAN
        taken_up = found.exists() and found.read_text() == digest
        if not taken_up:
            empty(folder)
            with written_beside(found) as partial:
                partial.write_text(digest)
        yield taken_up
        shutil.rmtree(folder, ignore_errors=True)


def empty(folder: Path) -> None:
    """Remove all that is in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is missing, for this process; the lock goes with the process, however it ends."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataError(f'{folder}: another process is at work there; wait for it to end') from None
        if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
            break
        os.close(descriptor)  # the process before us finished and removed the folder between our two steps
    try:
        yield
    finally:
        os.close(descriptor)
