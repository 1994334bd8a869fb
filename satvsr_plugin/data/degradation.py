"""Making LR frames from GT, as the authors of Jilin-189 did, and the bicubic pictures back at full size.

The release's LR frames are MATLAB's bicubic ``imresize``: both directions in float64 with a kernel widened by the
scale, replicated borders, one rounding (half up) at the end. What is made here equals them bit for bit, in whatever
order the sums are taken: at scales 2, 4 and 8 all weights are multiples of 1/65536, so that sums of 16-bit pixels are
exact in float64. At scale 3 they are multiples of 1/81; results are multiples of 1/6561, which is odd, so that none
lies nearer than 1/13122 to a half, and an error of 1e-10 cannot turn the rounding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from satvsr_plugin.data.degradation_taps import Block, Taps, as_blocks, chained, gaussian_taps, resample
from satvsr_plugin.errors import DataError
from satvsr_plugin.ops.resize import bicubic_taps

SCALES = (2, 3, 4, 8)
Kind = Literal['bicubic', 'bd']
KINDS: tuple[Kind, ...] = get_args(Kind)


def downsample(gt: np.ndarray, scale: int) -> np.ndarray:
    """Degrade a GT frame to LR.

    Args:
        gt: (h, w, c) uint8 or uint16; h and w multiples of ``scale``.
        scale: how many times smaller LR is, one of ``SCALES`` or any other whole number from 2.

    Returns:
        (h / scale, w / scale, c) array of the same type.

    Raises:
        DataError: the size is not a multiple of the scale, or smaller than it.
    """
    return shrink(gt, scale, dtype=gt.dtype)


def shrink(
    gt: np.ndarray, scale: int, kind: Kind = 'bicubic', blur: float = 0.0, dtype: np.dtype | type = np.float64
) -> np.ndarray:
    """Blur a GT frame and make it smaller.

    ``bicubic`` is that of :func:`downsample`. ``bd``, for blur and decimation, takes the first pixel of every
    ``scale``, at rows and columns 0, scale, 2 * scale, ..., as VSR-DUF (Jo et al., CVPR 2018) does: its LR frames lie
    (scale - 1) / 2 GT pixels further up and left than bicubic ones.

    Args:
        gt: (h, w, c), any number type; h and w multiples of ``scale``.
        scale: how many times smaller LR is.
        kind: how it is made smaller.
        blur: standard deviation in GT pixels of the Gaussian before it; 13 x 13 taps at 1.6, and the frame mirrored
            at its border without repeating the border's pixel, both as VSR-DUF has it. 0 for none.
        dtype: of the result.

    Returns:
        (h / scale, w / scale, c) array of ``dtype``: float64 as it comes, integers rounded half up and clipped.

    Raises:
        DataError: the size is not a multiple of the scale, or smaller than it.
    """
    height, width = gt.shape[:2]
    if min(height, width) < scale:
        raise DataError(f'{width}x{height} pixels (width x height) are too few for the scale {scale}')
    if height % scale or width % scale:
        raise DataError(
            f'{width}x{height} pixels (width x height) are not a multiple of the scale {scale}; crop the frame to '
            f'{width // scale * scale}x{height // scale * scale} first (degrade_clips.py --crop does)'
        )
    rows, columns = (_shrinking(size, scale, kind, blur) for size in (height, width))
    return resample(gt, rows, columns, dtype)


def upsample(lr: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic interpolation back to full size, what every network is compared with; borders are mirrored.

    Args:
        lr: (h, w, c) uint8 or uint16.
        scale: how many times larger the result is.

    Returns:
        (h * scale, w * scale, c) array of the same type.
    """
    rows, columns = (_enlarging(size, scale) for size in lr.shape[:2])
    return resample(lr, rows, columns, lr.dtype)


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cut rows at the bottom and columns at the right so that (h, w, c) are multiples of ``scale``; a view."""
    height, width = (size // scale * scale for size in image.shape[:2])
    return image[:height, :width]


@lru_cache(maxsize=64)  # frames of a clip, and mostly of all clips, are of one size
def _shrinking(size: int, scale: int, kind: Kind, blur: float) -> list[Block]:
    if kind == 'bd':
        return as_blocks(gaussian_taps(size, blur, step=scale))
    bicubic = Taps(*bicubic_taps(size, size // scale, 1 / scale))
    return as_blocks(chained(gaussian_taps(size, blur), bicubic) if blur else bicubic)


@lru_cache(maxsize=64)
def _enlarging(size: int, scale: int) -> list[Block]:
    return as_blocks(Taps(*bicubic_taps(size, size * scale, scale, mirror=True)))
