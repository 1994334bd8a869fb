"""Where windows lie in a frame, and when clips begin."""

from __future__ import annotations

from typing import NamedTuple

from satvsr_plugin.data.extraction.options import ExtractionOptions, Pair


class Window(NamedTuple):
    """A part of a frame: its upper left corner and its size, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def rows_and_columns(self) -> tuple[slice, slice]:
        """What cuts it out of an (h, w) or (h, w, c) array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


def windows(frame_size: Pair, size: Pair, stride: Pair) -> list[Window]:
    """All windows of a grid that begins at the upper left corner and lie wholly in the frame, row by row.

    Args:
        frame_size: width and height of the frame.
        size: width and height of a window.
        stride: from one window to the next, across and down.
    """
    across, down = (
        range(0, whole - part + 1, step) for whole, part, step in zip(frame_size, size, stride, strict=True)
    )
    return [Window(x, y, *size) for y in down for x in across]


def clip_starts(start: int, stop: int, options: ExtractionOptions) -> range:
    """First frames of the clips that fit between frames ``start`` and ``stop - 1``."""
    return range(start, stop - options.frames + 1, options.clip_step)
