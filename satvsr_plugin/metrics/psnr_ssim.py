"""PSNR and SSIM as in the published tables on Jilin-189, for any bit depth and number of bands.

The protocol of those tables, which the defaults follow: pictures of 8 bit, Y channel of BT.601 in its limited range
(16..235), no border cropped. The mean over a clip's frames, then over clips, is the model's part. The toolbox's own
functions give the same numbers for 8-bit RGB, but know neither 16 bit nor unrounded results.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from basicsr.utils.registry import METRIC_REGISTRY

from satvsr_plugin.errors import DataError
from satvsr_plugin.metrics.pixels import Color, prepare_pair

_WINDOW = 11  # SSIM's Gaussian window, in pixels, and its standard deviation
_SIGMA = 1.5
_C1 = 0.01**2  # SSIM's two constants, for a peak of 1
_C2 = 0.03**2


@METRIC_REGISTRY.register()
def satvsr_psnr(
    img: np.ndarray,
    img2: np.ndarray,
    *,
    color: Color = 'y',
    crop_border: int = 0,
    quantize: bool = True,
    data_range: float | None = None,
    better: Literal['higher'] = 'higher',
) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean squared error), over all pixels of the chosen planes.

    Args:
        img: result, (h, w, bands) or (h, w), colour as BGR (the toolbox's order); uint8, uint16 or float in [0, 1].
        img2: ground truth, likewise; one may be float and the other an integer picture.
        color: ``y`` compares the Y channel (of grey pictures: the only one), ``rgb`` all bands, however many.
        crop_border: pixels left out along each of the four sides.
        quantize: clip float pictures to [0, 1] and round them (half up) to the levels of the integers, as saving them
            would. ``False`` takes them as they are, values outside [0, 1] included.
        data_range: the largest value that the integer pixels have, PSNR's peak. By default the largest that their type
            holds, 255 when both pictures are float; 4095, say, for 12 bit data in 16 bit files. Float 1.0 stands for
            the full range of the integer picture's type, as the data sets make it; of two float pictures, for the peak.
        better: read by the toolbox, which picks the best checkpoint by it and hands all options on; no other value.

    Returns:
        dB; ``inf`` for identical pictures, ``nan`` where a float picture holds one.

    Raises:
        OptionError: an option is out of its range or does not fit the pictures.
        DataError: the pictures differ in shape or bit depth, or are of an unsupported type.
    """
    first, second = prepare_pair(
        img, img2, color=color, crop_border=crop_border, quantize=quantize, data_range=data_range
    )
    error = float(np.mean(np.square(first - second)))
    return math.inf if error == 0 else -10 * math.log10(error)


@METRIC_REGISTRY.register()
def satvsr_ssim(
    img: np.ndarray,
    img2: np.ndarray,
    *,
    color: Color = 'y',
    crop_border: int = 0,
    quantize: bool = True,
    data_range: float | None = None,
    better: Literal['higher'] = 'higher',
) -> float:
    """Structural similarity of Wang et al., IEEE TIP 2004: mean of the map, over the window's valid region.

    11x11 Gaussian window with sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03; of several bands the mean.
    The arguments and errors are those of :func:`satvsr_psnr`; besides, pictures below 11x11 pixels are a ``DataError``.

    Returns:
        Similarity in [-1, 1]; 1 for identical pictures.
    """
    first, second = prepare_pair(
        img, img2, color=color, crop_border=crop_border, quantize=quantize, data_range=data_range
    )
    height, width, bands = first.shape
    if min(height, width) < _WINDOW:
        raise DataError(
            f'SSIM needs at least {_WINDOW}x{_WINDOW} pixels, there are {height}x{width} '
            f'(crop_border: {crop_border}); use larger pictures or a smaller crop_border'
        )
    return float(np.mean([_ssim_of_plane(first[..., band], second[..., band]) for band in range(bands)]))


def _ssim_of_plane(x: np.ndarray, y: np.ndarray) -> float:
    """Mean SSIM of two (h, w) planes in units of the peak; eq. 13 of the paper."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    mean_xy, mean_squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = _window_mean(x * y) - mean_xy
    variances = _window_mean(x * x + y * y) - mean_squares  # of x and y together: only their sum is needed
    luminance = (2 * mean_xy + _C1) / (mean_squares + _C1)
    return float(np.mean(luminance * (2 * covariance + _C2) / (variances + _C2)))


def _window_mean(plane: np.ndarray) -> np.ndarray:
    """Gaussian-weighted mean around every pixel whose window lies inside: (h, w) to (h - 10, w - 10)."""
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA)
    half = _WINDOW // 2
    return cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel)[half:-half, half:-half]


# The model hands float results over as they are: rounding them is decided here, by `quantize`.
satvsr_psnr.takes_float = True
satvsr_ssim.takes_float = True
