"""Ground truth and LR frames by the names that records give them, which have no suffix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.clips import Backend, open_clips
from satvsr_plugin.errors import DataError


class FrameSource:
    """Clips in a folder or in an LMDB.

    Args:
        root: the folder or LMDB.
        backend: which of the two it is; by default it is looked at.
        clips: {clip: names of frames} that must be there.

    Raises:
        DataError: it cannot be opened, or a frame is missing.
    """

    def __init__(self, root: str | Path, clips: Mapping[str, Sequence[str]], backend: Backend | None = None) -> None:
        found: Backend = 'lmdb' if Path(root, 'data.mdb').exists() else 'disk'
        self._source = open_clips(root, backend or found)
        self._files = {(clip, frame_key(file)): file for clip, files in self._source.clips.items() for file in files}
        missing = [f'{clip}/{frame}' for clip, frames in clips.items() for frame in frames
                   if (clip, frame) not in self._files]
        if missing:
            others = f' and {len(missing) - 1} others' if len(missing) > 1 else ''
            raise DataError(f'{root}: no frame {missing[0]}.png{others}; give the folder that holds the clips')

    def read(self, clip: str, frame: str) -> np.ndarray:
        """One frame, (h, w, bands) uint8 or uint16.

        Raises:
            DataError: it is unreadable.
        """
        return self._source.read(clip, self._files[clip, frame])

    def row(self, clip: str, frames: Sequence[str], y: int, columns: slice) -> np.ndarray:
        """Part of one row of several frames, (t, columns, bands).

        Raises:
            DataError: a frame is unreadable.
        """
        files = [self._files[clip, frame] for frame in frames]
        return self._source.crop(clip, files, y, columns.start, 1, columns.stop - columns.start)[:, 0]
