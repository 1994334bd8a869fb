"""Making LR frames from GT, as the authors of Jilin-189 did, and the bicubic pictures back at full size.

The release's LR frames are MATLAB's bicubic ``imresize``: both directions in float64 with a kernel widened by the
scale, replicated borders, one rounding (half up) at the end. What is made here equals them bit for bit. At scales
2, 4 and 8 the weights are dyadic fractions, so that the sums are exact in whatever order they are taken.
"""

from __future__ import annotations

import numpy as np

from satvsr_plugin.errors import DataError
from satvsr_plugin.ops.resize import bicubic_taps

SCALES = (2, 3, 4, 8)


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
    height, width = gt.shape[:2]
    if min(height, width) < scale:
        raise DataError(f'{width}x{height} pixels (width x height) are too few for the scale {scale}')
    if height % scale or width % scale:
        raise DataError(
            f'{width}x{height} pixels (width x height) are not a multiple of the scale {scale}; crop the frame to '
            f'{width // scale * scale}x{height // scale * scale} first (degrade_clips.py --crop does)'
        )
    return _resize(gt, 1 / scale, mirror=False)


def upsample(lr: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic interpolation back to full size, what every network is compared with; borders are mirrored.

    Args:
        lr: (h, w, c) uint8 or uint16.
        scale: how many times larger the result is.

    Returns:
        (h * scale, w * scale, c) array of the same type.
    """
    return _resize(lr, scale, mirror=True)


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cut rows at the bottom and columns at the right so that (h, w, c) are multiples of ``scale``; a view."""
    height, width = (size // scale * scale for size in image.shape[:2])
    return image[:height, :width]


def _resize(image: np.ndarray, scale: float, mirror: bool) -> np.ndarray:
    rows = _resize_rows(image, scale, mirror)  # (h', w, c)
    columns = _resize_rows(np.ascontiguousarray(rows.transpose(1, 0, 2)), scale, mirror)  # (w', h', c)
    rounded = np.floor(columns.transpose(1, 0, 2) + 0.5)  # np.round would take halves to the even number
    return np.clip(rounded, 0, np.iinfo(image.dtype).max).astype(image.dtype)


def _resize_rows(image: np.ndarray, scale: float, mirror: bool) -> np.ndarray:
    """Resample the first axis, tap by tap: whole rows are weighted and added, which is fast at any size."""
    indices, weights = bicubic_taps(image.shape[0], round(image.shape[0] * scale), scale, mirror)
    total = np.zeros((len(indices), *image.shape[1:]))
    product = np.empty_like(total)
    for tap in range(indices.shape[1]):
        np.multiply(image[indices[:, tap]], weights[:, tap, None, None], out=product)
        total += product
    return total
