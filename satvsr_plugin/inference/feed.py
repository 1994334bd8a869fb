"""Frames of a video on their way into the network; what is known of each waits for its result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satvsr_plugin.data.video import Frame, Video
from satvsr_plugin.inference.nodata import fill_nodata


class Feed:
    """Reads a range of frames once, from the first that the network sees.

    Args:
        video: where from.
        first, stop: frames ``first`` to ``stop - 1`` are wanted.
        reach: frames that the network sees before and after a frame.

    Attributes:
        offset: number of the first frame that is read.
    """

    def __init__(self, video: Video, first: int, stop: int, reach: int) -> None:
        self.offset = max(0, first - reach)
        self._stop = stop
        self._last = stop + reach
        self._video = video
        self._known: dict[int, Frame] = {}

    def images(self) -> Iterator[np.ndarray]:
        """Pictures (h, w, c) for the network, places without data filled from around.

        Raises:
            DataError: a frame is damaged, missing, or unlike the first one.
        """
        for index, frame in enumerate(self._video.frames(self.offset, self._last), start=self.offset):
            if index < self._stop:
                self._known[index] = frame._replace(image=frame.image[:0])  # the picture itself is not needed again
            yield frame.image if frame.valid is None else fill_nodata(frame.image, frame.valid)

    def take(self, index: int) -> Frame:
        """What is known of a frame whose result has come; it and those before it are forgotten."""
        frame = self._known[index]
        self._known = {number: kept for number, kept in self._known.items() if number > index}
        return frame
