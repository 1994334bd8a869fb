"""Finds the pictures that systems saved, and the ground truth and the LR frames that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from satvsr_plugin.comparison.figures.frame_source import FrameSource
from satvsr_plugin.comparison.figures.pixels import peak_of
from satvsr_plugin.comparison.figures.scene import GT, Scene
from satvsr_plugin.data.clips import Backend
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.test_record import DatasetRecord

if TYPE_CHECKING:
    from satvsr_plugin.comparison.results import System


class Gallery:
    """The pictures of systems that were tested on the same frames.

    Attributes:
        systems: those whose pictures are all there, in the order given.
        clips: names of the frames of every clip, without suffix.
        gt: the ground truth; None where it cannot be had.
        lq: the LR frames; None where they cannot be had.
        scale: how many times larger than LR the pictures are.
        notes: what is missing, and what to do about it.

    Raises:
        DataError: the ground truth that the user named cannot be opened or lacks frames.
    """

    def __init__(self, systems: Sequence[System], gt: Path | None = None) -> None:
        record = systems[0].record
        self.clips = {name: clip.frames for name, clip in record.clips.items()}
        self.scale = record.scale
        self.notes: list[str] = []
        self.systems = {system.name: system for system in systems if self._has_pictures(system)}
        self.gt = self._open_gt(systems, gt)
        self.lq = self._open_lq(systems)
        self._peaks: dict[str, int] = {}

    def choose(self, clip: str | None, frame: str | None) -> tuple[str, str]:
        """The clip and the frame wanted; by default the first clip and its middle frame.

        Raises:
            OptionError: there is no such clip or frame.
        """
        clip = next(iter(self.clips)) if clip is None else _checked('--clip', clip, list(self.clips))
        frames = self.clips[clip]
        return clip, frames[len(frames) // 2] if frame is None else _checked(f'--frame, clip {clip}:', frame, frames)

    def scene(self, clip: str, frame: str) -> Scene:
        """One frame of all systems, and of the ground truth.

        Raises:
            DataError: a picture is missing or unreadable, or shapes or types differ.
        """
        pictures = {name: self.picture(name, clip, frame) for name in self.systems}
        gt = None if self.gt is None else self.gt.read(clip, frame)
        scene = Scene(clip, frame, pictures, gt)
        _check_alike(f'clip {clip}, frame {frame}', scene.with_gt())
        return scene

    def picture(self, name: str, clip: str, frame: str) -> np.ndarray:
        """One system's picture, (h, w, bands) uint8 or uint16.

        Raises:
            DataError: it is missing or unreadable.
        """
        system = self.systems[name]
        path = system.record.picture(system.folder, clip, frame)
        assert path is not None, 'systems without pictures are left out'
        return read_image(path)

    def low(self, clip: str, frame: str) -> np.ndarray | None:
        """The LR frame, (h, w, bands); None where there is none.

        Raises:
            DataError: it is unreadable.
        """
        return None if self.lq is None else self.lq.read(clip, frame)

    def row(self, name: str, clip: str, y: int, columns: slice) -> np.ndarray:
        """Part of one row of every frame of a clip, (t, columns, bands); ``name`` may be ``GT``.

        Raises:
            DataError: a picture is missing, unreadable or of another size than the clip.
        """
        if name == GT and self.gt is not None:
            return self.gt.row(clip, self.clips[clip], y, columns)
        rows = []
        for frame in self.clips[clip]:
            picture = self.picture(name, clip, frame)
            if y >= picture.shape[0] or columns.stop > picture.shape[1]:
                raise DataError(f'{name}: clip {clip}, frame {frame}: its picture is smaller than those of other '
                                'frames; test again')
            rows.append(picture[y, columns])
        return np.stack(rows)

    def peak(self, clip: str) -> int:
        """The value of a clip that is shown as white, the same for all its frames and all systems."""
        if clip not in self._peaks:
            self._peaks[clip] = peak_of(self.scene(*self.choose(clip, None)).reference)
        return self._peaks[clip]

    def _has_pictures(self, system: System) -> bool:
        record = system.record
        if record.pictures is None:
            self.notes.append(f'not in the pictures: {system.name} saved none; test it again with val.save_img: true')
            return False
        files = (record.picture(system.folder, clip, frame) for clip, frames in self.clips.items() for frame in frames)
        missing = [path for path in files if path and not path.is_file()]
        if missing:
            others = f' and {len(missing) - 1} others' if len(missing) > 1 else ''
            self.notes.append(f'not in the pictures: {system.name} lacks {missing[0]}{others}; '
                              'test it again with val.save_img: true')
        return not missing

    def _open_gt(self, systems: Sequence[System], wanted: Path | None) -> FrameSource | None:
        if wanted is not None:
            return FrameSource(wanted, self.clips)
        source = self._open([(dataset.gt, dataset.backend) for dataset in _datasets(systems) if dataset.gt])
        if source is None:
            self.notes.append('the pictures have no ground truth, since it does not lie where it lay in the test; '
                              'add it by --gt FOLDER')
        return source

    def _open_lq(self, systems: Sequence[System]) -> FrameSource | None:
        source = self._open([(dataset.lq, dataset.backend) for dataset in _datasets(systems)])
        if source is None:
            self.notes.append('the page does not show the LR frames, since they do not lie where they lay in the test')
        return source

    def _open(self, places: Sequence[tuple[str, Backend]]) -> FrameSource | None:
        """The first of several places that has all frames; results may come from different machines."""
        for root, backend in dict.fromkeys(places):
            try:
                return FrameSource(root, self.clips, backend)
            except DataError:
                continue
        return None


def _datasets(systems: Sequence[System]) -> list[DatasetRecord]:
    return [system.record.dataset for system in systems]


def _checked(option: str, wanted: str, available: Sequence[str]) -> str:
    if wanted not in available:
        choice = ', '.join(available[:10]) + (', ...' if len(available) > 10 else '')
        raise OptionError(f'{option} {wanted!r}: was not tested; there are {choice}')
    return wanted


def _check_alike(where: str, images: dict[str, np.ndarray]) -> None:
    (first, expected), *others = images.items()
    for name, image in others:
        if (image.shape, image.dtype) != (expected.shape, expected.dtype):
            raise DataError(
                f'{where}: {name} has {image.shape} {image.dtype}, {first} has {expected.shape} {expected.dtype}; '
                f'(height, width, bands) and bit depth must be the same'
            )
