"""Noise over time: what changes from frame to frame where nothing moves."""

from __future__ import annotations

import numpy as np

from satvsr_plugin.data.measures.motion import margin_of, noise_gain, resample

SQUARE = 16  # px


def temporal_noise(before: np.ndarray, after: np.ndarray, drift: tuple[float, float]) -> float | None:
    """Standard deviation of the noise of a frame, from two consecutive ones.

    Their difference after the drift is taken back, without its mean, in squares of 16x16 px; the median over the
    squares, since what moves changes few of them; over the root of 2, or a little less where interpolation has
    smoothed one of the frames. White noise is found to a few hundredths of its deviation. Noise of 8-bit frames
    contains their rounding (0.29 levels a band).

    Args:
        before: (h, w) luma.
        after: likewise, (h, w).
        drift: of :func:`~satvsr_plugin.data.measures.motion.find_drift`.

    Returns:
        In the unit of the luma; None where the frames share less than one square.
    """
    margin = margin_of(drift)
    difference = (resample(after, *drift) - before)[margin:-margin, margin:-margin]
    rows, columns = (size // SQUARE for size in difference.shape)
    if not rows or not columns:
        return None
    squares = difference[:rows * SQUARE, :columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE)
    deviation = squares.transpose(0, 2, 1, 3).reshape(rows * columns, -1).std(axis=1, ddof=1)
    return float(np.median(deviation) / np.sqrt(1 + noise_gain(*drift)))
