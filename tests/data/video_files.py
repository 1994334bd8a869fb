"""Small videos and TIFF files with known pixels, and what tests ask of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.video import Video, open_videos

RATE = 25
H, W = 48, 64  # of the frames in RGB
PLANAR = ('yuv444p', 'yuv420p', 'gray10le', 'gray12le')  # given as (h, w, planes), chroma at full size


def write_video(path: Path, codec: str, frames: Iterable[np.ndarray], stored: str, given: str = 'rgb24',
                colours: tuple[int, int] | None = None, **options: str) -> Path:
    """Encode frames.

    Args:
        path: the suffix chooses the container.
        codec: e.g. ``libx264``.
        frames: arrays of the format ``given``.
        stored: pixel format in the file.
        given: pixel format of the arrays.
        colours: codes of matrix and range that the file declares (1, 5: BT.709, BT.601; 1, 2: limited, full).
        options: of the codec.
    """
    import av

    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        for index, array in enumerate(frames):
            frame = _planar(array, given) if given in PLANAR else av.VideoFrame.from_ndarray(array, given)
            if index == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, stored
                if colours:
                    stream.codec_context.colorspace, stream.codec_context.color_range = colours
            if colours:
                frame.colorspace, frame.color_range = colours
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _planar(array: np.ndarray, form: str) -> Any:
    """A frame whose planes are those of an (h, w, planes) array; 4:2:0 takes every second of the chroma values."""
    import av

    frame = av.VideoFrame(array.shape[1], array.shape[0], form)
    for number, plane in enumerate(frame.planes):
        step = 2 if number and '420' in form else 1
        content = np.ascontiguousarray(array[::step, ::step, number]).view(np.uint8)
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : content.shape[1]] = content
        plane.update(rows.tobytes())
    return frame


def write_tiff(path: Path, image: np.ndarray, **profile: Any) -> Path:
    """Write an (h, w, c) image as GDAL does."""
    import rasterio

    height, width, count = image.shape
    place = rasterio.Affine(1, 0, 5e5, 0, -1, 4e6)
    with rasterio.open(path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=image.dtype,
                       transform=place, **profile) as dataset:
        dataset.write(image.transpose(2, 0, 1))
    return path


def write_pages(path: Path, pages: Sequence[np.ndarray]) -> Path:
    """Write RGB images as pages of one TIFF file."""
    assert cv2.imwritemulti(str(path), [np.ascontiguousarray(page[..., ::-1]) for page in pages])
    return path


def noise(*shape: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    """Any value in any place."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def terrain(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(h, w, 3) uint8 with structures of some pixels' to a hundred pixels' size, as land has from above."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.normal(size=(height // side + 2, width // side + 2, 3)), (width, height),
                         interpolation=cv2.INTER_CUBIC) for side in (4, 8, 16, 32, 64)]
    return np.clip(110 + 25 * sum(layers), 0, 255).astype(np.uint8)


def record(output: Path) -> dict[str, Any]:
    return json.loads((output / 'extraction.json').read_text())


def drifting(count: int, height: int = 130, width: int = 200, seed: int = 0) -> list[np.ndarray]:
    """Frames of a camera that drifts by (2, 1) px a frame."""
    scene = terrain(height + count, width + 2 * count, seed)
    return [scene[i : i + height, 2 * i : 2 * i + width] for i in range(count)]


def write_frames(folder: Path, frames: list[np.ndarray]) -> Path:
    for index, frame in enumerate(frames):
        write_image(folder / f'{index}.png', frame)
    return folder


def open_one(*inputs: Path | str, bands: object = None) -> Video:
    videos = open_videos(inputs, bands)
    assert len(videos) == 1
    return videos[0]


def images(video: Video, start: int = 0, stop: int | None = None) -> list[np.ndarray]:
    return [frame.image for frame in video.frames(start, stop)]


def assert_holds(video: Video, expected: list[np.ndarray]) -> None:
    """The same pixels, type and shape; grey without a third axis in ``expected``."""
    found = images(video)
    assert len(found) == len(expected)
    for image, array in zip(found, expected, strict=True):
        np.testing.assert_array_equal(image, array if array.ndim == 3 else array[..., None], strict=True)


def cut_short(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


RGB = [noise(H, W, 3, seed=seed) for seed in range(5)]
