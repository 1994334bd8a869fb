"""One file from a server onto the disk: taken up where the last run ended, and renamed only when it is verified."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import requests
from tqdm import tqdm

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.data.download.web import Retries, Unavailable, Web, body
from satvsr_plugin.data.download.zenodo import RemoteFile
from satvsr_plugin.disk import format_size
from satvsr_plugin.errors import DataError

HASH_CHUNK = 1 << 20  # bytes


def fetch(file: RemoteFile, folder: Path, web: Web) -> Path:
    """Fetch a file into a folder, or go on fetching it; progress goes to stderr.

    What has arrived is in ``.NAME.part`` until its size and MD5 sum are those of the record. A wrong sum is worth a
    second try from the beginning.

    Args:
        file: the file; nothing of its name may exist in the folder.
        folder: exists, and is worked in by this process only.
        web: asks.

    Returns:
        The path of the file.

    Raises:
        DataError: the server cannot be reached, refuses, or sends something else; what has arrived stays.
        OSError: the disk is full, or the folder cannot be written to; what has arrived stays.
    """
    partial = Partial(file, folder)
    for _ in range(2):
        _fetch_partial(file, partial, web)
        found = md5_of(partial.path)
        if found == file.md5:
            os.replace(partial.path, folder / file.name)
            partial.forget()
            return folder / file.name
        tqdm.write(f'{file.name}: arrived damaged (MD5 {found} instead of {file.md5})', file=sys.stderr)
        partial.forget()
    raise DataError(f'{file.name}: arrived damaged twice, its MD5 sum was {found} instead of {file.md5}. Try again '
                    'later or through another network; if it stays so, the record itself is wrong')


def md5_of(path: Path) -> str:
    """MD5 sum of a file in hexadecimal digits; progress goes to stderr."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, 'rb') as stream, _bar(path.stat().st_size, f'verifying {path.name}') as bar:
        while chunk := stream.read(HASH_CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


class Partial:
    """What has arrived of a file.

    Attributes:
        path: ``.NAME.part``, the beginning of the file. Beside it a note says of which version of the file.
        etag: the server's name for that version, if it gave one.
    """

    def __init__(self, file: RemoteFile, folder: Path) -> None:
        self.path = folder / f'.{file.name}.part'
        self._note = folder / f'.{file.name}.part.json'
        self._md5 = file.md5
        note = self._read_note()
        self.etag = note.get('etag')
        if note.get('md5') != file.md5 or self.size > file.size:
            self.begin(None)

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size

    def begin(self, etag: str | None) -> None:
        """Throw away what has arrived; what comes now is of this version."""
        self.forget()
        self.etag = etag
        with written_beside(self._note) as partial:
            partial.write_text(json.dumps({'md5': self._md5, 'etag': etag}))
        self.path.touch()

    def forget(self) -> None:
        """Remove what has arrived, and the note last: bytes without a note are never taken up."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read_note(self) -> dict[str, str | None]:
        try:
            note = json.loads(self._note.read_text()) if self.path.is_file() else {}
        except (OSError, ValueError, RecursionError):
            note = {}
        return note if isinstance(note, dict) else {}


def _fetch_partial(file: RemoteFile, partial: Partial, web: Web) -> None:
    """Ask for what is missing until all is there; only bytes further than ever before count as progress."""
    if not partial.path.exists():
        partial.begin(None)
    retries = Retries(web.patience, file.name)
    with _bar(file.size, file.name, partial.size) as bar:
        furthest = partial.size
        while partial.size < file.size:
            try:
                _receive(file, partial, web, bar)
            except Unavailable as error:
                arrived = f'{format_size(partial.size)} of {format_size(file.size)} have arrived'
                retries.wait(Unavailable(f'{error}; {arrived}', error.wait), progress=partial.size > furthest)
                furthest = max(furthest, partial.size)


def _receive(file: RemoteFile, partial: Partial, web: Web, bar: tqdm) -> None:
    """One request: append what it brings."""
    headers = {}
    if partial.size:
        headers['Range'] = f'bytes={partial.size}-'
        if partial.etag:
            headers['If-Range'] = partial.etag
    with web.open(file.url, headers, also=(206, 416)) as response:
        _check_start(response, file, partial)
        bar.n = partial.size
        with open(partial.path, 'ab') as stream:
            for chunk in body(response):
                if stream.tell() + len(chunk) > file.size:
                    partial.begin(None)
                    raise DataError(f'{file.name}: {file.url} sends more than the {file.size} bytes of the record; is '
                                    'something else answering in its place?')
                stream.write(chunk)
                stream.flush()
                bar.update(len(chunk))
            os.fsync(stream.fileno())
    if partial.size < file.size:
        raise Unavailable('the connection ended too early')


def _check_start(response: requests.Response, file: RemoteFile, partial: Partial) -> None:
    """See to it that the response begins where the partial file ends."""
    if response.status_code == 416:
        partial.begin(None)
        raise Unavailable('the server cannot go on where the file ends; it begins anew')
    if response.status_code == 206:
        found = response.headers.get('Content-Range', '')
        match = re.fullmatch(r'bytes (\d+)-(\d+)/(\d+|\*)', found.strip())
        if not match or int(match[1]) != partial.size or match[3] not in ('*', str(file.size)):
            raise DataError(f'{file.name}: the bytes from {partial.size} to the end of {file.size} were asked for, but '
                            f'the server sends "{found}". Run again; if it stays so, delete {partial.path}')
        if partial.etag and response.headers.get('ETag', partial.etag) != partial.etag:
            partial.begin(None)
            raise Unavailable('the file has changed on the server, so it begins anew')
        return
    length = response.headers.get('Content-Length', '')
    if length.isdecimal() and int(length) != file.size:
        raise DataError(f'{file.name}: {file.url} sends {length} bytes instead of the {file.size} of the record; '
                        'does a login page of the network answer, or was the file changed?')
    if partial.size:
        tqdm.write(f'{file.name}: the server cannot go on in the middle, so the file begins anew', file=sys.stderr)
    etag = response.headers.get('ETag', '')
    partial.begin(etag if etag.startswith('"') else None)  # a weak one (W/"...") does not promise equal bytes


def _bar(total: int, label: str, initial: int = 0) -> tqdm:
    return tqdm(total=total, initial=initial, desc=label, unit='B', unit_scale=True)
