"""Results as pictures, a file a frame: a folder of PNG or TIFF, or a single file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from satvsr_plugin.atomic import empty
from satvsr_plugin.data.image_io import encode_image
from satvsr_plugin.data.video import Frame, Video
from satvsr_plugin.data.video.extras import load_extra
from satvsr_plugin.data.video.source import numbered
from satvsr_plugin.disk import format_size, free_space
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.durable import write_durably
from satvsr_plugin.inference.geotiff import TIFF_SUFFIXES, encode_geotiff
from satvsr_plugin.inference.nodata import blacken, enlarge_valid
from satvsr_plugin.inference.sink import Sink, remove_partials

PICTURE_SUFFIXES = ('.png', *TIFF_SUFFIXES)
PNG_BANDS = (1, 3, 4)


class ImageSink(Sink):
    """Pictures; each is a part, finished when it is there under its name.

    Args:
        files: the picture of each frame; all in one folder, with a suffix of ``PICTURE_SUFFIXES``.
        scale: how many times larger than the input they are.
        options: of :class:`Sink`.
    """

    def __init__(self, files: list[Path], scale: int, **options: Any) -> None:
        super().__init__(length=len(files), **options)
        self._files, self._scale = files, scale
        self._folder = files[0].parent
        self._names = {path.name for path in files}

    def missing(self) -> list[range]:
        there = set(os.listdir(self._folder))
        return [range(index, index + 1) for index, path in enumerate(self._files) if path.name not in there]

    def write(self, index: int, image: np.ndarray, frame: Frame) -> None:
        path = self._files[index]
        if path.suffix.lower() in TIFF_SUFFIXES:
            write_durably(path, encode_geotiff(image, frame, self._scale))
            return
        valid = None if frame.valid is None else enlarge_valid(frame.valid, self._scale)
        write_durably(path, encode_image('.png', blacken(image, valid), str(path)))

    def interrupt(self) -> str | None:
        done = self.length - len(self.missing())
        return f'{self.output}: {done} of {self.length} frames are there; the same command goes on with the next'

    def _put_in_place(self) -> None:
        """Each picture is in its place already."""

    def _existing(self) -> list[Path]:
        there = set(os.listdir(self._folder))
        return [path for path in self._files if path.name in there]

    def _clear(self) -> None:
        for path in self._existing():
            path.unlink()
        if self._work != self._folder:
            empty(self._work)

    def _clean(self) -> None:
        remove_partials(self._folder, self._names)


def open_folder(folder: Path, video: Video, scale: int, length: int, record: dict[str, Any], overwrite: bool,
                shared: bool) -> Sink:
    """A folder of pictures with the names of the input's.

    Raises:
        DataError: they will be TIFF, and rasterio is not installed; something else than a folder is there.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f'{folder}: is a file; name a folder, or a file that ends with .mp4')
    tiff = _is_tiff(video) or video.format.channels not in PNG_BANDS
    if tiff:
        load_extra('rasterio', f'{folder}: TIFF files')
    suffix = '.tif' if tiff else '.png'
    stems = video.stems(length)
    remarks = [*_name_remarks(folder, video, stems), *_space_remarks(folder, video, scale, length)]
    return ImageSink([folder / (stem + suffix) for stem in stems], scale, output=folder, work=folder,
                     record={**record, 'kind of files': suffix}, overwrite=overwrite, shared=shared, remarks=remarks)


def open_picture(path: Path, video: Video, scale: int, length: int, record: dict[str, Any], overwrite: bool,
                 shared: bool) -> Sink:
    """One picture.

    Raises:
        DataError: the video has several frames; PNG does not hold its bands; rasterio is not installed.
    """
    if length > 1:
        raise DataError(f'{path}: holds one picture, but {video.name} has {length} frames; name a folder, e.g. '
                        f'{path.with_suffix("")}')
    remarks = []
    if path.suffix.lower() in TIFF_SUFFIXES:
        load_extra('rasterio', f'{path}: TIFF files')
    elif video.format.channels not in PNG_BANDS:
        raise DataError(f'{path}: PNG does not hold {video.format.channels} bands; end it with .tif')
    elif _is_tiff(video):
        remarks = [f'{path}: PNG holds neither georeference nor nodata; for these end it with .tif']
    work = path.with_name(f'.{path.name}.partial')
    return ImageSink([path], scale, output=path, work=work, record=record, overwrite=overwrite, shared=shared,
                     remarks=remarks)


def _is_tiff(video: Video) -> bool:
    return any(path.suffix.lower() in TIFF_SUFFIXES for path in video.files)


def _name_remarks(folder: Path, video: Video, stems: list[str]) -> list[str]:
    own = [path.stem for path in video.files[:len(stems)]]
    if len(own) < 2 or stems == own or stems != numbered(len(stems)):
        return []
    return [f'{folder}: some input files have the same names, or their names sort otherwise than the frames; results '
            'are numbered']


def _space_remarks(folder: Path, video: Video, scale: int, length: int) -> list[str]:
    most, free = length * scale**2 * video.format.size, free_space(folder)
    return [] if most <= free else [f'{folder}: the results may take up to {format_size(most)}, and '
                                    f'{format_size(free)} are free on its disk']
