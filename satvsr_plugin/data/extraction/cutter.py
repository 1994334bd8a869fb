"""One pass over a video: frames of all open clips are written as they come."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from satvsr_plugin.data.extraction.grid import Window, windows
from satvsr_plugin.data.extraction.measures import change, grey_levels, outline, texture
from satvsr_plugin.data.extraction.options import ExtractionOptions
from satvsr_plugin.data.extraction.writer import BackgroundWriter
from satvsr_plugin.data.video import Frame, Video

TEXTURE, CUT, NODATA = 'texture', 'cut', 'nodata'  # why a window is left out


class Skipped(NamedTuple):
    """A window that was left out: where it would have begun, why, at which frame, and what was measured there."""

    source: str
    first_frame: int
    window: Window
    reason: str
    frame: int
    measured: float  # texture in grey levels, change at a cut, or share of pixels without data


@dataclass
class Clip:
    """A clip that is being written, or is complete."""

    source: str
    first_frame: int
    first_name: str
    window: Window
    folder: Path
    texture: float = math.inf  # the lowest of its frames


@dataclass
class Cuttings:
    """What was cut out of a video.

    Attributes:
        clips: complete clips, by time, then row, then column.
        skipped: windows that were left out.
        frames: how many frames were looked at.
        brightest: the largest grey value in them.
    """

    clips: list[Clip] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    frames: int = 0
    brightest: int = 0


class ClipCutter:
    """Takes the frames of a video, writes the clips.

    At most a few frames are in memory at a time. Clips whose ``step`` is shorter than they are long are open at the
    same time; that takes no more memory either.

    Args:
        video: the frames that will come are its.
        options: which clips to cut.
        staging: folder for the clips; each gets one of its own in it, with frames 000.png, 001.png, ...
        writer: writes the frames.
        start: number of the first frame that will come.
        stop: number of the first that will not come; None if that is not known.
    """

    def __init__(
        self, video: Video, options: ExtractionOptions, staging: Path, writer: BackgroundWriter, start: int,
        stop: int | None
    ) -> None:
        form = video.format
        self._video, self._options, self._staging, self._writer = video, options, staging, writer
        self._start, self._stop = start, math.inf if stop is None else stop
        self._windows = windows((form.width, form.height), options.size, options.clip_stride)
        self._white = options.data_range or 2**form.bit_depth - 1
        self._open: list[Clip] = []
        self._before: np.ndarray | None = None  # outline of the frame before
        self.cuttings = Cuttings()

    def take(self, index: int, frame: Frame) -> None:
        """Write the parts of a frame that belong to clips, after looking at them.

        Args:
            index: number of the frame in its video; one more than the last time.
            frame: the frame.
        """
        grey = grey_levels(frame.image)
        self._leave_out_cut_clips(index, outline(grey, self._white))
        if (index - self._start) % self._options.clip_step == 0 and index + self._options.frames <= self._stop:
            self._open += [self._begin(index, frame, window) for window in self._windows]
        self._writer.wait()  # for the frame before: whose clips may be removed now
        self._open = [clip for clip in self._open if self._is_good(clip, index, frame, grey)]
        self._writer.write((clip.folder / self._frame_name(index - clip.first_frame),
                            frame.image[clip.window.rows_and_columns]) for clip in self._open)
        self._close_full_clips(index)
        self.cuttings.frames += 1
        self.cuttings.brightest = max(self.cuttings.brightest, int(grey.max()))

    def finish(self) -> Cuttings:
        """No more frames come: clips that are not complete go.

        Returns:
            What was cut.
        """
        self._writer.wait()
        for clip in self._open:
            shutil.rmtree(clip.folder, ignore_errors=True)
        self._open = []
        return self.cuttings

    def _begin(self, index: int, frame: Frame, window: Window) -> Clip:
        folder = self._staging / f'{index}-{window.y}-{window.x}'
        return Clip(self._video.name, index, frame.name, window, folder)

    def _frame_name(self, number: int) -> str:
        return f'{number:0{digits(self._options.frames)}d}.png'

    def _leave_out_cut_clips(self, index: int, found: np.ndarray) -> None:
        measured = 0.0 if self._before is None else change(self._before, found)
        self._before = found
        if measured > self._options.cut_threshold:
            self._writer.wait()
            for clip in self._open:
                self._leave_out(clip, CUT, index, measured)
            self._open = []

    def _is_good(self, clip: Clip, index: int, frame: Frame, grey: np.ndarray) -> bool:
        """Whether the clip's part of a frame has data and texture; otherwise the clip goes."""
        part = clip.window.rows_and_columns
        missing = 0.0 if frame.valid is None else 1 - float(frame.valid[part].mean())
        if missing > 0:
            self._leave_out(clip, NODATA, index, missing)
            return False
        found = texture(grey[part], self._white)
        clip.texture = min(clip.texture, found)
        if found < self._options.min_texture:
            self._leave_out(clip, TEXTURE, index, found)
            return False
        return True

    def _leave_out(self, clip: Clip, reason: str, index: int, measured: float) -> None:
        shutil.rmtree(clip.folder, ignore_errors=True)
        self.cuttings.skipped.append(Skipped(clip.source, clip.first_frame, clip.window, reason, index, measured))

    def _close_full_clips(self, index: int) -> None:
        full = index - self._options.frames + 1  # where clips began that are complete now
        self.cuttings.clips += [clip for clip in self._open if clip.first_frame == full]
        self._open = [clip for clip in self._open if clip.first_frame > full]


def digits(count: int) -> int:
    """Digits of the names of ``count`` clips or frames: three, as in Jilin-189, or as many as the last one needs."""
    return max(3, len(str(count - 1)))


def number_of_clips(cuttings: Iterable[Cuttings]) -> int:
    """How many clips there are in all."""
    return sum(len(cut.clips) for cut in cuttings)
