"""Frames for an LMDB: read, checked and encoded; what worker processes do."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from satvsr_plugin.data.clip_lmdb import Encoding
from satvsr_plugin.data.clip_source import unlike_its_clip
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import encode_image, read_file, read_image
from satvsr_plugin.errors import DataError


class Frame(NamedTuple):
    """A frame to store."""

    clip: str
    file: str
    path: str
    format: FrameFormat  # that of its clip

    def __str__(self) -> str:
        return f'{self.clip}/{self.file}'


def encoder(encoding: Encoding, recompress: bool) -> Callable[[Frame], bytes | int]:
    """The function that turns a frame into what :func:`stored_content` takes; workers call it.

    It raises ``DataError`` where the file cannot be read, is not whole, or differs from the first frame of its clip
    in size, channels or bit depth.
    """
    return encode_pixels if encoding == 'raw' else encode_again if recompress else check_file


def stored_content(frame: Frame, encoded: bytes | int) -> bytes:
    """What is stored for a frame.

    Args:
        frame: the frame.
        encoded: its content, or the CRC-32 of its file, which is then read once more: from the system's cache that
            is several times as fast as sending its bytes from one process to another.

    Raises:
        DataError: the file is no longer the one that was checked.
    """
    if isinstance(encoded, bytes):
        return encoded
    content = read_file(frame.path, frame.path)
    if zlib.crc32(content) != encoded:
        raise DataError(f'{frame.path}: has changed while it was being read')
    return content


def check_file(frame: Frame) -> int:
    """Check an image file from its first to its last byte; returns its CRC-32."""
    content = read_file(frame.path, frame.path)
    _check_format(frame, check_image(content, frame.path))
    return zlib.crc32(content)


def encode_pixels(frame: Frame) -> bytes:
    """The planes of pixels, (c, h, w), colour as RGB, 16 bit as little-endian."""
    return decode_checked(frame).transpose(2, 0, 1).astype(frame.format.dtype, copy=False).tobytes()


def encode_again(frame: Frame) -> bytes:
    """The same pixels as a PNG packed as tightly as OpenCV can."""
    pixels = decode_checked(frame)
    return encode_image('.png', pixels, frame.path, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def decode_checked(frame: Frame) -> np.ndarray:
    """The (h, w, c) pixels of a frame's file; the decoder notices damage."""
    pixels = read_image(frame.path)
    _check_format(frame, FrameFormat.of(pixels))
    return pixels


def _check_format(frame: Frame, found: FrameFormat) -> None:
    if found != frame.format:
        raise DataError(unlike_its_clip(frame.path, found, frame.format))
