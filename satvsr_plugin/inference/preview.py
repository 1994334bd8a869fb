"""A picture of before and after, made of the first frames of a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from satvsr_plugin.comparison.figures.canvas import grid, with_caption
from satvsr_plugin.comparison.figures.crop import Crop, window_means
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.video import Video
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.feed import Feed
from satvsr_plugin.inference.upscaler import VideoUpscaler

CROP = 480  # px each way: single pixels can be told apart, and both fit on a screen


def write_preview(output: Path, video: Video, upscaler: VideoUpscaler, count: int) -> Path:
    """Super-resolve the first frames, and show where the last of them has most detail, before and after.

    Args:
        output: what the whole video will be written to; the picture lies beside it, ``<stem>_preview.png``.
        video: where the frames come from.
        upscaler: makes them larger.
        count: how many frames are done; of a shorter video all.

    Returns:
        The picture's path.

    Raises:
        DataError: a frame cannot be read, or the picture not be written.
    """
    count = min(count, video.length or count)
    feed = Feed(video, 0, count, upscaler.reach)
    last: list[np.ndarray] = []
    frames = _remember(feed.images(), count, last)
    results = deque(upscaler.run(frames, offset=0, first=0, stop=count, length=video.length), maxlen=1)
    if not results:
        raise DataError(f'{video.name}: there are no frames in this video')
    after = results[0]
    height, width = after.shape[:2]
    before = cv2.resize(last[-1], (width, height), interpolation=cv2.INTER_CUBIC).reshape(after.shape)
    crop = _busiest(after)
    tiles = [with_caption(_as_rgb(crop.of(image)), [caption])
             for image, caption in ((before, 'before (bicubic)'), (after, 'after'))]
    path = output.with_name(f'{output.stem}_preview.png')
    write_image(path, grid(tiles, rows=1))
    return path


def _remember(images: Iterator[np.ndarray], count: int, last: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Hand pictures on, and keep number ``count - 1`` in ``last``."""
    for index, image in enumerate(images):
        if index == count - 1:
            last.append(image)
        yield image


def _busiest(image: np.ndarray) -> Crop:
    """The square with most detail."""
    size = min(CROP, *image.shape[:2])
    detail = window_means(np.abs(cv2.Laplacian(image[..., 0].astype(np.float64), cv2.CV_64F)), size)
    y, x = np.unravel_index(np.argmax(detail), detail.shape)
    return Crop(int(x), int(y), size)


def _as_rgb(image: np.ndarray) -> np.ndarray:
    """Any picture as one that a screen can show: the first three bands, 8 bit, 16 bit stretched to their range."""
    colours = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    if colours.dtype == np.uint8:
        return colours
    low, high = np.percentile(colours, (1, 99))
    return (((colours - low) / max(high - low, 1)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
