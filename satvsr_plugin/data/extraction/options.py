"""Which clips are cut out of a video."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from satvsr_plugin.data.video import Video
from satvsr_plugin.errors import OptionError

Pair = tuple[int, int]  # across and down, in pixels


class Moment(NamedTuple):
    """A place in a video: a number of a frame, from 0, or of seconds since the first frame."""

    value: float
    in_seconds: bool = False

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read ``250`` (a frame) or ``10s``, ``10.5s`` (seconds).

        Raises:
            OptionError: it is neither.
        """
        if not re.fullmatch(r'\d+|\d+(\.\d+)?s', text):
            raise OptionError(f"'{text}' is no moment of a video; give the number of a frame (250) or seconds (10.5s)")
        value = float(text.removesuffix('s'))
        if value >= LATEST:
            raise OptionError(f'{text[:20]}... is no moment of a video; it must lie before {LATEST:g}')
        return cls(value, text.endswith('s'))

    def __str__(self) -> str:
        return f'{self.value:g}s' if self.in_seconds else f'{self.value:.0f}'

    def frame(self, video: Video) -> int:
        """The number of the frame in a video, by its mean frame rate.

        Raises:
            OptionError: seconds of a video that has no frame rate.
        """
        if not self.in_seconds:
            return int(self.value)
        if video.fps is None:
            raise OptionError(f'{video.name}: has no frame rate; give --start and --end as numbers of frames')
        return round(self.value * video.fps)


LATEST = 1e12  # frames or seconds; no video lasts as long


@dataclass(frozen=True)
class ExtractionOptions:
    """Which windows of which frames become clips.

    Attributes:
        frames: frames of a clip.
        size: of a clip.
        stride: from one window to the next; None: the size, so that windows touch.
        step: frames from the start of a clip to the start of the next one; None: ``frames``, so that clips follow
            each other.
        start: the first frame that is used.
        end: the first frame after ``start`` that is not used any more; None or later than the end: the end.
        min_texture: windows with less texture are left out; see :func:`measures.texture`; 0 takes all.
        cut_threshold: scene cuts are where :func:`measures.change` is above it, 0 to 2; 2 never.
        data_range: value of white, e.g. 2047 for 11-bit data in 16-bit files; None: the largest of the bit depth.
        max_clips: stop when there are that many.
    """

    frames: int = 100
    size: Pair = (640, 640)
    stride: Pair | None = None
    step: int | None = None
    start: Moment = Moment(0)  # noqa: RUF009  (a tuple, which cannot change)
    end: Moment | None = None
    min_texture: float = 3.0
    cut_threshold: float = 0.5
    data_range: int | None = None
    max_clips: int | None = None

    def __post_init__(self) -> None:
        for name in ('frames', 'step', 'data_range', 'max_clips'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f'{_flag(name)} is {value}; it must be at least 1')
        for name in ('size', 'stride'):
            pair = getattr(self, name)
            if pair is not None and (len(pair) != 2 or min(pair) < 1):
                raise OptionError(f'{_flag(name)} is {" ".join(map(str, pair))}; it takes one or two numbers of '
                                  'pixels, at least 1')
        for name, most in (('min_texture', 255.0), ('cut_threshold', 2.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= most):
                raise OptionError(f'{_flag(name)} is {value:g}; it must lie between 0 and {most:g}')

    @property
    def clip_stride(self) -> Pair:
        """From one window to the next."""
        return self.stride or self.size

    @property
    def clip_step(self) -> int:
        """Frames from the start of a clip to the start of the next one."""
        return self.step or self.frames

    def span(self, video: Video) -> tuple[int, int | None]:
        """The first frame to use and the first not to use any more; None where only reading to the end tells.

        Raises:
            OptionError: the end does not come after the start; or seconds of a video without frame rate.
        """
        start = self.start.frame(video)
        stop = self.end.frame(video) if self.end else None
        if stop is not None and stop <= start:
            raise OptionError(f'{video.name}: --end (frame {stop}) must come after --start (frame {start})')
        if video.length is not None:
            stop = video.length if stop is None else min(stop, video.length)
        return start, stop


def _flag(name: str) -> str:
    return '--' + name.replace('_', '-')
