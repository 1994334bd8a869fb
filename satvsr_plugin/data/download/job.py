"""A whole download: each file fetched, verified and unpacked, and nothing done again that is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.atomic import locked
from satvsr_plugin.data.download.kinds import by_hand, is_unpackable
from satvsr_plugin.data.download.ledger import Ledger
from satvsr_plugin.data.download.transfer import fetch, md5_of
from satvsr_plugin.data.download.unpack import unpack, unpacking_folder
from satvsr_plugin.data.download.web import Web
from satvsr_plugin.data.download.zenodo import RemoteFile
from satvsr_plugin.disk import require_space
from satvsr_plugin.errors import DataError


class Wishes(NamedTuple):
    """What is to be done with the files."""

    unpack: bool = True
    remove_archives: bool = False  # once they are unpacked
    overwrite: bool = False  # unpack again what is unpacked, and replace files that are there


class Done(NamedTuple):
    """What became of a file.

    Attributes:
        file: the file.
        fetched: it came from the server now.
        unpacked: names of what was unpacked from it, now or before.
    """

    file: RemoteFile
    fetched: bool
    unpacked: list[str]


def download(files: Sequence[RemoteFile], folder: Path, web: Web, wishes: Wishes) -> list[Done]:
    """Fetch, verify and unpack files into a folder; progress goes to stderr.

    Stopped at any moment, by whatever, the next call goes on there.

    Args:
        files: of one record.
        folder: made if it is missing.
        web: asks.
        wishes: what is to be done with them.

    Raises:
        DataError: another process works in the folder, there is not enough room, a file of the same name but other
            content is there, or fetching or unpacking fails (see there).
    """
    try:
        with locked(folder):
            ledger = Ledger(folder)
            archives = _to_unpack(files, wishes)
            _require_space(files, archives, folder, ledger, wishes)
            return [_finish(file, file in archives, folder, ledger, web, wishes) for file in files]
    except OSError as error:
        place = error.filename or folder
        raise DataError(f'{place}: cannot be read or written: {error.strerror or error}. What has arrived is kept: '
                        'mend that and run again to go on') from error


def _to_unpack(files: Sequence[RemoteFile], wishes: Wishes) -> list[RemoteFile]:
    others = by_hand(file.name for file in files)
    return [file for file in files if wishes.unpack and is_unpackable(file.name) and file.name not in others]


def _finish(file: RemoteFile, is_archive: bool, folder: Path, ledger: Ledger, web: Web, wishes: Wishes) -> Done:
    path = folder / file.name
    unpacked = ledger.unpacked(file) if is_archive and not wishes.overwrite else []
    fetched = False
    if not unpacked:
        fetched = _provide(file, folder, ledger, web)
        if is_archive:
            unpacked = unpack(path, folder, wishes.overwrite, own_folder=True,
                              finished=lambda names: ledger.set_unpacked(file, names))
    if is_archive and wishes.remove_archives and ledger.is_verified(file):
        path.unlink()
    return Done(file, fetched, unpacked)


def _provide(file: RemoteFile, folder: Path, ledger: Ledger, web: Web) -> bool:
    """See to it that the file is there and verified; returns whether it had to be fetched."""
    path = folder / file.name
    if ledger.is_verified(file):
        return False
    missing = not os.path.lexists(path)
    if missing:
        fetch(file, folder, web)
    elif not path.is_file() or path.stat().st_size != file.size or md5_of(path) != file.md5:
        raise DataError(f'{path}: is there already, but is not the {file.size} bytes with MD5 sum {file.md5} of the '
                        'record; move it away and run again')
    ledger.set_verified(file)
    return missing


def _require_space(
    files: Sequence[RemoteFile], archives: Sequence[RemoteFile], folder: Path, ledger: Ledger, wishes: Wishes
) -> None:
    """Images hardly shrink in an archive, so it needs its own size again; unpacking looks at the true size."""
    ready = [file for file in archives if ledger.unpacked(file) and not wishes.overwrite]
    missing = [file for file in files if file not in ready and not (folder / file.name).exists()]
    needed = sum(file.size - min(file.size, _size(folder / f'.{file.name}.part')) for file in missing)
    sizes = [file.size - min(file.size, _size(unpacking_folder(folder, file.name)))
             for file in archives if file not in ready]
    if sizes:  # removed one by one, archives make room for the next ones
        needed += max(sizes) if wishes.remove_archives else sum(sizes)
    require_space(folder, needed)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; zero if there is none."""
    return sum(found.stat().st_size for found in (path, *path.rglob('*')) if found.is_file())
