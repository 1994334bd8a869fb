"""Size, bands and bit depth of a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Of the pixels in memory and in a raw LMDB, by bit depth; little-endian, whatever the machine.
DTYPES: dict[int, np.dtype] = {8: np.dtype('u1'), 16: np.dtype('<u2')}

class FrameFormat(NamedTuple):
    """What all frames of a clip have in common."""

    height: int
    width: int
    channels: int
    bit_depth: int

    @classmethod
    def of(cls, image: np.ndarray) -> FrameFormat:
        """Format of an (h, w, c) image."""
        height, width, channels = image.shape
        return cls(height, width, channels, 8 * image.dtype.itemsize)

    @property
    def dtype(self) -> np.dtype:
        """Of the pixels: uint8 or uint16."""
        return DTYPES[self.bit_depth]

    @property
    def size(self) -> int:
        """Bytes of the pixels."""
        return self.height * self.width * self.channels * self.dtype.itemsize

    def __str__(self) -> str:
        plural = 's' if self.channels > 1 else ''
        return f'{self.width}x{self.height}, {self.channels} channel{plural}, {self.bit_depth} bit'
