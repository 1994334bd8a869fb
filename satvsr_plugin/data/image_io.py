"""Reading and writing single images: RGB, grey or several bands, 8 or 16 bit."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.data.tiff import is_misread
from satvsr_plugin.errors import DataError

if 'OPENCV_LOG_LEVEL' not in os.environ:
    # OpenCV prints a line for every GeoTIFF tag that it does not know, at every frame; what is really wrong with an
    # image the errors below say.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

IMAGE_SUFFIXES = ('.png', '.tif', '.tiff', '.bmp', '.jpg', '.jpeg')


def decode_image(content: bytes | memoryview, name: str) -> np.ndarray:
    """Decode an encoded image (PNG, TIFF, ...).

    Args:
        content: the bytes of the image file.
        name: how errors name the image, e.g. ``000/017.png``.

    Returns:
        (h, w, c) array, uint8 in [0, 255] or uint16 in [0, 65535]; colour is RGB (RGBA with four bands).

    Raises:
        DataError: the bytes are not a readable image, or one that OpenCV reads wrongly, or its pixels are not 8 or
            16 bit integers.
    """
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    except cv2.error:  # the header claims a size that OpenCV does not read, or that memory does not hold
        image = None
    if image is None:
        raise DataError(f'{name}: not a readable image (empty, cut short or damaged); restore the file')
    if content[:2] in (b'II', b'MM') and is_misread(content):
        raise DataError(f'{name}: OpenCV would read the bands of this TIFF wrongly, since they are not marked as RGB, '
                        'or one of them as alpha; convert it with gdal_translate -co PHOTOMETRIC=RGB -co ALPHA=NO '
                        'IN.tif OUT.tif, or with extract_clips.py')
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(f'{name}: pixels are {image.dtype}; only 8 and 16 bit unsigned integers are supported')
    return _swap_red_and_blue(image[..., None] if image.ndim == 2 else image)


def read_image(path: str | Path, name: str | None = None) -> np.ndarray:
    """Read an image file; see :func:`decode_image`.

    Raises:
        DataError: the file is missing, cannot be opened or is not a readable image.
    """
    return decode_image(read_file(path, name or str(path)), name or str(path))


def read_file(path: str | Path, name: str) -> bytes:
    """The bytes of an image file; ``name`` is how errors name it.

    Raises:
        DataError: the file is missing or cannot be opened.
    """
    stat_file(path, name)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f'{name}: cannot read the file: {error.strerror}') from error


def stat_file(path: str | Path, name: str | None = None) -> os.stat_result:
    """Size and times of a file; ``name`` is how errors name it.

    Raises:
        DataError: it is missing, or no file: to read a pipe would take for ever.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise DataError(f'{name or path}: cannot read the file: {error.strerror}') from error
    except ValueError as error:  # a name that no file can have
        raise DataError(f'{name or path}: cannot be a file: {error}') from error
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f'{name or path}: is not a file; move it away')
    return found


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image so that a half-written file is never seen under its final name.

    Args:
        path: where to; the suffix chooses the format, missing folders are made.
        image: (h, w, c) or (h, w), uint8 or uint16, colour as RGB.

    Raises:
        DataError: the image cannot be encoded or the file cannot be written.
    """
    path = Path(path)
    encoded = encode_image(path.suffix, image, str(path))
    try:
        with written_beside(path) as partial:
            partial.write_bytes(encoded)
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error


def encode_image(suffix: str, image: np.ndarray, name: str, settings: Sequence[int] = ()) -> bytes:
    """Encode an image.

    Args:
        suffix: chooses the format, e.g. ``.png``.
        image: (h, w, c) or (h, w), uint8 or uint16, colour as RGB.
        name: how errors name the image.
        settings: OpenCV's pairs of parameter and value.

    Raises:
        DataError: the format does not take such an image.
    """
    image = image if image.ndim == 3 else image[..., None]
    try:
        ok, encoded = cv2.imencode(suffix, _swap_red_and_blue(image), settings)
    except cv2.error:  # e.g. of two bands; other faults make ok false
        ok = False
    if not ok:
        raise DataError(f'{name}: cannot encode an image of shape {image.shape} and type {image.dtype}; '
                        'PNG and TIFF take 1, 3 or 4 bands of 8 or 16 bit')
    return encoded.tobytes()


def _swap_red_and_blue(image: np.ndarray) -> np.ndarray:
    """RGB(A) <-> BGR(A), OpenCV's order; other band counts stay as they are."""
    code = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(image.shape[2])
    return image if code is None else cv2.cvtColor(image, code)  # twenty times as fast as numpy's reversed copy
