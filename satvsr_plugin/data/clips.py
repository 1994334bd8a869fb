"""Clips of frames, in folders or in an LMDB."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from satvsr_plugin.data.clip_lmdb import ClipLmdb
from satvsr_plugin.data.clip_source import ClipSource
from satvsr_plugin.data.image_io import IMAGE_SUFFIXES, read_file
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

Backend = Literal['disk', 'lmdb']


class ClipFolder(ClipSource):
    """Clips as folders of images: ``root/<clip>/<frame>.png``. Hidden files and other files are ignored.

    Raises:
        DataError: there are no clips, a clip is empty, or frames lie in ``root`` itself.
    """

    def __init__(self, root: str | Path) -> None:
        folders, images = _scan(Path(root))
        if images:
            raise DataError(f'{root}: frames lie in this folder itself ({images[0]}); '
                            f'put each clip into a folder of its own, e.g. {Path(root) / "000" / images[0]}')
        if not folders:
            raise DataError(f'{root}: no clips in it; it should hold one folder of frames a clip')
        found = {clip: _scan(Path(root) / clip) for clip in folders}
        raise_problems(str(root), [f'clip {clip}: {_why_empty(inner)}'
                                   for clip, (inner, frames) in found.items() if not frames])
        super().__init__(root, {clip: frames for clip, (_, frames) in found.items()})

    def read_bytes(self, clip: str, frame: str) -> bytes:
        label = self.label(clip, frame)
        return self.retry(lambda: read_file(self.root / clip / frame, label), label)


def open_clips(root: str | Path, backend: Backend = 'disk') -> ClipSource:
    """Open clips in folders (``disk``) or in an LMDB (``lmdb``).

    Raises:
        DataError: there is no such folder or LMDB, or it is of the other kind.
    """
    if backend == 'lmdb':
        return ClipLmdb(root)
    if os.path.exists(Path(root) / 'data.mdb'):
        raise DataError(f'{root}: this is an LMDB; set io_backend: {{type: lmdb}}')
    return ClipFolder(root)


def _why_empty(inner: list[str]) -> str:
    """What to do about a clip without frames, given its sub-folders."""
    if inner:
        return f'no images in it, but folders ({inner[0]}); was a folder one level too high given?'
    return 'no images in it; add its frames or delete the folder'


def _scan(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the sub-folders and of the images in a folder, hidden ones left out, sorted."""
    try:
        with os.scandir(folder) as entries:
            visible = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith('.'))
    except OSError as error:
        raise DataError(f'{folder}: cannot list this folder: {error.strerror}') from error
    except ValueError as error:  # names that no file can have
        raise DataError(f'{folder}: cannot be a folder: {error}') from error
    images = [name for name, is_dir in visible if not is_dir and name.lower().endswith(IMAGE_SUFFIXES)]
    return [name for name, is_dir in visible if is_dir], images
