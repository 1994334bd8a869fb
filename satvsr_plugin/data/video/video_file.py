"""Video files through FFmpeg's libraries (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import stat_file
from satvsr_plugin.data.video.extras import load_extra
from satvsr_plugin.data.video.pixels import PixelReader, colour_remarks
from satvsr_plugin.data.video.source import Bands, Frame, Video, pick_bands
from satvsr_plugin.errors import DataError
from satvsr_plugin.parallel import available_processes

MOST_THREADS = 8  # each may hold some whole frames
DURATION_TOLERANCE = 0.02  # durations are rounded, and frame rates may vary


class VideoFile(Video):
    """A video file of any container and codec that FFmpeg reads; its first video stream.

    Frames are decoded from the beginning whatever ``start`` is, since only that counts them right in every file. How
    colours are converted: see :mod:`satvsr_plugin.data.video.pixels`.

    Args:
        path: the file.
        bands: which of the picture's bands to keep, e.g. ``(1, 2, 3)`` to leave out alpha.

    Raises:
        DataError: PyAV is not installed; the file is missing, damaged, or holds no video.
    """

    def __init__(self, path: Path, bands: Bands = None) -> None:
        if bands == 'frames':
            raise DataError(f'{path}: a video has its frames one after another; --bands frames is for TIFF files')
        stat_file(path)  # a pipe would be waited for
        self._path, self._bands = path, None if bands == 'all' else bands
        self._av = load_extra('av', f'{path}: video files')
        with self._opened() as (container, stream):
            first = next(self._decode(container, stream), None)
            if first is None:
                raise DataError(f'{path}: there are no frames in this video')
            form = FrameFormat.of(pick_bands(PixelReader(self._av, first).read(first), self._bands, str(path)))
            rate = Fraction(stream.average_rate) if stream.average_rate else None
            remarks = [f'{path}: {remark}' for remark in colour_remarks(first)]
            remarks += _turn_remarks(path, first)
            length = stream.frames or None
        super().__init__(str(path), form, length, None if rate is None else float(rate), remarks, [path], rate)

    def count(self, stop: int | None = None) -> int:
        """Number of frames that are decoded: what the file's head says may include frames that are never shown."""
        with self._opened() as (container, stream):
            return sum(1 for _ in self._decode(container, stream, stop))

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        with self._opened() as (container, stream):
            reader = None
            for index, picture in enumerate(self._decode(container, stream, stop)):
                if index < start:
                    continue
                reader = reader or PixelReader(self._av, picture)
                name = f'{self._path}: frame {index}'
                if not reader.fits(picture):
                    raise DataError(f'{name}: is {picture.width}x{picture.height} {picture.format.name}, unlike the '
                                    'frames before it; cut the video there')
                yield Frame(name, pick_bands(reader.read(picture), self._bands, name))

    def _decode(self, container: Any, stream: Any, stop: int | None = None) -> Iterator[Any]:
        """Decoded pictures up to ``stop``; what FFmpeg would patch up silently is an error here."""
        packets = count = 0
        try:
            for packet in container.demux(stream):
                packets += packet.size > 0 or packet.dts is not None  # the last one only flushes the decoder
                if packet.is_corrupt:
                    raise self._damaged(count, 'its data are incomplete')
                for picture in packet.decode():
                    if picture.is_corrupt:
                        raise self._damaged(count, 'the decoder had to guess parts of it')
                    yield picture
                    count += 1
                    if count == stop:
                        return
        except self._av.error.FFmpegError as error:
            raise self._damaged(count, error.strerror) from error
        least = _least_frames(container, stream)
        if packets < least:
            raise self._damaged(count, f'the file ends here, though it should hold {least} frames or more')

    def _damaged(self, index: int, why: str) -> DataError:
        return DataError(f'{self._path}: the video is damaged at about frame {index} ({why}); use the frames before '
                         f'it (--end {index}), or restore the file')

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """The open container and its first video stream."""
        try:
            container = self._av.open(f'file:{self._path}', metadata_errors='replace')  # "a:b.mp4" is no protocol
        except (self._av.error.FFmpegError, OSError) as error:
            raise DataError(f'{self._path}: not a readable video ({error.strerror}); restore the file') from error
        with container:
            if not container.streams.video:
                raise DataError(f'{self._path}: there are no pictures in this file')
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            stream.codec_context.thread_count = min(available_processes(), MOST_THREADS)
            stream.codec_context.options = {'err_detect': 'explode'}
            yield container, stream


def _turn_remarks(path: Path, picture: Any) -> list[str]:
    """What a user should know where players turn the pictures, as they do those of some cameras."""
    turn = getattr(picture, 'rotation', 0)
    return [f'{path}: players turn it by {turn} degrees; its frames are read as they are stored'] if turn else []


def _least_frames(container: Any, stream: Any) -> int:
    """How many frames a file that is not cut short holds at least, by what its head says."""
    if stream.frames:
        return stream.frames
    if len(container.streams) == 1 and container.duration and stream.average_rate:
        return int(container.duration / 1e6 * float(stream.average_rate) * (1 - DURATION_TOLERANCE)) - 1
    return 0
