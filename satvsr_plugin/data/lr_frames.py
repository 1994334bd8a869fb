"""GT frames into the pictures that are made of them: LR, LR back at full size, and cut GT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from satvsr_plugin.data.clip_source import frame_key, unlike_its_clip
from satvsr_plugin.data.degradation import crop_to_multiple, upsample
from satvsr_plugin.data.degradation_frame import degrade
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.errors import DataError

LOSSY_SUFFIXES = ('.jpg', '.jpeg')


class Frame(NamedTuple):
    """A GT frame, and where what is made from it goes."""

    clip: str
    file: str
    format: FrameFormat | None  # that of its clip; None if it is not known, since the first frame is damaged

    def __str__(self) -> str:
        return f'{self.clip}/{self.file}'

    @property
    def target(self) -> Path:
        """Below its folder; JPEG would add errors of its own."""
        stem = frame_key(self.file)
        suffix = self.file[len(stem) :]
        return Path(self.clip) / (stem + ('.png' if suffix.lower() in LOSSY_SUFFIXES else suffix))


@dataclass(frozen=True)
class FrameMaker:
    """Makes all pictures of one frame; what worker processes do."""

    root: Path  # of the GT clips
    staging: Path
    degradation: Degradation
    bicubic: bool
    crop: bool

    @property
    def folders(self) -> list[str]:
        """Names of the folders that get a picture of every frame, the LR folder first."""
        scale = self.degradation.scale
        return [f'LR{scale}x', *([f'Bicubic{scale}x'] if self.bicubic else []), *(['GT'] if self.crop else [])]

    def __call__(self, frame: Frame) -> str | None:
        """Write the pictures of a frame, or only read it where its format is not known.

        Returns:
            What is wrong with the frame.

        Raises:
            DataError: a picture cannot be written.
        """
        try:
            gt = self._read(frame)
        except DataError as error:
            return str(error)
        if frame.format is None:
            return None
        pictures = self._make_pictures(gt, frame)
        for folder, picture in zip(self.folders, pictures, strict=True):
            write_image(self.staging / folder / frame.target, picture)
        return None

    def size(self, frame: Frame) -> int:
        """Bytes of the pixels of all pictures of a frame; none where its format is not known."""
        size = frame.format.size if frame.format else 0
        return size // self.degradation.scale**2 + size * (self.bicubic + self.crop)

    def is_made(self, frame: Frame) -> bool:
        """Whether a run before has written all pictures of a frame."""
        return all((self.staging / folder / frame.target).exists() for folder in self.folders)

    def _read(self, frame: Frame) -> np.ndarray:
        name = f'{self.root}: {frame}'
        gt = read_image(self.root / frame.clip / frame.file, name)
        found = FrameFormat.of(gt)
        if frame.format is not None and found != frame.format:
            raise DataError(unlike_its_clip(name, found, frame.format))
        return gt

    def _make_pictures(self, gt: np.ndarray, frame: Frame) -> list[np.ndarray]:
        """The (h, w, c) pictures for ``folders``."""
        scale = self.degradation.scale
        gt = crop_to_multiple(gt, scale) if self.crop else gt
        lr = degrade(gt, self.degradation, frame.clip, frame.file)
        return [lr, *([upsample(lr, scale)] if self.bicubic else []), *([gt] if self.crop else [])]
