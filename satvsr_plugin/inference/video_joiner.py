"""Parts of a video joined without encoding them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.video_encoder import CONTAINERS, Coding, as_os_errors

REORDERED = 2  # a frame is decoded at most so many frames before it is shown (x264's pyramid of B-frames)


def join_parts(av: ModuleType, parts: Iterable[Path], path: Path, coding: Coding) -> int:
    """Join what :class:`PartEncoder` wrote with the same coding, without encoding it again.

    Args:
        av: the package.
        parts: at least one, in the order of their frames, which follow one another without a gap in time.
        path: the new file.
        coding: of the parts.

    Returns:
        Number of frames.

    Raises:
        DataError: a part is damaged.
        OSError: the file cannot be written.
    """
    count = 0
    stream = None
    options = {'movflags': 'faststart'} if coding.suffix in ('.mp4', '.mov') else {}  # plays while it is loaded
    with as_os_errors(av, path), av.open(f'file:{path}', 'w', format=CONTAINERS[coding.suffix],
                                          options=options) as container:
        for part in parts:
            with _opened_part(av, part) as source:
                if stream is None:
                    stream = container.add_stream_from_template(source)
                    stream.time_base = 1 / coding.rate
                packets = _retimed(source, count, coding)
                count += sum(_mux(container, stream, packet) for packet in packets)
    return count


def _mux(container: Any, stream: Any, packet: Any) -> int:
    packet.stream = stream
    container.mux(packet)
    return 1


def _retimed(source: Any, offset: int, coding: Coding) -> Iterator[Any]:
    """The packets of a part, timed by numbers of frames from ``offset`` on.

    Times of decoding are counted anew: a part of one or two frames delays them by less than longer ones do, and the
    gap would show in the frame rate.
    """
    delay = 0 if coding.suffix == '.avi' else REORDERED
    first = None
    packets = (packet for packet in source.container.demux(source) if packet.size)
    for number, packet in enumerate(packets):
        first = packet.pts if first is None else first  # a part begins with the frame that is shown first
        packet.pts = offset + round((packet.pts - first) * packet.time_base * coding.rate)
        packet.dts = offset + number - delay
        packet.duration, packet.time_base = 1, 1 / coding.rate
        yield packet


@contextmanager
def _opened_part(av: ModuleType, part: Path) -> Iterator[Any]:
    """The stream of a part."""
    try:
        container = av.open(f'file:{part}')
    except av.error.FFmpegError as error:
        raise DataError(f'{part}: is damaged ({error.strerror}); remove this file and run the same command '
                        'again') from error
    with container:
        yield container.streams.video[0]
