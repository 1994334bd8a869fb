"""From the output that the user names to what writes it."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

from satvsr_plugin.data.image_io import IMAGE_SUFFIXES
from satvsr_plugin.data.video import VIDEO_SUFFIXES, Video
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.image_sink import PICTURE_SUFFIXES, open_folder, open_picture
from satvsr_plugin.inference.sink import Sink
from satvsr_plugin.inference.video_encoder import CONTAINERS
from satvsr_plugin.inference.video_sink import VideoSink

__all__ = ['Sink', 'open_sink']

UNWRITTEN = {*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, '.gif', '.flv', '.3gp', '.jp2', '.webp'}


def open_sink(output: str | Path, video: Video, scale: int, *, quality: int = 90, plan: dict[str, Any] | None = None,
              overwrite: bool = False, shared: bool = False, length: int | None = None) -> Sink:
    """Open the output of a video: nothing is written before it is entered as a context manager.

    Args:
        output: a video file (``.mp4``, ``.mkv``, ``.mov``, ``.avi``); a picture (``.png``, ``.tif``, ``.tiff``) for a
            video of one frame; anything else is a folder of pictures, TIFF where the input is TIFF or has a number of
            bands that PNG does not hold, otherwise PNG, named as the input's.
        video: the input.
        scale: how many times larger each side of the results is.
        quality: of video files, 0 to 100; see :func:`satvsr_plugin.inference.video_encoder.rate_factor`.
        plan: all that decides what the results look like; a run with another plan does not go on where this stopped.
        overwrite: replace results that are there already.
        shared: another process prepares and finishes the output.
        length: how many frames there are; None to count them, which reads a video file once.

    Raises:
        DataError: the output cannot hold such frames, or is of an unknown kind, or is the input; a package that it
            takes is not installed; the video is damaged. Entering the sink: results of another run are there, or
            another run is at work there.
    """
    output = Path(output)
    suffix = output.suffix.lower()
    as_folder = output.is_dir() or suffix not in {*CONTAINERS, *UNWRITTEN}
    _refuse_input(output, video, as_folder)
    if output.is_dir() and suffix in CONTAINERS:
        raise DataError(f'{output}: is a folder; name a file, or a folder without {suffix}')
    if not as_folder and suffix not in (*CONTAINERS, *PICTURE_SUFFIXES):
        raise DataError(f'{output}: files of this kind are not written; end it with {", ".join(CONTAINERS)}, with '
                        f'{" or ".join(PICTURE_SUFFIXES)} for a single picture, or name a folder')
    length = video.count() if length is None else length
    if not length:
        raise DataError(f'{video.name}: there are no frames in this video')
    record = {**(plan or {}), 'input files': _signature(video), 'frames': length, 'scale': scale}
    if as_folder:
        return open_folder(output, video, scale, length, record, overwrite, shared)
    if suffix in PICTURE_SUFFIXES:
        return open_picture(output, video, scale, length, record, overwrite, shared)
    return VideoSink(output, video, scale, length, quality, record, overwrite, shared)


def _refuse_input(output: Path, video: Video, as_folder: bool) -> None:
    if not output.exists():
        return
    for path in {path.parent if as_folder else path for path in video.files}:
        if path.exists() and os.path.samefile(path, output):
            what = 'the input lies there' if as_folder else 'is the input'
            raise DataError(f'{output}: {what}; name another output')


def _signature(video: Video) -> int:
    """Changes with the names, sizes and times of the files that hold the video."""
    found = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in dict.fromkeys(video.files)]
    return zlib.crc32(repr(found).encode())
