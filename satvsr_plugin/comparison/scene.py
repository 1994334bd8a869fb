"""Finds one frame of one clip in the pictures that several systems saved, and its ground truth."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from satvsr_plugin.comparison.results import SystemScores
from satvsr_plugin.data.image_io import IMAGE_SUFFIXES, read_image
from satvsr_plugin.errors import DataError

Pictures = dict[str, dict[str, Path]]  # {clip: {frame: file}}


@dataclass(frozen=True)
class Scene:
    """One frame as every system shows it: (h, w, bands) arrays of one shape and type, colour as RGB."""

    clip: str
    frame: str
    pictures: dict[str, np.ndarray]
    gt: np.ndarray | None


def find_pictures(system: SystemScores, dataset: str) -> Pictures:
    """What ``basicsr test`` saved as ``visualization/<dataset>/<clip>/<frame>_<name or suffix>.png``."""
    pictures: Pictures = {}
    for clip in system.clips:
        files = _images(system.folder / 'visualization' / dataset / clip)
        tail = _common_tail(list(files), system.folder.resolve().name)
        if files:
            pictures[clip] = {stem.removesuffix(tail): path for stem, path in files.items()}
    return pictures


def load_scene(
    pictures: dict[str, Pictures], gt_folder: Path | None = None, clip: str | None = None, frame: str | None = None
) -> Scene:
    """Read one frame of all systems.

    Args:
        pictures: of every system.
        gt_folder: holds ``<clip>/<frame>.png``.
        clip: by default the first of the clips that all systems have.
        frame: its name; by default the middle one of the frames that all systems have.

    Raises:
        DataError: a system or the ground truth lacks the frame, a file is unreadable, or shapes or types differ.
    """
    clip = _choose(clip, 'clip', _common(pictures.values()), default=0)
    frames = _common(dict(sorted(found[clip].items())) for found in pictures.values())
    frame = _choose(frame, f'clip {clip}: frame', frames, default=len(frames) // 2)
    shown = {name: read_image(found[clip][frame]) for name, found in pictures.items()}
    gt = None if gt_folder is None else _read_gt(gt_folder, clip, frame)
    _check_alike(f'clip {clip}, frame {frame}', shown if gt is None else {'GT': gt, **shown})
    return Scene(clip, frame, shown, gt)


def _images(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix; none where there is no such folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.stem: path for path in files if path.suffix.lower() in IMAGE_SUFFIXES}


def _common_tail(stems: list[str], name: str) -> str:
    """What follows the frame in the names of pictures: the experiment's name, or a suffix that all of them share."""
    if all(stem.endswith(f'_{name}') for stem in stems):
        return f'_{name}'
    shared = os.path.commonprefix([stem[::-1] for stem in stems])[::-1]
    return shared[shared.index('_') :] if '_' in shared else ''


def _common(collections: Iterable[Iterable[str]]) -> list[str]:
    """What all collections hold, in the order of the first."""
    first, *others = (list(collection) for collection in collections)
    return [item for item in first if all(item in other for other in others)]


def _choose(wanted: str | None, kind: str, available: list[str], default: int) -> str:
    if not available:
        raise DataError(f'{kind}: there is none that every system has a picture of; test all on the same data set')
    if wanted is not None and wanted not in available:
        choice = ', '.join(available[:10]) + (', ...' if len(available) > 10 else '')
        raise DataError(f'{kind} {wanted!r}: not every system has a picture of it; they share {choice}')
    return available[default] if wanted is None else wanted


def _read_gt(folder: Path, clip: str, frame: str) -> np.ndarray:
    files = _images(folder / clip)
    if frame not in files:
        raise DataError(f'{folder}: no ground truth {clip}/{frame}.png; --gt takes the folder that holds the clips')
    return read_image(files[frame])


def _check_alike(where: str, images: dict[str, np.ndarray]) -> None:
    (first, expected), *others = images.items()
    for name, image in others:
        if (image.shape, image.dtype) != (expected.shape, expected.dtype):
            raise DataError(
                f'{where}: {name} has {image.shape} {image.dtype}, {first} has {expected.shape} {expected.dtype}; '
                f'(height, width, bands) and bit depth must be the same'
            )
