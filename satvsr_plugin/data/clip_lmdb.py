"""Clips in an LMDB: encoded images, as the toolbox stores them, or pixels, of which a crop reads its own rows only.

Pixels are stored as planes, as networks take them: to separate interleaved bands would take a crop as long as all else.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary, finalize

import lmdb
import numpy as np

from satvsr_plugin.data.clip_source import ClipSource, frame_key
from satvsr_plugin.data.frame_format import DTYPES, FrameFormat
from satvsr_plugin.data.image_io import read_file
from satvsr_plugin.data.lmdb_tree import TreeError, check_tree
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError
from satvsr_plugin.paths import leads_out

Encoding = Literal['png', 'raw']

ABOUT = 'about.json'  # not in LMDBs that the toolbox made; theirs hold encoded images
META_INFO = 'meta_info.txt'
CHECK_EVERY = 0.01  # seconds; to ask the system about the file takes as long as to read a crop


class ClipLmdb(ClipSource):
    """Clips in an LMDB as ``scripts/prepare_lmdb.py`` and the toolbox write them.

    ``data.mdb`` holds each frame under the key ``clip/frame`` (no suffix): the encoded image, or planes of pixels
    where ``about.json`` says so. ``meta_info.txt`` has a line ``clip/frame.png (h,w,c) 1`` for each.

    Attributes:
        encoding: ``png`` (an image file of any format) or ``raw`` ((c, h, w) uint8 or little-endian uint16, RGB).
        recompressed: the images are not the source's files byte for byte, but the same pixels encoded again.

    Raises:
        DataError: a file is missing, damaged or cut short, or they do not fit each other.
    """

    def __init__(self, root: str | Path) -> None:
        self._opened: OpenLmdb | None = None
        super().__init__(root, _read_meta_info(Path(root)))
        about = _read_about(Path(root))
        self.encoding: Encoding = about.get('encoding', 'png')
        self.recompressed: bool = about.get('recompressed', False)
        self._formats = {clip: FrameFormat(*form) for clip, form in about.get('formats', {}).items()}
        listed, stored = sum(map(len, self.clips.values())), self._open().environment.stat()['entries']
        if listed != stored:
            raise DataError(f'{root}: {META_INFO} lists {listed} frames, but data.mdb holds {stored}; '
                            'make the LMDB again')
        if self.encoding == 'raw' and self._formats.keys() != self.clips.keys():
            raise DataError(f'{root}: {ABOUT} and {META_INFO} name different clips; make the LMDB again')

    def read_bytes(self, clip: str, frame: str) -> bytes:
        """What is stored for a frame: the image file, or its pixels where ``encoding`` is raw."""
        return bytes(self._content(clip, frame))

    def read(self, clip: str, frame: str) -> np.ndarray:
        if self.encoding != 'raw':
            return super().read(clip, frame)
        height, width = self.format(clip)[:2]
        return np.ascontiguousarray(self.crop(clip, [frame], 0, 0, height, width)[0])

    def crop(self, clip: str, frames: Sequence[str], top: int, left: int, height: int, width: int) -> np.ndarray:
        if self.encoding != 'raw':
            return super().crop(clip, frames, top, left, height, width)
        form = self._formats[clip]
        size, dtype, shape = form.size, form.dtype, (form.channels, form.height, form.width)
        planes = np.empty((len(frames), form.channels, height, width), dtype)
        for index, frame in enumerate(frames):
            stored = self._content(clip, frame)
            if len(stored) != size:
                raise DataError(f'{self.label(clip, frame)}: holds {len(stored)} bytes instead of {size}; '
                                'make the LMDB again')
            # The frame lies in the file's memory map: only the rows that are copied here are read.
            frame_planes = np.frombuffer(stored, dtype).reshape(shape)
            planes[index] = frame_planes[:, top:top + height, left:left + width]
        return planes.transpose(0, 2, 3, 1)

    def _content(self, clip: str, frame: str) -> memoryview:
        """What is stored for a frame, in the memory map; valid as long as the LMDB is open."""
        key = stored_key(clip, frame)
        if self._opened is None or not self._opened.is_usable():
            label = self.label(clip, frame)
            self._opened = self.retry(lambda: open_once(self.root, label), label)
        try:
            content = self._opened.transaction.get(key)
        except lmdb.Error as error:
            raise DataError(f'{self.label(clip, frame)}: cannot read the LMDB: {error}') from error
        if content is None:
            raise DataError(f'{self.label(clip, frame)}: listed in {META_INFO}, but the LMDB has no key '
                            f'{key.decode()}; make the LMDB again')
        return content

    def _open(self) -> OpenLmdb:
        """The LMDB, opened by this process; LMDB forbids to use one that was opened before a fork."""
        if self._opened is None or not self._opened.is_usable():
            self._opened = open_once(self.root)
        return self._opened

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes that are spawned open the LMDB themselves."""
        return {**self.__dict__, '_opened': None}


@lru_cache(maxsize=2**16)
def stored_key(clip: str, frame: str) -> bytes:
    """The key of a frame: ``clip/frame`` without the suffix, as the toolbox has it."""
    return f'{clip}/{frame_key(frame)}'.encode()


