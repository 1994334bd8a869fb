"""The interface to clips of frames, wherever they lie."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import IMAGE_SUFFIXES, decode_image
from satvsr_plugin.data.png import first_rows
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.data.retry import Retry
from satvsr_plugin.errors import DataError


class ClipSource(ABC):
    """Clips and their frames. Safe to hand to worker processes, forked or spawned.

    Attributes:
        root: the folder or LMDB.
        clips: clip name -> file names of its frames; both in natural order (2.png before 10.png). No clip is
            empty, and no two frames of a clip differ in their suffix only.
        retry: how long to wait for frames that went away; by default not at all.
    """

    def __init__(self, root: str | Path, clips: dict[str, list[str]]) -> None:
        self.root = Path(root)
        self.retry = Retry()
        self.clips = {clip: natural_order(clips[clip]) for clip in natural_order(clips)}
        self._formats: dict[str, FrameFormat] = {}
        raise_problems(str(root), [
            f'{clip}/{frame}: a second frame of this name, differing at most in its suffix; keep one'
            for clip, frames in self.clips.items() for before, frame in pairwise(frames)
            if frame_key(before) == frame_key(frame)])

    @abstractmethod
    def read_bytes(self, clip: str, frame: str) -> bytes:
        """The encoded image.

        Raises:
            DataError: it is missing or cannot be read.
        """

    def read(self, clip: str, frame: str) -> np.ndarray:
        """Decode a frame.

        Args:
            clip: a key of ``clips``.
            frame: an entry of ``clips[clip]``.

        Returns:
            (h, w, c) uint8 or uint16, colour as RGB.

        Raises:
            DataError: the frame is missing or damaged, or differs from the first frame of its clip in size,
                channels or bit depth.
        """
        return self._decode(clip, frame, self._content(clip, frame))

    def _content(self, clip: str, frame: str) -> bytes | memoryview:
        """As :meth:`read_bytes`, but maybe only for a moment."""
        return self.read_bytes(clip, frame)

    def _decode(self, clip: str, frame: str, content: bytes | memoryview) -> np.ndarray:
        image = decode_image(content, self.label(clip, frame))
        found, expected = FrameFormat.of(image), self.format(clip)
        if found != expected:
            raise DataError(unlike_its_clip(self.label(clip, frame), found, expected))
        return image

    def crop(self, clip: str, frames: Sequence[str], top: int, left: int, height: int, width: int) -> np.ndarray:
        """The same part of several frames.

        Where pixels are stored, only the rows of the part are read; a PNG is decoded down to its last row only.

        Args:
            clip: a key of ``clips``.
            frames: entries of ``clips[clip]``; one that stands there twice is decoded once.
            top: first row.
            left: first column.
            height: rows, all of them inside the frame.
            width: columns, all of them inside the frame.

        Returns:
            (t, height, width, c) uint8 or uint16.

        Raises:
            DataError: as of :meth:`read`.
        """
        parts = {frame: self._read_rows(clip, frame, top + height)[top:top + height, left:left + width]
                 for frame in set(frames)}
        return np.stack([parts[frame] for frame in frames])

    def _read_rows(self, clip: str, frame: str, rows: int) -> np.ndarray:
        """At least the first rows of a frame, (rows or more, w, c)."""
        form = self.format(clip)  # first: it may read, and then the content of another frame may be gone
        content = self._content(clip, frame)
        shortened = first_rows(content, rows, form)
        if shortened is None:
            return self._decode(clip, frame, content)
        return decode_image(shortened, self.label(clip, frame))

    def format(self, clip: str) -> FrameFormat:
        """Format of the first frame of a clip; every other frame must have the same.

        Raises:
            DataError: the first frame is missing or damaged.
        """
        if clip not in self._formats:
            first = self.clips[clip][0]
            self._formats[clip] = check_image(self.read_bytes(clip, first), self.label(clip, first))
        return self._formats[clip]

    def label(self, clip: str, frame: str) -> str:
        """How errors name a frame."""
        return f'{self.root}: {clip}/{frame}'


def unlike_its_clip(name: str, found: FrameFormat, expected: FrameFormat) -> str:
    """The complaint about a frame that differs from the first one of its clip."""
    return f'{name}: is {found}, but the first frame of the clip is {expected}; make all frames of a clip alike'


def frame_key(frame: str) -> str:
    """Name of a frame without its image suffix: what pairs an LR frame with its GT."""
    stem, suffix = os.path.splitext(frame)
    return stem if suffix.lower() in IMAGE_SUFFIXES else frame


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names so that numbers in them count by value: 2.png before 10.png.

    For names of equal length this is the plain order that the toolbox uses.
    """
    def key(name: str) -> tuple[list[str | int], str]:
        # text and digits alternate, so text is only ever compared with text, numbers with numbers
        parts = re.split(r'(\d+)', frame_key(name))
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], name

    return sorted(names, key=key)
