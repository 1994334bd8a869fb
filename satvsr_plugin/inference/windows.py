"""Streams a video into what a network sees: windows round each frame, or overlapping segments; little is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from satvsr_plugin.data.windows import Padding, window_indices
from satvsr_plugin.errors import DataError

FrameT = TypeVar('FrameT')


@dataclass(frozen=True)
class Group(Generic[FrameT]):
    """What a network sees at once.

    Attributes:
        numbers: of the frames in the video, in the network's order; a window can hold a frame twice.
        frames: the frames.
        results: numbers of the frames whose results are wanted.
    """

    numbers: list[int]
    frames: list[FrameT]
    results: list[int]


class FrameBuffer(Generic[FrameT]):
    """Frames of a video by their number, read when they are asked for.

    Args:
        frames: the frames from number ``offset`` on.
        offset: see above.
        length: number of frames of the video; None where only its end tells.

    Attributes:
        end: number of the frame that would be read next; the video's length once its end is reached.
    """

    def __init__(self, frames: Iterable[FrameT], offset: int = 0, length: int | None = None) -> None:
        self._source = iter(frames)
        self._length = length
        self._kept: dict[int, FrameT] = {}
        self._first = offset
        self.end = offset

    def __getitem__(self, number: int) -> FrameT:
        return self._kept[number]

    def __len__(self) -> int:
        """How many frames are held."""
        return len(self._kept)

    def has(self, number: int) -> bool:
        """Read on to a frame; whether the video has it.

        Raises:
            DataError: the video is shorter than ``length``.
        """
        if self._length is not None and number >= self._length:
            number = self._length - 1
            self._read_to(number)
            return False
        self._read_to(number)
        return number < self.end

    def drop_before(self, number: int) -> None:
        """Forget frames, also those that are still to be read."""
        self._first = max(self._first, number)
        for old in [kept for kept in self._kept if kept < self._first]:
            del self._kept[old]

    def _read_to(self, number: int) -> None:
        while self.end <= number:
            try:
                frame = next(self._source)
            except StopIteration:
                if self._length is not None:
                    raise DataError(f'the video ends after {self.end} frames, but {self._length} were announced; '
                                    'it is cut short or damaged') from None
                return
            if self.end >= self._first:
                self._kept[self.end] = frame
            self.end += 1


def window_reach(num_frame: int, padding: Padding) -> int:
    """How many frames before and after a frame its window can hold, at the ends of the video too."""
    half = num_frame // 2
    return 2 * half if padding in ('reflection_circle', 'circle') else half


def segment_reach(longest: int, overlap: int) -> int:
    """How many frames before and after a frame its segment can hold."""
    return longest - overlap - 1


def windows(buffer: FrameBuffer[FrameT], first: int, stop: int, num_frame: int,
            padding: Padding) -> Iterator[Group[FrameT]]:
    """The windows round frames ``first`` to ``stop - 1``, or to the video's end; see ``data.windows``."""
    reach = window_reach(num_frame, padding)
    for centre in count(first):
        buffer.drop_before(centre - reach)
        if centre >= stop or not buffer.has(centre):
            return
        # Where the video goes on beyond the reach, it is all the same to the window how far.
        buffer.has(centre + reach)
        numbers = window_indices(centre, buffer.end, num_frame, padding)
        yield Group(numbers, [buffer[number] for number in numbers], [centre])


def segments(buffer: FrameBuffer[FrameT], first: int, stop: int, longest: int,
             overlap: int) -> Iterator[Group[FrameT]]:
    """Segments of at most ``longest`` frames that give the results of frames ``first`` to ``stop - 1``.

    Their places do not depend on ``first``, ``stop`` or the video's length, which need not be known
    (``models.segments.cut`` asks for it): any part of a video gives what the whole gives. Every result but those at
    the video's ends has ``overlap`` frames before it and after it in its segment.
    """
    kept = longest - 2 * overlap
    for start in range(first // kept * kept, stop, kept):
        begin = max(0, start - overlap)
        buffer.drop_before(begin)
        if not buffer.has(start):
            return
        buffer.has(start + kept + overlap - 1)
        results = range(max(start, first), min(start + kept, stop, buffer.end))
        numbers = list(range(begin, buffer.end))
        if results:
            yield Group(numbers, [buffer[number] for number in numbers], list(results))
