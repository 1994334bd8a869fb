"""Image files as a video: a file a frame, or TIFF files of several pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.data.clip_source import natural_order
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import read_image, stat_file
from satvsr_plugin.data.tiff import tiff_pages
from satvsr_plugin.data.video.raster import read_raster
from satvsr_plugin.data.video.source import BandNumbers, Bands, Frame, Video, numbered, pick_bands

TIFF_SUFFIXES = ('.tif', '.tiff')


class _Picture(NamedTuple):
    """Where a frame lies."""

    name: str
    path: Path
    for_opencv: bool = True
    offset: int | None = None  # of the page, in files of several pages
    bands: BandNumbers | None = None
    any_number: bool = False  # of bands

    def read(self) -> Frame:
        if self.for_opencv:
            image, valid = pick_bands(read_image(self.path, self.name), self.bands, self.name), None
        else:
            image, valid = read_raster(self.path, self.offset, self.bands, self.name, self.any_number)
        return Frame(self.name, image, valid, self.path, self.offset, self.bands)


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
        super().__init__(name, FrameFormat.of(self._pictures[0].read().image), len(self._pictures),
                         files=[picture.path for picture in self._pictures])

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        for picture in self._pictures[start:stop]:
            yield picture.read()

    def stems(self, length: int) -> list[str]:
        """The files' own stems, and ``stem_001``, ``stem_002``, ... for the frames of a file that holds several.

        Numbers of the frames, ``000000`` on, where these names are not all different or sort in another order, as
        files of several folders may.
        """
        held, seen = Counter(self.files), Counter[Path]()
        names = []
        for path in self.files:
            seen[path] += 1
            digits = max(3, len(str(held[path])))
            names.append(path.stem if held[path] == 1 else f'{path.stem}_{seen[path]:0{digits}d}')
        differ = len({name.casefold() for name in names}) == len(names)  # on disks that know no upper case, too
        files = [f'{name}.png' for name in names]
        return (names if differ and natural_order(files) == files else numbered(len(names)))[:length]


def _pictures(path: Path, bands: Bands) -> Iterator[_Picture]:
    """The frames that a file holds."""
    chosen = None if isinstance(bands, str) else bands
    if path.suffix.lower() not in TIFF_SUFFIXES:
        yield _Picture(str(path), path, bands=chosen)
        return
    stat_file(path)  # a pipe would be waited for
    pages = tiff_pages(path)
    masked = path.with_name(path.name + '.msk').exists()  # GDAL's place for a mask outside the file
    for number, page in enumerate(pages, start=1):
        name, offset = (f'{path}: page {number}', page.offset) if len(pages) > 1 else (str(path), None)
        if bands == 'frames':
            for band in range(1, page.bands + 1):
                yield _Picture(f'{name}, band {band}', path, False, offset, (band,))
        else:
            for_opencv = page.for_opencv and offset is None and not masked
            yield _Picture(name, path, for_opencv, offset, chosen, any_number=bands == 'all')
