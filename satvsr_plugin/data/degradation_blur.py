"""Gaussian blur that is wider in one direction than across it, as by motion or by optics out of line."""

from __future__ import annotations

import cv2
import numpy as np


def anisotropic_blur(image: np.ndarray, along: float, across: float, angle: float) -> np.ndarray:
    """Blur a frame; border as in :func:`~satvsr_plugin.data.degradation_taps.gaussian_taps`.

    Args:
        image: (h, w, c), any number type.
        along: standard deviation in pixels in the direction of ``angle``, at least half a pixel.
        across: standard deviation at right angles to it, at least half a pixel.
        angle: in degrees, counter-clockwise from the right, as one sees the picture.

    Returns:
        (h, w, c) float64.
    """
    kernel = gaussian_kernel(along, across, angle)
    bands = [cv2.filter2D(np.ascontiguousarray(image[..., band], float), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
             for band in range(image.shape[2])]
    return np.stack(bands, axis=-1)


def gaussian_kernel(along: float, across: float, angle: float) -> np.ndarray:
    """The weights, (n, n) with n odd, of sum 1; arguments as for :func:`anisotropic_blur`."""
    radius = int(4 * max(along, across) + 0.5)
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    u, v = right * cosine - down * sine, right * sine + down * cosine
    kernel = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    return kernel / kernel.sum()
