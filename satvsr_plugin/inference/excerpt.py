"""A stretch of a video as a video of its own."""

from __future__ import annotations

from collections.abc import Iterator

from satvsr_plugin.data.video import Frame, Video
from satvsr_plugin.errors import OptionError


class Excerpt(Video):
    """Frames ``start`` to ``end - 1`` of a video; those outside are not seen.

    The frames are counted, which reads a video file once up to ``end``.

    Raises:
        OptionError: there are no such frames.
        DataError: a frame before ``end`` is damaged.
    """

    def __init__(self, video: Video, start: int = 0, end: int | None = None) -> None:
        if end is not None and end <= start:
            raise OptionError(f'--start {start} --end {end}: no frames lie between; frames are numbered from 0')
        stop = video.count(end)
        if start >= stop:
            raise OptionError(f'--start {start}: {video.name} has {stop} frames, numbered from 0')
        of_each_frame = len(video.files) > 1
        super().__init__(video.name, video.format, stop - start, video.fps, video.remarks,
                         video.files[start:stop] if of_each_frame else video.files, video.rate)
        self._video, self._start, self._stop = video, start, stop

    def stems(self, length: int) -> list[str]:
        """Names as in a run over the whole video."""
        return self._video.stems(self._start + length)[self._start:]

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        end = self._stop if stop is None else min(self._stop, self._start + stop)
        yield from self._video.frames(self._start + start, end)
