"""The one plane of a frame that all measures look at."""

from __future__ import annotations

import numpy as np

_OF_RGB = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, full range


def luma(image: np.ndarray) -> np.ndarray:
    """Luma of a frame in grey levels of 255.

    Args:
        image: (h, w, c) uint8 or uint16. Of three or more bands the first three are red, green and blue; of fewer the
            first one is taken.

    Returns:
        (h, w) float64 in [0, 255], not rounded.
    """
    plane = image[..., :3] @ _OF_RGB if image.shape[2] >= 3 else image[..., 0].astype(np.float64)
    return plane * (255 / np.iinfo(image.dtype).max)
