"""PNGs without a decoder: damage anywhere is found, and their first rows are taken alone."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from small_clips import lr_frame

from satvsr_plugin.data import image_check
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import decode_image, encode_image
from satvsr_plugin.data.png import SIGNATURE, first_rows
from satvsr_plugin.errors import DataError


def png(channels: int = 3, dtype: type = np.uint8) -> bytes:
    return encode_image('.png', lr_frame(0, 0, channels=channels, dtype=dtype), 'test')


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def unusual_png(colour_type: int, depth: int, row: bytes, *extra: bytes) -> bytes:
    """A PNG of 4x2 equal rows, of a kind that OpenCV does not write."""
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', 4, 2, depth, colour_type, 0, 0, 0))
    pixels = chunk(b'IDAT', zlib.compress(2 * (b'\0' + row)))
    return SIGNATURE + b''.join((header, *extra, pixels, chunk(b'IEND', b'')))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_format_is_read_from_the_header_alone(channels: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_check, 'decode_image', None)
    assert check_image(png(channels, dtype), 'x') == (12, 16, channels, 8 * np.dtype(dtype).itemsize)


@pytest.mark.parametrize('content', [
    unusual_png(3, 8, b'\0\1\0\1', chunk(b'PLTE', b'\1\2\3\4\5\6')),
    unusual_png(0, 1, b'\xa0'),
    unusual_png(4, 8, bytes(8)),
    unusual_png(2, 8, bytes(12), chunk(b'tRNS', bytes(6))),
], ids=['palette', 'one bit', 'grey with alpha', 'transparent colour'])
def test_kinds_that_decoders_expand_are_as_decoded(content: bytes) -> None:
    assert check_image(content, 'x') == FrameFormat.of(decode_image(content, 'x'))


def test_other_formats_are_decoded() -> None:
    content = encode_image('.tif', lr_frame(0, 0, dtype=np.uint16), 'test')
    assert check_image(content, 'x') == (12, 16, 3, 16)
    with pytest.raises(DataError, match='x: not a readable image'):
        check_image(content[:len(content) // 2], 'x')
    with pytest.raises(DataError, match='x: not a readable image'):
        check_image(b'', 'x')


def test_every_changed_byte_and_every_length_is_found() -> None:
    content = png()
    for position in range(len(SIGNATURE), len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        with pytest.raises(DataError, match='x: not a readable image .*damaged'):
            check_image(bytes(changed), 'x')
    for length in range(len(content)):
        with pytest.raises(DataError, match='x: not a readable image'):
            check_image(content[:length], 'x')
    assert check_image(content + b'what some programs append', 'x') == (12, 16, 3, 8)


@pytest.mark.parametrize(('chunks', 'what'), [
    ((chunk(b'IDAT', b''),), 'no header'),
    ((chunk(b'IHDR', bytes(12)),), 'no header'),
    ((chunk(b'IHDR', bytes(13)), chunk(b'IEND', b'')), 'no pixels'),
])
def test_chunks_that_are_sound_but_make_no_picture(chunks: tuple[bytes, ...], what: str) -> None:
    with pytest.raises(DataError, match=f'damaged: {what}'):
        check_image(SIGNATURE + b''.join(chunks), 'x')


def test_a_png_that_passes_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksums stand for the decoder: what one finds, the other finds too."""
    content = png()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 4
    assert cv2.imdecode(np.frombuffer(bytes(changed), np.uint8), cv2.IMREAD_UNCHANGED) is None


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_first_rows_are_those_of_the_whole(channels: int, dtype: type) -> None:
    image = np.cumsum(lr_frame(0, 0, 40, 33, channels, dtype) // 64, axis=0, dtype=dtype)  # smooth: all row filters
    content = encode_image('.png', image, 'test')
    for rows in (1, 2, 17, 39, 40):
        shortened = first_rows(memoryview(content), rows, FrameFormat.of(image))
        np.testing.assert_array_equal(decode_image(shortened, 'x'), image[:rows])


def test_first_rows_only_of_what_is_sound_and_alike() -> None:
    form = FrameFormat(12, 16, 3, 8)
    content = png()
    assert first_rows(content, 12, form) is not None
    assert first_rows(content, 5, form._replace(height=13)) is None
    assert first_rows(png(channels=4), 5, form) is None
    assert first_rows(encode_image('.bmp', lr_frame(0, 0), 'x'), 5, form) is None
    changed = bytearray(content)
    changed[60] ^= 1
    assert first_rows(bytes(changed), 5, form) is None
    assert first_rows(content[:len(content) // 2], 5, form) is None and first_rows(b'', 5, form) is None
    transparent = unusual_png(2, 8, bytes(12), chunk(b'tRNS', bytes(6)))
    assert first_rows(transparent, 1, FrameFormat(2, 4, 3, 8)) is None
    interlaced = bytearray(content)
    interlaced[28] = 1
    interlaced[29:33] = struct.pack('>I', zlib.crc32(interlaced[12:29]))
    assert first_rows(bytes(interlaced), 5, form) is None


@pytest.mark.parametrize('size', [(0, 4), (2**31 - 1, 2**31 - 1)])
def test_headers_that_claim_impossible_sizes(size: tuple[int, int]) -> None:
    content = SIGNATURE + b''.join((chunk(b'IHDR', struct.pack('>IIBBBBB', *size, 8, 2, 0, 0, 0)),
                                    chunk(b'IDAT', b''), chunk(b'IEND', b'')))
    with pytest.raises(DataError, match='x: not a readable image .its header says'):
        check_image(content, 'x')
