"""Image files as a video: a file a frame, or TIFF files of several pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.data.tiff import tiff_pages
from satvsr_plugin.data.video.raster import read_raster
from satvsr_plugin.data.video.source import BandNumbers, Bands, Frame, Video, pick_bands

TIFF_SUFFIXES = ('.tif', '.tiff')


class _Picture(NamedTuple):
    """Where a frame lies."""

    name: str
    path: Path
    for_opencv: bool = True
    offset: int | None = None  # of the page, in files of several pages
    bands: BandNumbers | None = None

    def read(self) -> Frame:
        if self.for_opencv:
            return Frame(self.name, pick_bands(read_image(self.path, self.name), self.bands, self.name))
        return Frame(self.name, *read_raster(self.path, self.offset, self.bands, self.name))


class ImageSequence(Video):
    """The frames that image files hold, in the order of the files and of their pages.

    PNG, JPEG, BMP and plain TIFF are read by OpenCV; TIFF files of several pages, with nodata areas, masks or bands
    that are not plain grey or RGB by rasterio.

    Args:
        name: how messages name the sequence.
        paths: the files; at least one.
        bands: which bands make the picture.

    Raises:
        DataError: a TIFF file is damaged, or the first frame cannot be read.
    """

    def __init__(self, name: str, paths: Sequence[Path], bands: Bands = None) -> None:
        self._pictures = [picture for path in paths for picture in _pictures(path, bands)]
        super().__init__(name, FrameFormat.of(self._pictures[0].read().image), len(self._pictures))

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        for picture in self._pictures[start:stop]:
            yield picture.read()


def _pictures(path: Path, bands: Bands) -> Iterator[_Picture]:
    """The frames that a file holds."""
    chosen = None if bands == 'frames' else bands
    if path.suffix.lower() not in TIFF_SUFFIXES:
        yield _Picture(str(path), path, bands=chosen)
        return
    pages = tiff_pages(path)
    masked = path.with_name(path.name + '.msk').exists()  # GDAL's place for a mask outside the file
    for number, page in enumerate(pages, start=1):
        name, offset = (f'{path}: page {number}', page.offset) if len(pages) > 1 else (str(path), None)
        if bands == 'frames':
            for band in range(1, page.bands + 1):
                yield _Picture(f'{name}, band {band}', path, False, offset, (band,))
        else:
            yield _Picture(name, path, page.for_opencv and offset is None and not masked, offset, chosen)
