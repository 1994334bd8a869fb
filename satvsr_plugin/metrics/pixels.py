"""From two pictures to what PSNR and SSIM compare: rounded, cropped, Y or all bands, in units of the peak."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from satvsr_plugin.errors import DataError, OptionError

Color = Literal['y', 'rgb']

# ITU-R BT.601, limited range: Y in [16, 235] of 255 for R, G, B in [0, 1]; the order is the toolbox's, B G R.
_Y_OF_BGR = np.array([24.966, 128.553, 65.481]) / 255
_Y_OFFSET = 16 / 255


def prepare_pair(
    img: np.ndarray,
    img2: np.ndarray,
    *,
    color: Color,
    crop_border: int,
    quantize: bool,
    data_range: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Check two pictures and bring them to the planes that the metrics compare.

    The arguments are those of :func:`satvsr_plugin.metrics.satvsr_psnr`.

    Returns:
        Both as (h, w, planes) float64, where 1 stands for the peak; one plane for ``color='y'``.

    Raises:
        OptionError: an option is out of its range or does not fit the pictures.
        DataError: shapes or pixel types do not fit each other or are not supported.
    """
    _check_options(color, crop_border, data_range)
    _check_pictures(img, img2)
    full_scale = _integer_maximum(img, img2) or data_range or 255
    peak = data_range or full_scale
    pair = [_crop(picture, crop_border) for picture in (img, img2)]
    pair = [_in_peaks(picture, full_scale, peak, quantize) for picture in pair]
    return (_to_luma(pair[0]), _to_luma(pair[1])) if color == 'y' else (pair[0], pair[1])


def _check_options(color: str, crop_border: int, data_range: float | None) -> None:
    if color not in ('y', 'rgb'):
        raise OptionError(f"color: must be 'y' or 'rgb', not {color!r}")
    if type(crop_border) is not int or crop_border < 0:
        raise OptionError(f'crop_border: must be a whole number of pixels, 0 or more, not {crop_border!r}')
    if data_range is None:
        return
    # data_range: 1 is how other libraries call float pictures; here it would round every pixel to black or white.
    is_number = isinstance(data_range, int | float) and not isinstance(data_range, bool)
    if not is_number or not math.isfinite(data_range) or data_range <= 1:
        raise OptionError(
            f'data_range: must be the largest pixel value that the integers can hold, such as 255, 4095 or 65535, '
            f'not {data_range!r}'
        )


def _check_pictures(img: np.ndarray, img2: np.ndarray) -> None:
    for picture in (img, img2):
        if picture.ndim not in (2, 3) or picture.size == 0:
            raise DataError(f'a picture of shape {picture.shape} cannot be scored; expected (h, w) or (h, w, bands)')
        if picture.dtype not in (np.uint8, np.uint16) and not np.issubdtype(picture.dtype, np.floating):
            raise DataError(f'pixels of type {picture.dtype} cannot be scored; expected uint8, uint16 or float')
    # A grey picture may come as (h, w) or as (h, w, 1): the model's output and the file differ in that.
    if _as_bands(img).shape != _as_bands(img2).shape:
        raise DataError(
            f'the two pictures differ in shape: {img.shape} and {img2.shape}; '
            f'check that result and GT belong to the same frame and scale'
        )
    if {img.dtype, img2.dtype} == {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise DataError('one picture has 8 bit and the other 16 bit; save both with the same bit depth')


def _integer_maximum(img: np.ndarray, img2: np.ndarray) -> int | None:
    """The largest value of the integer picture's type; None when both are float."""
    integers = [picture.dtype for picture in (img, img2) if np.issubdtype(picture.dtype, np.integer)]
    return int(np.iinfo(integers[0]).max) if integers else None


def _as_bands(picture: np.ndarray) -> np.ndarray:
    return picture[..., None] if picture.ndim == 2 else picture


def _crop(picture: np.ndarray, border: int) -> np.ndarray:
    """Take ``border`` pixels off each of the four sides; (h, w) becomes (h, w, 1)."""
    height, width = picture.shape[:2]
    if 2 * border >= min(height, width):
        raise OptionError(f'crop_border: {border} leaves nothing of a picture of {height}x{width} pixels')
    return _as_bands(picture)[border : height - border, border : width - border]


def _in_peaks(picture: np.ndarray, full_scale: float, peak: float, quantize: bool) -> np.ndarray:
    """To float64 in units of the peak; float pictures are clipped and rounded half up to integers if asked.

    Args:
        picture: integers, or floats whose 1 stands for ``full_scale``.
        full_scale: the largest value that the pixel type holds.
        peak: the largest value that the data have; below ``full_scale`` for 12 bit data in 16 bit files.
        quantize: whether to round float pictures.
    """
    if np.issubdtype(picture.dtype, np.integer):
        if picture.max() > peak:
            raise DataError(f'pixel value {picture.max()} is above data_range {peak:g}; set it to the true peak')
        return picture / peak
    picture = picture.astype(np.float64)
    return np.floor(np.clip(picture, 0, 1) * full_scale + 0.5) / peak if quantize else picture * (full_scale / peak)


def _to_luma(picture: np.ndarray) -> np.ndarray:
    """(h, w, 3) BGR to (h, w, 1) Y, not rounded; a grey picture is its own Y."""
    bands = picture.shape[2]
    if bands == 1:
        return picture
    if bands != 3:
        raise OptionError(f"color: 'y' needs pictures of 3 bands or 1, these have {bands}; set color: rgb")
    return (picture @ _Y_OF_BGR + _Y_OFFSET)[..., None]
