"""Makes pictures of any depth and number of bands fit for a screen."""

from __future__ import annotations

import numpy as np


def peak_of(reference: np.ndarray) -> int:
    """The value to show as white: 255 of 8 bit; the largest of 16 bit, whose files often hold 10 to 12 bit data."""
    return 255 if reference.dtype == np.uint8 else max(int(reference.max()), 1)


def displayable(image: np.ndarray, peak: int) -> np.ndarray:
    """(..., bands) of any depth to (..., 3) uint8 RGB: the first three bands, or the first alone as grey."""
    bands = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    if bands.dtype == np.uint8 and peak == 255:
        return np.ascontiguousarray(bands)
    return np.ascontiguousarray(np.clip(bands / peak * 255 + 0.5, 0, 255).astype(np.uint8))


def enlarge(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Repeat every row and every column, so that a pixel becomes a rectangle of one colour."""
    return image.repeat(rows, axis=0).repeat(columns, axis=1)
