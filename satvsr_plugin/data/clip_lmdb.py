"""Clips in an LMDB of the toolbox's kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import lmdb

from satvsr_plugin.data.clip_source import ClipSource, frame_key
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError


class ClipLmdb(ClipSource):
    """Clips in an LMDB as ``scripts/prepare_lmdb.py`` and the toolbox write them.

    ``data.mdb`` holds the encoded image of each frame under the key ``clip/frame`` (no suffix); ``meta_info.txt``
    has a line ``clip/frame.png (h,w,c) 1`` for each.

    Raises:
        DataError: a file is missing, damaged or cut short, or the two do not fit each other.
    """

    def __init__(self, root: str | Path) -> None:
        self._opened: _Opened | None = None
        super().__init__(root, _read_meta_info(Path(root)))
        listed, stored = sum(map(len, self.clips.values())), self._environment().stat()['entries']
        if listed != stored:
            raise DataError(f'{root}: meta_info.txt lists {listed} frames, but data.mdb holds {stored}; '
                            'make the LMDB again')

    def read_bytes(self, clip: str, frame: str) -> bytes:
        key = f'{clip}/{frame_key(frame)}'
        try:
            with self._environment().begin() as transaction:
                content = transaction.get(key.encode())
        except lmdb.Error as error:
            raise DataError(f'{self.label(clip, frame)}: cannot read the LMDB: {error}') from error
        if content is None:
            raise DataError(f'{self.label(clip, frame)}: listed in meta_info.txt, but the LMDB has no key {key}; '
                            'make the LMDB again')
        return content

    def _environment(self) -> lmdb.Environment:
        """The LMDB, opened by this process; LMDB forbids to use one that was opened before a fork."""
        if self._opened is None or self._opened.process != os.getpid():
            self._opened = _open_once(self.root)
        return self._opened.environment

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes that are spawned open the LMDB themselves."""
        return {**self.__dict__, '_opened': None}


class _Opened:
    """An LMDB and the process that opened it."""

    def __init__(self, root: Path) -> None:
        try:
            # No lock file: data sets are only read, maybe from a read-only disk. No read-ahead: frames are drawn
            # at random.
            self.environment = lmdb.open(str(root), readonly=True, lock=False, readahead=False, create=False)
        except lmdb.Error as error:
            raise DataError(f'{root}: cannot open the LMDB: {error}') from error
        self.process = os.getpid()
        # LMDB maps the file into memory: reading past the end of one that was cut short would end the process.
        needed = (self.environment.info()['last_pgno'] + 1) * self.environment.stat()['psize']
        found = (root / 'data.mdb').stat().st_size
        if found < needed:
            self.environment.close()
            raise DataError(f'{root}: data.mdb is cut short ({found} of {needed} bytes); copy or make it again')


_OPENED: WeakValueDictionary[str, _Opened] = WeakValueDictionary()


def _open_once(root: Path) -> _Opened:
    """Open an LMDB, or share the one that this process has open: LMDB refuses to open the same twice."""
    path = os.path.realpath(root)
    opened = _OPENED.get(path)
    if opened is not None and opened.process != os.getpid():
        opened.environment.close()  # inherited through a fork; closing it here leaves the parent's alone
        opened = None
    if opened is None:
        opened = _OPENED[path] = _Opened(root)
    return opened


def _read_meta_info(root: Path) -> dict[str, list[str]]:
    """Clip -> frame file names, from the lines ``clip/frame.png (h,w,c) 1``."""
    for name in ('data.mdb', 'meta_info.txt'):
        if not (root / name).is_file():
            raise DataError(f'{root}: no {name} in it; is this an LMDB? Make one with scripts/prepare_lmdb.py, '
                            'or set io_backend: {type: disk} for folders of frames')
    clips: dict[str, list[str]] = {}
    problems = []
    for number, line in enumerate((root / 'meta_info.txt').read_text('utf-8', 'replace').splitlines(), start=1):
        if not line.strip():
            continue
        clip, _, frame = line.split()[0].rpartition('/')
        if clip and frame:
            clips.setdefault(clip, []).append(frame)
        else:
            problems.append(f'line {number}: "{line.strip()}" does not name a frame of a clip as clip/frame.png')
    raise_problems(f'{root / "meta_info.txt"}', problems)
    if not clips:
        raise DataError(f'{root}: meta_info.txt lists no frames; make the LMDB again')
    return clips
