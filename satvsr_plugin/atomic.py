"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    partial, old = (output.with_name(f'.{output.name}.{kind}-{os.getpid()}') for kind in ('partial', 'old'))
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a killed run; in containers process numbers come again
        partial.mkdir(parents=True)
        yield partial
        if os.path.lexists(output):
            os.replace(output, old)
        os.replace(partial, output)
    except BaseException:
        if os.path.lexists(old):
            os.replace(old, output)
        raise
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
