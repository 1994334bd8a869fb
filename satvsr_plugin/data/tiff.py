"""What a TIFF file holds: its pages, and which of them only GDAL reads right.

OpenCV reads no nodata areas, reads 3 bands that are not marked as RGB as grey and mixes alpha into 4 bands, all
without a word (seen with 5.0). Reading the few tags that tell such files apart needs no package.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from satvsr_plugin.errors import DataError

# TIFF 6.0, section 8 and supplements; GDAL's nodata value
SUBFILE_TYPE, BITS, PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES, SAMPLE_FORMAT, NODATA = 254, 258, 262, 277, 338, 339, 42113
REDUCED, MASK = 1, 4  # bits of SUBFILE_TYPE
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
ALPHA = 2  # of EXTRA_SAMPLES
NUMBERS = {3: 'H', 4: 'I', 16: 'Q'}  # kinds of values, in the notation of struct


class TiffPage(NamedTuple):
    """One picture in a TIFF file; overviews and masks are parts of the picture before them.

    Attributes:
        offset: where its directory begins in the file; ``GTIFF_DIR:off:OFFSET:FILE`` names it to GDAL.
        bands: samples a pixel.
        for_opencv: whether OpenCV reads its values as they are: grey, RGB or a palette, all of it data.
    """

    offset: int
    bands: int
    for_opencv: bool


class _Layout(NamedTuple):
    """How a classic TIFF or a BigTIFF stores its numbers."""

    order: str  # of bytes, in the notation of struct
    offset: str  # kind of number for places in the file and for counts of values
    tags: str  # kind of number for the count of tags in a directory
    entry: int  # bytes that a tag takes in a directory

    def read(self, file: BinaryIO, kind: str) -> int:
        form = self.order + kind
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def tiff_pages(path: Path) -> list[TiffPage]:
    """The pages of a TIFF file, in order; at least one.

    Raises:
        DataError: the file cannot be read, or is no TIFF file, or is damaged.
    """
    try:
        with open(path, 'rb') as file:
            directories = list(_directories(file))
    except OSError as error:
        raise DataError(f'{path}: cannot read the file: {error.strerror}') from error
    except (struct.error, KeyError, ValueError) as error:
        raise DataError(f'{path}: not a readable TIFF file (empty, cut short or damaged); restore the file') from error
    pages: list[TiffPage] = []
    for offset, tags in directories:
        kind = tags.get(SUBFILE_TYPE, 0)
        if not kind & (REDUCED | MASK):
            pages.append(_page(offset, tags))
        elif kind & MASK and not kind & REDUCED and pages:
            pages[-1] = pages[-1]._replace(for_opencv=False)
    if not pages:
        raise DataError(f'{path}: there is no picture in this TIFF file; restore the file')
    return pages


def is_misread(content: bytes | memoryview) -> bool:
    """Whether OpenCV decodes the first picture of a TIFF file to other values than it holds, and says nothing.

    Of bands that are not marked as colour it gives only one; colours of 8 bit it multiplies by alpha.
    """
    try:
        _, tags = next(_directories(io.BytesIO(content)))
    except (struct.error, KeyError, ValueError, StopIteration):
        return False  # damaged, which the decoder notices
    bands, photometric = tags.get(SAMPLES, 1), tags.get(PHOTOMETRIC, BLACK_IS_ZERO)
    multiplied = bands == 4 and tags.get(EXTRA_SAMPLES) == ALPHA and tags.get(BITS) == 8
    return multiplied or (bands > 1 and photometric not in (RGB, YCBCR))


def _page(offset: int, tags: dict[int, int]) -> TiffPage:
    bands, photometric = tags.get(SAMPLES, 1), tags.get(PHOTOMETRIC, BLACK_IS_ZERO)
    grey = bands == 1 and photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE)
    colour = bands == 3 and photometric in (RGB, YCBCR)
    unsigned = tags.get(SAMPLE_FORMAT, 1) == 1
    return TiffPage(offset, bands, (grey or colour) and unsigned and NODATA not in tags)


def _directories(file: BinaryIO) -> Iterator[tuple[int, dict[int, int]]]:
    """Offset of each directory in the file, and the first value of each of its tags."""
    layout = _read_layout(file)
    offset = layout.read(file, layout.offset)
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise ValueError('the chain of directories runs in a circle')
        seen.add(offset)
        file.seek(offset)
        count = layout.read(file, layout.tags)
        first = file.tell()
        tags = dict(_read_tag(file, layout, first + number * layout.entry) for number in range(count))
        yield offset, tags
        file.seek(first + count * layout.entry)
        offset = layout.read(file, layout.offset)


def _read_layout(file: BinaryIO) -> _Layout:
    """Read the head of the file, up to the offset of the first directory."""
    order = {b'II': '<', b'MM': '>'}[file.read(2)]
    version = _Layout(order, 'I', 'H', 12).read(file, 'H')
    if version == 42:
        return _Layout(order, 'I', 'H', 12)
    if version != 43:
        raise ValueError(f'version {version}')
    file.seek(8)
    return _Layout(order, 'Q', 'Q', 20)


def _read_tag(file: BinaryIO, layout: _Layout, place: int) -> tuple[int, int]:
    """Number of a tag and its first value; 0 for values that are no whole numbers."""
    file.seek(place)
    tag, kind = layout.read(file, 'H'), layout.read(file, 'H')
    count = layout.read(file, layout.offset)
    if kind not in NUMBERS:
        return tag, 0
    if count * struct.calcsize('=' + NUMBERS[kind]) > struct.calcsize('=' + layout.offset):
        file.seek(layout.read(file, layout.offset))
    return tag, layout.read(file, NUMBERS[kind])
