"""Files that are whole under their name even after a power failure, and what is said when the disk refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from satvsr_plugin.atomic import sync, written_beside
from satvsr_plugin.errors import DataError


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it is whole whenever it is there under its name.

    Raises:
        DataError: it cannot be written, e.g. because the disk is full.
    """
    with refusals_told(path), written_beside(path) as partial:
        partial.write_bytes(content)
        sync(partial)


@contextmanager
def refusals_told(path: Path) -> Iterator[None]:
    """Turn what the system refuses into one message.

    Raises:
        DataError: in the place of an ``OSError`` of the block.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror or error}; what is finished stays, and the same '
                        'command goes on there') from error
