"""How far LR frames are from our degradation of their GT."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

# Rows and columns of LR that reach beyond the border of GT, at any scale: the only ones that show how the border
# was continued.
BORDER = 2


class Deviation(NamedTuple):
    """Differences of one or more LR frames to our degradation of GT.

    Attributes:
        frames: number of LR frames.
        samples: number of their pixels times channels.
        differing: samples that differ.
        inner: samples that are no border.
        inner_differing: those of them that differ.
        largest: largest absolute difference in grey levels.
        total: sum of absolute differences in grey levels.
        squares: sum of squared differences, relative to the peak (255 or 65535).
    """

    frames: int = 0
    samples: int = 0
    differing: int = 0
    inner: int = 0
    inner_differing: int = 0
    largest: int = 0
    total: int = 0
    squares: float = 0.0

    @property
    def share(self) -> float:
        """Share of samples that differ, from 0 to 1."""
        return self.differing / self.samples if self.samples else 0.0

    @property
    def mean(self) -> float:
        """Mean absolute difference in grey levels."""
        return self.total / self.samples if self.samples else 0.0

    @property
    def psnr(self) -> float:
        """PSNR in dB over all samples; infinite where none differs."""
        return -10 * math.log10(self.squares / self.samples) if self.squares else math.inf

    @property
    def at_borders_only(self) -> bool:
        """Whether samples differ, but none off the borders."""
        return self.differing > 0 and self.inner > 0 and not self.inner_differing


def compare(lq: np.ndarray, made: np.ndarray) -> Deviation:
    """Compare an LR frame with our degradation of its GT.

    Args:
        lq: (h, w, c) uint8 or uint16.
        made: the same shape and type.
    """
    difference = np.abs(lq.astype(np.int32) - made)
    inner = difference[BORDER:-BORDER, BORDER:-BORDER]
    differing = int(np.count_nonzero(difference))
    if not differing:
        return Deviation(1, lq.size, inner=inner.size)
    peak = np.iinfo(lq.dtype).max
    return Deviation(1, lq.size, differing, inner.size, int(np.count_nonzero(inner)), int(difference.max()),
                     int(difference.sum(dtype=np.int64)), float(np.square(difference / peak).sum()))


def pooled(deviations: Iterable[Deviation]) -> Deviation:
    """The deviation of several frames together."""
    total = Deviation()
    for one in deviations:
        sums = Deviation._make(a + b for a, b in zip(total, one, strict=True))
        total = sums._replace(largest=max(total.largest, one.largest))
    return total
