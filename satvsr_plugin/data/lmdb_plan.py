"""What goes into an LMDB, in which order and how much room it takes: known before anything is written."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from satvsr_plugin.data.clip_lmdb import Encoding, stored_key
from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import stat_file
from satvsr_plugin.data.lmdb_frames import Frame
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

BATCH_BYTES = 32 << 20  # stored by one transaction: what a killed run has to do again, and what is held in memory
LONGEST_KEY = 511  # bytes, LMDB's own limit


@dataclass(frozen=True)
class LmdbPlan:
    """The frames of a folder, in the order of their keys, and how they are stored.

    Attributes:
        folder: the clips.
        encoding: ``png`` or ``raw``.
        recompress: encode the pixels of ``png`` again instead of storing the files as they are.
        formats: of each clip's first frame; all its frames must have it.
    """

    folder: ClipFolder
    encoding: Encoding
    recompress: bool
    formats: dict[str, FrameFormat]

    @classmethod
    def make(cls, folder: ClipFolder, encoding: Encoding, recompress: bool) -> LmdbPlan:
        """Look at the folder's names and at the first frame of each clip.

        Raises:
            DataError: a first frame is damaged, names that no reader of LMDBs knows, or options that contradict.
        """
        if recompress and encoding == 'raw':
            raise DataError('pixels cannot be recompressed; use recompress (--recompress) with the encoding png only')
        _check_names(folder)
        return cls(folder, encoding, recompress, {clip: folder.format(clip) for clip in folder.clips})

    @cached_property
    def frames(self) -> list[Frame]:
        """In the order of their keys: LMDB then appends, and neighbours in time are neighbours on the disk."""
        frames = [Frame(clip, file, str(self.folder.root / clip / file), self.formats[clip])
                  for clip, files in self.folder.clips.items() for file in files]
        return sorted(frames, key=lambda frame: stored_key(frame.clip, frame.file))

    def stored_name(self, frame: Frame) -> str:
        """``clip/frame.png`` for meta_info.txt; recompressed frames are PNGs whatever they were."""
        return f'{frame.clip}/{frame_key(frame.file)}.png' if self.recompress else str(frame)

    @cached_property
    def _stats(self) -> list[os.stat_result]:
        return [stat_file(frame.path) for frame in self.frames]

    @cached_property
    def sizes(self) -> list[int]:
        """Bytes that each frame takes; upper bounds for those that are recompressed."""
        if self.encoding == 'raw':
            return [frame.format.size for frame in self.frames]
        sizes = [stat.st_size for stat in self._stats]
        if not self.recompress:
            return sizes
        # A PNG of noise is a little larger than its pixels: a byte a row, a few for every 16 kB, and its chunks.
        return [max(size, frame.format.size + frame.format.size // 64 + frame.format.height + 4096)
                for size, frame in zip(sizes, self.frames, strict=True)]

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return sum(self.sizes)

    @cached_property
    def map_size(self) -> int:
        """Upper bound of data.mdb in bytes.

        A large value takes whole pages of its own and less than one page of the tree; 256 pages are for those
        that transactions free and use again.
        """
        return (sum(size // mmap.PAGESIZE + 3 for size in self.sizes) + 256) * mmap.PAGESIZE

    def batches(self) -> Iterator[list[Frame]]:
        """Consecutive frames that one transaction stores; the same however often a run is interrupted."""
        batch, size = [], 0
        for frame, frame_size in zip(self.frames, self.sizes, strict=True):
            batch.append(frame)
            size += frame_size
            if size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def identity(self) -> dict[str, Any]:
        """All that decides the bytes of the LMDB; a run with another identity does not go on with its frames."""
        return {
            'version': 1,  # of the files' layout; another number makes earlier unfinished work useless
            'encoding': self.encoding,
            'recompress': self.recompress,
            'root': str(Path(self.folder.root).resolve()),
            'frames': [[str(frame), stat.st_size, stat.st_mtime_ns]
                       for frame, stat in zip(self.frames, self._stats, strict=True)],
        }


def _check_names(folder: ClipFolder) -> None:
    """The toolbox cuts a line of meta_info.txt at the first blank and the first dot, and keys are ASCII."""
    names = [(clip, frame) for clip, frames in folder.clips.items() for frame in frames]
    raise_problems(f'{folder.root}: the toolbox\'s LMDB reader knows no blanks, dots or non-ASCII letters in names', [
        f'{clip}/{frame}: rename it' for clip, frame in names
        if re.search(r'[\s.]|[^\x00-\x7f]', f'{clip}/{frame_key(frame)}')])
    raise_problems(f'{folder.root}: LMDB takes names of up to {LONGEST_KEY} letters', [
        f'{clip}/{frame}: shorten it' for clip, frame in names if len(stored_key(clip, frame)) > LONGEST_KEY])