class OpenLmdb:
    """An LMDB and the process that opened it; closed when nobody refers to it any more.

    Nobody writes to it, so that one transaction serves for ever; it gives views of the memory map. A descriptor of its
    own tells whether the file behind the map is as it was: to read what is no longer there would end the process.

    Args:
        root: the LMDB.
        name: how errors name it.

    Raises:
        DataError: there is none, or it is damaged or cut short.
    """

    def __init__(self, root: Path, name: str) -> None:
        try:
            self._descriptor = os.open(root / 'data.mdb', os.O_RDONLY)
            finalize(self, os.close, self._descriptor)
            self._state = self._read_state()
            self._checked = time.monotonic()
            check_tree(self._descriptor, size=self._state[0])
        except TreeError as error:
            raise DataError(f'{name}: {error}; copy or make it again') from error
        except OSError as error:
            raise DataError(f'{name}: cannot open the LMDB: {error.strerror}') from error
        self.environment = _open_environment(root, name)
        self.transaction = self.environment.begin(buffers=True)
        self.process: int | None = os.getpid()

    def is_usable(self) -> bool:
        """Whether this process may read: it has opened the LMDB, and the file is there and was not written to.

        A file that was renamed or deleted, or that another has replaced, is still there for whoever has it open.
        """
        if self.process != os.getpid():
            return False
        now = time.monotonic()
        if now - self._checked < CHECK_EVERY:
            return True
        try:
            usable = self._read_state() == self._state
        except OSError:
            return False
        if usable:
            self._checked = now
        return usable

    def lies_at(self, root: Path) -> bool:
        """Whether it is still what is found there."""
        try:
            return os.path.samestat(os.stat(root / 'data.mdb'), os.fstat(self._descriptor))
        except OSError:
            return False

    def close(self) -> None:
        """Close it here; a process that this one was forked from keeps it."""
        self.environment.close()
        self.process = None

    def _read_state(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns


def _open_environment(root: Path, name: str) -> lmdb.Environment:
    try:
        # No lock file: data sets are only read, maybe from a read-only disk. No read-ahead: frames are drawn at random.
        return lmdb.open(str(root), readonly=True, lock=False, readahead=False, create=False)
    except lmdb.Error as error:
        raise DataError(f'{name}: cannot open the LMDB: {error}') from error


_OPENED: WeakValueDictionary[str, OpenLmdb] = WeakValueDictionary()


def open_once(root: Path, name: str | None = None) -> OpenLmdb:
    """Open an LMDB for reading, or share the one that this process has open: LMDB refuses to open the same twice.

    Args:
        root: the LMDB.
        name: how errors name it, by default by its path.

    Raises:
        DataError: there is none, or it is damaged or cut short.
    """
    path = os.path.realpath(root)
    opened = _OPENED.get(path)
    if opened is not None and not opened.is_usable():
        opened.close()
        opened = None
    if opened is None or not opened.lies_at(root):  # else whoever has that one goes on with it
        opened = _OPENED[path] = OpenLmdb(root, name or str(root))
    return opened


def _read_about(root: Path) -> dict[str, Any]:
    """Encoding and formats, as the writer left them; empty for an LMDB of the toolbox."""
    path = root / ABOUT
    if not path.exists():
        return {}
    try:
        about = json.loads(read_file(path, str(path)).decode('utf-8'))
        if about['encoding'] not in ('png', 'raw') or not isinstance(about['recompressed'], bool):
            raise ValueError('it does not say how the frames are stored')
        for clip, form in about['formats'].items():
            if [type(number) for number in form] != [int] * 4 or min(form) < 1 or form[3] not in DTYPES:
                raise ValueError(f'the format of clip {clip} is none')
            if about['encoding'] == 'raw' and FrameFormat(*form).size > os.path.getsize(root / 'data.mdb'):
                raise ValueError(f'a frame of clip {clip} would be larger than data.mdb')
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f'{path}: cannot be used ({error}); make the LMDB again') from error
    return about


def _read_meta_info(root: Path) -> dict[str, list[str]]:
    """Clip -> frame file names, from the lines ``clip/frame.png (h,w,c) 1``."""
    for name in ('data.mdb', META_INFO):
        if not os.path.isfile(root / name):
            raise DataError(f'{root}: no {name} in it; is this an LMDB? Make one with scripts/prepare_lmdb.py, '
                            'or set io_backend: {type: disk} for folders of frames')
    try:
        lines = (root / META_INFO).read_text('utf-8', 'backslashreplace').splitlines()
    except OSError as error:
        raise DataError(f'{root / META_INFO}: cannot read this file: {error.strerror}') from error
    clips: dict[str, list[str]] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        clip, _, frame = line.split()[0].rpartition('/')
        if not (clip and frame):
            problems.append(f'line {number}: "{line.strip()}" does not name a frame of a clip as clip/frame.png')
        elif leads_out(f'{clip}/{frame}'):
            problems.append(f'line {number}: "{line.strip()}" leads out of the folder; make the LMDB again')
        else:
            clips.setdefault(clip, []).append(frame)
    raise_problems(f'{root / META_INFO}', problems)
    if not clips:
        raise DataError(f'{root}: {META_INFO} lists no frames; make the LMDB again')
    return clips
