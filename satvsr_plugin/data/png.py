"""PNG files as far as decoders do not help: their header, their checksums, and their first rows alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from satvsr_plugin.data.frame_format import FrameFormat

SIGNATURE = b'\x89PNG\r\n\x1a\n'
HEADER = '>IIBBBBB'  # width, height, bit depth, colour type, compression, filter, interlacing
MOST_FILTERS = 4  # the largest number that a row's filter can have
CHANNELS = {0: 1, 2: 3, 6: 4}  # by colour type: grey, RGB, RGBA; what decoders agree on


class PngError(Exception):
    """What is wrong with a PNG, as a part of a sentence."""


def chunks(content: bytes | memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and data of the chunks of a PNG, from the header to the last one, each checked with its CRC-32.

    Raises:
        PngError: the file is cut short or damaged.
    """
    view, position, kind = memoryview(content), len(SIGNATURE), b''
    while kind != b'IEND':
        if position + 12 > len(view):
            raise PngError('cut short')
        length, kind = struct.unpack_from('>I4s', view, position)
        end = position + 8 + length
        if end + 4 > len(view):  # or the length itself is wrong
            raise PngError('cut short or damaged')
        if zlib.crc32(view[position + 4:end]) != int.from_bytes(view[end:end + 4], 'big'):
            raise PngError(f'damaged: wrong checksum of its part at byte {position}')
        if position == len(SIGNATURE) and (kind, length) != (b'IHDR', struct.calcsize(HEADER)):
            raise PngError('damaged: no header')
        if position > len(SIGNATURE) and kind == b'IHDR':
            raise PngError('damaged: a second header')
        yield kind, view[position + 8:end]
        position = end + 4


def plain_format(header: bytes | memoryview) -> FrameFormat | None:
    """What a header says, or None for kinds whose pixels a decoder expands: palettes, grey with alpha, under 8 bit."""
    width, height, bit_depth, colour_type, *_ = struct.unpack(HEADER, header)
    if colour_type not in CHANNELS or bit_depth not in (8, 16):
        return None
    return FrameFormat(height, width, CHANNELS[colour_type], bit_depth)


def starts_well(pixels: bytes | memoryview) -> bool:
    """Whether the data of the first IDAT chunk begin as compressed rows do; to inflate all would take as long as half
    the decoding."""
    try:
        rows = zlib.decompressobj().decompress(pixels[:1024])
    except zlib.error:
        return False
    return not rows or rows[0] <= MOST_FILTERS


def first_rows(content: bytes | memoryview, rows: int, form: FrameFormat) -> bytes | None:
    """A PNG of the first rows of another one, not compressed.

    Its decoder does not have to inflate what lies below a training crop: 40 % of the file, on average.

    Args:
        content: the other one.
        rows: how many, at most ``form.height``.
        form: what the other one must be.

    Returns:
        The PNG, or None where this cannot be done: for other formats, interlaced files, damaged ones.
    """
    if content[:len(SIGNATURE)] != SIGNATURE:
        return None
    parts = chunks(content)
    try:
        _, header = next(parts)
        if header[-1] or plain_format(header) != form:  # the last byte: interlacing
            return None
        needed = rows * (1 + form.size // form.height)  # each row begins with the number of its filter
        pixels = bytearray()
        inflate = zlib.decompressobj()
        for kind, data in parts:
            if kind == b'tRNS':
                return None
            if kind == b'IDAT':
                pixels += inflate.decompress(data, needed - len(pixels))
            if len(pixels) == needed:
                break
    except (PngError, zlib.error, StopIteration):
        return None
    if len(pixels) < needed:
        return None
    short_header = struct.pack('>II', form.width, rows) + header[8:]
    return SIGNATURE + b''.join((_chunk(b'IHDR', short_header), _chunk(b'IDAT', zlib.compress(pixels, 0)),
                                 _chunk(b'IEND', b'')))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b''.join((struct.pack('>I', len(data)), kind, data, struct.pack('>I', zlib.crc32(data, zlib.crc32(kind)))))
