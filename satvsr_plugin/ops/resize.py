"""Bicubic resampling as MATLAB's ``imresize`` does it.

Keys' cubic kernel (a = -0.5), widened by the scale when shrinking (anti-aliasing), weights normalised to sum 1,
pixel centres aligned. What lies outside the image differs between MATLAB's releases: older ones replicate the
border, as the LR frames of Jilin-189 show; today's mirror the image, as the published scores of bicubic on them do.
"""

from __future__ import annotations

import numpy as np


def cubic_kernel(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5; zero outside [-2, 2]."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def bicubic_taps(size_in: int, size_out: int, scale: float, mirror: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Source indices and weights of every output sample along one axis.

    Args:
        size_in: number of input samples.
        size_out: number of output samples.
        scale: output over input sampling rate: 0.25 makes LR x4 from GT, 4 is bicubic back to full size.
        mirror: mirror the image at its borders instead of replicating the outermost sample.

    Returns:
        indices: (size_out, taps) int in [0, size_in - 1].
        weights: (size_out, taps) float64, each row sums to 1.
    """
    stretch = min(scale, 1.0)  # the kernel is widened by 1/scale when shrinking
    width = 4.0 / stretch
    centre = (np.arange(size_out) + 0.5) / scale - 0.5
    first = np.floor(centre - width / 2).astype(int)
    indices = first[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = stretch * cubic_kernel(stretch * (centre[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.any(weights != 0, axis=0)
    outside = mirrored if mirror else replicated
    return outside(indices[:, used], size_in), weights[:, used]


def replicated(indices: np.ndarray, size: int) -> np.ndarray:
    """Sample indices with those outside the image moved to its outermost sample."""
    return np.clip(indices, 0, size - 1)


def mirrored(indices: np.ndarray, size: int) -> np.ndarray:
    """Sample indices with those outside the image mirrored at its edge: ... 1 0 | 0 1 2 ..."""
    position = indices % (2 * size)
    return np.minimum(position, 2 * size - 1 - position)
