"""Pictures to H.264 through FFmpeg's libraries (PyAV).

Colours become BT.709 of limited range, which is written into the file, with FFmpeg's accurate rounding, as the reader
(:mod:`satvsr_plugin.data.video.pixels`) takes them. Chroma is halved both ways (4:2:0): nothing else plays everywhere.
Grey is coded as RGB of three equal bands, since many players know no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from satvsr_plugin.parallel import available_processes

CONTAINERS = {'.mp4': 'mp4', '.mkv': 'matroska', '.mov': 'mov', '.avi': 'avi'}  # suffix -> FFmpeg's name
LOSSLESS = 100
MOST_THREADS = 8  # each holds some whole frames
LOOKAHEAD = '8'  # frames that x264 holds; its usual 40 take 390 MB more at 2560x2560, for files that are no smaller
BT709, LIMITED = 1, 1  # AVCOL_*_BT709, AVCOL_RANGE_MPEG
SCALE = ('flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:'
         'in_range=full:out_range=limited:out_color_matrix=bt709')


def rate_factor(quality: int) -> float:
    """x264's constant rate factor for a quality of 0 to 99: ``50 - 0.4 * quality``.

    90 gives 14, which looks like the original; 75 gives 20 and about half of the file's size. 100 has no rate factor:
    it is lossless.
    """
    return 50 - 0.4 * quality


class Coding(NamedTuple):
    """How the frames of a video are coded.

    Attributes:
        width, height: of the results, in pixels.
        rate: frames a second.
        quality: 0 to 100; 100 gives back every bit.
        suffix: of the container, one of ``CONTAINERS``.
    """

    width: int
    height: int
    rate: Fraction
    quality: int
    suffix: str

    @property
    def lossless(self) -> bool:
        """Whether every bit comes back."""
        return self.quality == LOSSLESS

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns that are added, since 4:2:0 takes even sizes only."""
        return (0, 0) if self.lossless else (self.height % 2, self.width % 2)

    @property
    def pixel_format(self) -> str:
        """In the file."""
        return 'rgb24' if self.lossless else 'yuv420p'

    @property
    def options(self) -> dict[str, str]:
        """x264's."""
        options = {'qp': '0'} if self.lossless else {'crf': f'{rate_factor(self.quality):g}'}
        if self.suffix == '.avi':
            options['bf'] = '0'  # AVI knows no order of showing
        return {**options, 'rc-lookahead': LOOKAHEAD}


class PartEncoder:
    """Encodes frames into a file of its own.

    Args:
        av: the package.
        path: the file.
        coding: how; the container is AVI for AVI, otherwise MP4.

    Attributes:
        frames: how many are written.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, av: ModuleType, path: Path, coding: Coding) -> None:
        self._av, self._coding = av, coding
        self.frames = 0
        with as_os_errors(av, path):
            self._container = av.open(f'file:{path}', 'w', format='avi' if coding.suffix == '.avi' else 'mp4')
        codec = 'libx264rgb' if coding.pixel_format == 'rgb24' else 'libx264'
        self._stream = self._container.add_stream(codec, rate=coding.rate, options=coding.options)
        rows, columns = coding.padding
        self._stream.width, self._stream.height = coding.width + columns, coding.height + rows
        self._stream.pix_fmt = coding.pixel_format
        context = self._stream.codec_context
        context.time_base = 1 / coding.rate
        context.thread_count = min(available_processes(), MOST_THREADS)
        if not coding.lossless:
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = LIMITED
        self._path = path
        self._convert = None if coding.lossless else _Converter(av, self._stream.width, self._stream.height)

    def write(self, image: np.ndarray) -> None:
        """Encode an (h, w, 1 or 3) uint8 picture.

        Raises:
            OSError: the file cannot be written.
        """
        rows, columns = self._coding.padding
        image = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode='edge') if rows or columns else image
        image = np.ascontiguousarray(image if image.shape[2] == 3 else image.repeat(3, axis=2))
        frame = self._convert(image) if self._convert else self._av.VideoFrame.from_ndarray(image, 'rgb24')
        frame.pts, frame.time_base = self.frames, 1 / self._coding.rate
        with as_os_errors(self._av, self._path):
            self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Complete the file.

        Raises:
            OSError: it cannot be written.
        """
        with as_os_errors(self._av, self._path):
            self._container.mux(self._stream.encode())
            self._container.close()

    def abandon(self) -> None:
        """Close the file as it is; it is of no use."""
        with suppress(self._av.error.FFmpegError, OSError):  # that is why it is abandoned, or follows from it
            self._container.close()


class _Converter:
    """RGB pictures to 4:2:0."""

    def __init__(self, av: ModuleType, width: int, height: int) -> None:
        self._from_array = av.VideoFrame.from_ndarray
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(width=width, height=height, format='rgb24', time_base=Fraction(1, 1000))
        sink = self._graph.add('buffersink')
        chain = [source, self._graph.add('scale', SCALE), self._graph.add('format', 'yuv420p'), sink]
        for before, after in pairwise(chain):
            before.link_to(after)
        self._graph.configure()
        self._source, self._sink = source, sink

    def __call__(self, image: np.ndarray) -> Any:
        self._source.push(self._from_array(image, 'rgb24'))
        frame = self._sink.pull()
        frame.colorspace, frame.color_range = BT709, LIMITED
        return frame


@contextmanager
def as_os_errors(av: ModuleType, path: Path) -> Iterator[None]:
    """FFmpeg's errors as the system's, with the file that is written.

    Raises:
        OSError: in the place of an error of FFmpeg.
    """
    try:
        yield
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
