"""Small videos, enlarged by repeating pixels, on their way into an output."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.video import Frame, Video, open_videos
from satvsr_plugin.inference.sinks import Sink, open_sink

SCALE = 2


class Frames(Video):
    """Frames that are in memory; ``known``: whether their number is known before they are read."""

    def __init__(self, images: list[np.ndarray], rate: Fraction | None = None, known: bool = True) -> None:
        super().__init__('frames', FrameFormat.of(images[0]), len(images) if known else None,
                         rate and float(rate), rate=rate)
        self._images = images

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        for index, image in enumerate(self._images[start:stop], start=start):
            yield Frame(f'frame {index}', image)


def noise(*shape: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """(h, w, c) uint8 of 20 to 235 with colours that vary slowly, as halved chroma takes them."""
    rng = np.random.default_rng(seed)
    light, tint = (cv2.resize(rng.uniform(*bounds, (height // side + 2, width // side + 2, count)), (width, height),
                              interpolation=cv2.INTER_LINEAR).reshape(height, width, count)
                   for bounds, side, count in (((50, 205), 4, 1), ((-30, 30), 32, channels)))
    return (light + tint).astype(np.uint8)


def enlarged(image: np.ndarray, scale: int = SCALE) -> np.ndarray:
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def open_one(*inputs: Path | str, bands: Any = 'all') -> Video:
    (video,) = open_videos(inputs, bands)
    return video


def images(*inputs: Path | str) -> list[np.ndarray]:
    return [frame.image for frame in open_one(*inputs).frames()]


def write_missing(sink: Sink, video: Video, most: int | None = None, scale: int = SCALE) -> int:
    """Write what is missing, or the first ``most`` frames of that; returns how many."""
    indices = [index for part in sink.missing() for index in part][:most]
    frames = list(video.frames())
    for index in indices:
        sink.write(index, enlarged(frames[index].image, scale), frames[index]._replace(image=np.empty((0, 0, 0))))
    return len(indices)


def upscale(output: Path, video: Video, scale: int = SCALE, **options: Any) -> Sink:
    """Write a whole output."""
    with open_sink(output, video, scale, **options) as sink:
        write_missing(sink, video, scale=scale)
        sink.finish()
    return sink
