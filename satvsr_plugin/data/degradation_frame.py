"""One GT frame into its LR frame, with everything a :class:`Degradation` can ask for."""

from __future__ import annotations

from itertools import chain

import cv2
import numpy as np

from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.degradation import shrink
from satvsr_plugin.data.degradation_blur import anisotropic_blur
from satvsr_plugin.data.degradation_options import Degradation, random_numbers
from satvsr_plugin.data.degradation_taps import rounded
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import decode_image, encode_image

JPEG_CHANNELS = (1, 3)


def degrade(gt: np.ndarray, degradation: Degradation, clip: str, frame: str) -> np.ndarray:
    """Blur, shrink, add noise, round, compress.

    Args:
        gt: (h, w, c) uint8 or uint16, colour as RGB; h and w multiples of the scale.
        degradation: the settings.
        clip: name of the clip, which decides what it draws.
        frame: file name of the frame; it decides, with the clip's and without its suffix, what the noise is.

    Returns:
        (h / scale, w / scale, c) array of the same type.

    Raises:
        DataError: the size does not fit the scale, or JPEG cannot hold such a frame.
    """
    drawn = degradation.draw(clip)
    values, blur = gt, drawn.blur
    if drawn.across is not None and drawn.angle is not None:
        values, blur = anisotropic_blur(gt, blur, drawn.across, drawn.angle), 0.0
    if drawn.noise:
        values = shrink(values, degradation.scale, degradation.kind, blur)
        grey_level = np.iinfo(gt.dtype).max / 255
        noise = random_numbers(degradation.seed, clip, frame_key(frame)).normal(0, drawn.noise, values.shape)
        lr = rounded(values + noise * grey_level, gt.dtype)
    else:
        lr = shrink(values, degradation.scale, degradation.kind, blur, gt.dtype)
    return lr if drawn.jpeg is None else compressed(lr, drawn.jpeg, f'{clip}/{frame}')


def compressed(image: np.ndarray, quality: int, name: str) -> np.ndarray:
    """What is left of an image, (h, w, 1 or 3) uint8, after JPEG; ``name`` is how errors name it."""
    settings = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    }
    return decode_image(encode_image('.jpg', image, name, [*chain.from_iterable(settings.items())]), name)


def fits_jpeg(form: FrameFormat) -> bool:
    """Whether JPEG can hold such frames; OpenCV would silently make 16 bit 8, and drop a fourth channel."""
    return form.bit_depth == 8 and form.channels in JPEG_CHANNELS
