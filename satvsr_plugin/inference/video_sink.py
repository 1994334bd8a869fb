"""Results as a video file, encoded in parts of their own so that a run that is stopped can go on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from satvsr_plugin.atomic import empty, sync, written_beside
from satvsr_plugin.data.video import Frame, Video
from satvsr_plugin.data.video.extras import load_extra
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.durable import refusals_told
from satvsr_plugin.inference.nodata import blacken, enlarge_valid
from satvsr_plugin.inference.sink import Sink, remove_partials
from satvsr_plugin.inference.video_encoder import Coding, PartEncoder
from satvsr_plugin.inference.video_joiner import join_parts

PART = 32  # frames: what a kill loses at most
USUAL_RATE = Fraction(25)
FINEST_RATE = 100_000  # largest denominator of a frame rate; containers store no finer ones


class VideoSink(Sink):
    """An H.264 file.

    Parts of ``PART`` frames are files of their own in the hidden folder ``.NAME.partial`` until the last is finished;
    then they are joined without encoding them again. So for a moment the disk holds the video twice.

    Args:
        output: the file; its suffix chooses the container.
        video: the input.
        scale: how many times larger the results are.
        length: number of frames.
        quality: 0 to 100, see :func:`satvsr_plugin.inference.video_encoder.rate_factor`; 100 is lossless.
        record, overwrite, shared: see :class:`Sink`.

    Raises:
        DataError: the results are no grey or RGB pictures; PyAV is not installed.
    """

    def __init__(self, output: Path, video: Video, scale: int, length: int, quality: int, record: dict[str, Any],
                 overwrite: bool, shared: bool) -> None:
        form = video.format
        if form.channels not in (1, 3):
            raise DataError(f'{output}: a video holds grey or RGB, but {video.name} has {form.channels} bands; choose '
                            'three, e.g. --bands 1 2 3, or name a folder, which holds them all')
        self._av = load_extra('av', f'{output}: video files')
        rate = (video.rate or USUAL_RATE).limit_denominator(FINEST_RATE)
        self._coding = Coding(scale * form.width, scale * form.height, rate, quality, output.suffix.lower())
        self._scale = scale
        self._encoder: PartEncoder | None = None
        self._open = range(0)  # frames of the part that is being encoded
        self._whole = True  # no frame is half-way into the encoder
        super().__init__(output, output.with_name(f'.{output.name}.partial'), length,
                         {**record, 'quality': quality, 'frames a second': str(rate)}, overwrite, shared,
                         _remarks(output, video, self._coding))

    def missing(self) -> list[range]:
        return list(self._missing())

    def write(self, index: int, image: np.ndarray, frame: Frame) -> None:
        if frame.valid is not None:
            image = blacken(image, enlarge_valid(frame.valid, self._scale))
        with refusals_told(self.output):
            encoder = self._encoder or self._begin(index)
            if index != self._open.start + encoder.frames:
                raise ValueError(f'frame {index} does not follow frame {self._open.start + encoder.frames - 1}')
            self._whole = False
            encoder.write(_in_8_bits(image))
            self._whole = True
            if index + 1 == self._open.stop:
                self._end(encoder)

    def interrupt(self) -> str | None:
        with refusals_told(self.output):
            if self._encoder and self._encoder.frames and self._whole:
                self._end(self._encoder)
            self._abandon()
            frames = self._join() if self._parts() else 0
        if not frames:
            return None
        return f'{self.output}: {frames} of {self.length} frames can be played; the same command goes on with the next'

    def __exit__(self, *details: object) -> None:
        self._abandon()
        super().__exit__(*details)

    def _begin(self, index: int) -> PartEncoder:
        parts = [part for part in self._missing() if part.start == index]
        if not parts:
            raise ValueError(f'no missing part begins with frame {index}')
        self._open = parts[0]
        self._work.mkdir(parents=True, exist_ok=True)
        self._encoder = PartEncoder(self._av, self._partial, self._coding)
        return self._encoder

    def _end(self, encoder: PartEncoder) -> None:
        """Finish the part that is being encoded with the frames that it has."""
        self._encoder = None
        encoder.close()
        sync(self._partial)
        os.replace(self._partial, self._path_of(range(self._open.start, self._open.start + encoder.frames)))

    def _abandon(self) -> None:
        """Forget the part that is being encoded."""
        if self._encoder:
            self._encoder.abandon()
            self._encoder = None
        if self._open:
            self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        path = self._path_of(self._open)
        return path.with_name(f'.{path.name}.partial-{os.getpid()}')

    @property
    def _suffix(self) -> str:
        return '.avi' if self._coding.suffix == '.avi' else '.mp4'

    def _path_of(self, part: range) -> Path:
        return self._work / f'{part.start:06d}-{part.stop:06d}{self._suffix}'

    def _parts(self) -> list[range]:
        """The finished ones, in order."""
        if not self._work.is_dir():
            return []
        matches = (re.fullmatch(r'(\d+)-(\d+)\.\w+', name) for name in os.listdir(self._work))
        return sorted((range(int(match[1]), int(match[2])) for match in matches if match), key=lambda part: part.start)

    def _missing(self) -> Iterator[range]:
        start = 0
        for finished in [*self._parts(), range(self.length, self.length)]:
            while start < finished.start:
                stop = min(finished.start, start - start % PART + PART)
                yield range(start, stop)
                start = stop
            start = finished.stop

    def _join(self) -> int:
        parts = self._parts()
        with written_beside(self.output) as partial:
            count = join_parts(self._av, map(self._path_of, parts), partial, self._coding)
            if count != sum(map(len, parts)):
                raise DataError(f'{self._work}: its files are damaged; begin anew with --overwrite')
            sync(partial)
        return count

    def _put_in_place(self) -> None:
        self._join()

    def _existing(self) -> list[Path]:
        return [self.output] if self.output.exists() else []

    def _clear(self) -> None:
        empty(self._work)

    def _clean(self) -> None:
        remove_partials(self.output.parent, [self.output.name])
        for path in self._work.glob('.*.partial-*'):
            path.unlink(missing_ok=True)


def _in_8_bits(image: np.ndarray) -> np.ndarray:
    """A uint8 or uint16 picture as uint8, white to white."""
    if image.dtype == np.uint8:
        return image
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _remarks(output: Path, video: Video, coding: Coding) -> list[str]:
    remarks = []
    if video.format.bit_depth > 8:
        remarks.append('16 bits become 8, white (65535) to 255, so that data of fewer bits look dark; a folder keeps '
                       'all bits')
    if video.rate is None:
        remarks.append(f'the input says no frame rate; {USUAL_RATE} frames a second assumed')
    if any(coding.padding):
        rows, columns = coding.padding
        remarks.append(f'video takes even sizes; the last row or column is repeated, to '
                       f'{coding.width + columns}x{coding.height + rows}')
    if coding.lossless:
        remarks.append('lossless video does not play in browsers; VLC, mpv and FFmpeg play it')
    return [f'{output}: {remark}' for remark in remarks]
