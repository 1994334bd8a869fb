"""The interface to a video, whatever it is stored in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.errors import DataError

BandNumbers = Sequence[int]  # which bands make the picture, from 1, e.g. (3, 2, 1) for files that store B, G, R
# frames: each band of a TIFF is a grey frame; all: as stored, whatever their number; None: so too, but only 1, 3 or 4
Bands = BandNumbers | Literal['frames', 'all'] | None


class Frame(NamedTuple):
    """One frame of a video.

    Attributes:
        name: how messages name it, e.g. ``video.mp4: frame 17``.
        image: (h, w, c) uint8 or uint16, colour as RGB.
        valid: (h, w) bool, false where there is no data; None where the file knows of no such places.
        path: the image file that holds it; None for frames of video files.
        offset: of its page's directory, in TIFF files of several pages.
        bands: which bands of the file it is, from 1; None for all.
    """

    name: str
    image: np.ndarray
    valid: np.ndarray | None = None
    path: Path | None = None
    offset: int | None = None
    bands: BandNumbers | None = None


class Video(ABC):
    """Frames in temporal order, numbered from 0.

    Attributes:
        name: the file or folder as the user gave it.
        format: size, channels and bit depth of all frames.
        length: number of frames, as the file says; None where only reading to the end tells, see :meth:`count`.
        fps: mean number of frames a second; None for image files.
        remarks: what a user should know about how it is read, a sentence each.
        files: what it is read from; of image files one for each frame.
        rate: ``fps`` without rounding.
    """

    def __init__(
        self, name: str, form: FrameFormat, length: int | None, fps: float | None = None, remarks: Sequence[str] = (),
        files: Sequence[Path] = (), rate: Fraction | None = None,
    ) -> None:
        self.name = name
        self.format = form
        self.length = length
        self.fps = fps
        self.remarks = tuple(remarks)
        self.files = tuple(files)
        self.rate = rate

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Read frames ``start`` to ``stop - 1``, or to the end; one is in memory at a time.

        Raises:
            DataError: a frame is damaged, missing, or of another size, depth or number of bands than the first one.
        """
        for frame in self._read(start, stop):
            found = FrameFormat.of(frame.image)
            if found != self.format:
                raise DataError(f'{frame.name}: is {found}, but the first frame of {self.name} is {self.format}; '
                                'all frames of a video must be alike')
            yield frame

    def count(self, stop: int | None = None) -> int:
        """Number of frames that can be read, those from ``stop`` on left out; may read the video to find out.

        Raises:
            DataError: a frame before ``stop`` is damaged.
        """
        length = sum(1 for _ in self._read(0, stop)) if self.length is None else self.length
        return length if stop is None else min(length, stop)

    def stems(self, length: int) -> list[str]:
        """Names for files made of the first ``length`` frames, without suffix: here ``000000``, ``000001``, ...

        All differ, and in natural order they are in the order of the frames.
        """
        return numbered(length)

    @abstractmethod
    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        """As :meth:`frames`, without the comparison with the first frame."""


def numbered(length: int) -> list[str]:
    """``000000``, ``000001``, ..."""
    return [f'{index:06d}' for index in range(length)]


def pick_bands(image: np.ndarray, bands: BandNumbers | None, name: str) -> np.ndarray:
    """The (h, w, c) picture of some bands of an (h, w, n) image; all of them for None.

    Raises:
        DataError: there is no such band.
    """
    if bands is None:
        return image
    check_bands(bands, image.shape[2], name)
    return np.ascontiguousarray(image[..., [band - 1 for band in bands]])


def check_bands(bands: BandNumbers, count: int, name: str) -> None:
    """Refuse numbers of bands that an image of ``count`` bands does not have.

    Raises:
        DataError: there is no such band.
    """
    missing = [band for band in bands if not 1 <= band <= count]
    if missing:
        raise DataError(f'{name}: there is no band {missing[0]}; the bands are numbered 1 to {count}')
