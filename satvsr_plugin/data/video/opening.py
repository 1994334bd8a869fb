"""From what the user names - files, folders, patterns - to videos."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.clip_source import natural_order
from satvsr_plugin.data.image_io import IMAGE_SUFFIXES
from satvsr_plugin.data.video.images import ImageSequence
from satvsr_plugin.data.video.source import Bands, Video
from satvsr_plugin.data.video.video_file import VideoFile
from satvsr_plugin.errors import DataError

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.ts', '.wmv', '.y4m')


def open_videos(inputs: Sequence[str | Path], bands: Bands = None) -> list[Video]:
    """Open what the user named.

    Args:
        inputs: video files, each a video; folders of image files, each a video; image files, all of them together
            one video, in natural order. Patterns (``frames/*.tif``) stand for the files and folders that fit them.
        bands: which bands of the pictures make the frames, from 1; ``all`` for all of them, however many; None for
            all where there are 1, 3 or 4; ``frames`` for TIFF files each of whose bands is a frame.

    Returns:
        The videos in the order of the inputs; image files stand where the first of them was named.

    Raises:
        DataError: a file or folder is missing, holds no frames, is of an unknown kind or cannot be read; an optional
            package that it takes is not installed.
    """
    sources: dict[str, list[Path]] = {}
    images: list[Path] = []
    for path in (path for item in inputs for path in _matches(item)):
        if path.is_dir():
            sources[str(path)] = _images_in(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            images.append(path)
            sources[str(images[0])] = images
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            sources[str(path)] = []
        else:
            raise DataError(f'{path}: files of this kind are not known; videos end with {", ".join(VIDEO_SUFFIXES)}, '
                            f'pictures with {", ".join(IMAGE_SUFFIXES)}')
    return [_open(name, files, bands) for name, files in sources.items()]


def _open(name: str, files: list[Path], bands: Bands) -> Video:
    if not files:
        return VideoFile(Path(name), bands)
    ordered = [Path(path) for path in natural_order({str(path) for path in files})]
    return ImageSequence(name if len(ordered) == 1 or Path(name).is_dir() else str(ordered[0].parent), ordered, bands)


def _matches(item: str | Path) -> list[Path]:
    path = Path(item)
    if path.exists():
        return [path]
    found = natural_order(glob.glob(str(item))) if glob.has_magic(str(item)) else []
    if not found:
        raise DataError(f'{item}: there is no such file or folder')
    return [Path(name) for name in found]


def _images_in(folder: Path) -> list[Path]:
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith('.')]
    except OSError as error:
        raise DataError(f'{folder}: cannot list this folder: {error.strerror}') from error
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not images:
        inner = natural_order(path.name for path in files)
        hint = f'it holds {inner[0]}: name what is in it, e.g. {folder / inner[0]}' if inner else 'it is empty'
        raise DataError(f'{folder}: no pictures in this folder ({", ".join(IMAGE_SUFFIXES)}); {hint}')
    return images
