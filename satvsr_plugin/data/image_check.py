"""Is an image file whole, and what is in it? For PNG the file's own checksums tell, without decoding."""

from __future__ import annotations

from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import decode_image
from satvsr_plugin.data.png import SIGNATURE, PngError, chunks, plain_format, starts_well
from satvsr_plugin.errors import DataError

LARGEST = 2**30  # pixels that OpenCV decodes


def check_image(content: bytes | memoryview, name: str) -> FrameFormat:
    """Check an encoded image from its first to its last byte.

    Every chunk of a PNG carries a CRC-32, so that damage is found seventy times as fast as by decoding. What was wrong
    when the checksums were made is found only where the pixels begin; ``check_dataset.py`` decodes every frame. Kinds
    of PNG whose number of channels depends on the decoder (palettes, grey with alpha, less than 8 bit, a transparent
    colour), and other formats, are decoded.

    Args:
        content: the bytes of the image file.
        name: how errors name the image.

    Raises:
        DataError: the image is empty, cut short or damaged, or of a type that the data sets do not take.
    """
    if content[:len(SIGNATURE)] != SIGNATURE:
        return FrameFormat.of(decode_image(content, name))
    try:
        parts: dict[bytes, memoryview] = {}
        for kind, data in chunks(content):
            parts.setdefault(kind, data)
        if b'IDAT' not in parts:
            raise PngError('damaged: no pixels')
        if not starts_well(parts[b'IDAT']):
            raise PngError('damaged: its pixels are not compressed as PNG has it')
    except PngError as error:
        raise DataError(f'{name}: not a readable image (a PNG of {len(content)} bytes, {error}); restore the file'
                        ) from error
    form = plain_format(parts[b'IHDR'])
    if form and not 0 < form.height * form.width <= LARGEST:
        raise DataError(f'{name}: not a readable image (its header says {form}); restore the file')
    return FrameFormat.of(decode_image(content, name)) if form is None or b'tRNS' in parts else form
