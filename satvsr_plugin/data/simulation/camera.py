"""The camera: where it looks in each frame, its blur, its brightness and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from satvsr_plugin.data.simulation.options import SimulationOptions

MARGIN = 16  # px of ground kept round the frame: for the tails of the blur, at most 13, and the jitter, at most 2


@dataclass(frozen=True)
class Camera:
    """How one clip is seen.

    Attributes:
        path: (t, 2) x and y of the frames' top left corner on the ground, in GT px.
        blur: standard deviation of the Gaussian blur in GT px.
        noise: standard deviation of the noise in grey levels.
        gain: (t,) brightness of each frame, about 1.
    """

    path: np.ndarray
    blur: float
    noise: float
    gain: np.ndarray


def draw_camera(ground_size: tuple[int, int], options: SimulationOptions, rng: np.random.Generator) -> Camera:
    """Draw a camera whose frames stay inside the ground picture.

    The drift is a straight line at constant speed with an independent pointing error in each frame; it is slowed
    down where the ground picture is too small for it.

    Args:
        ground_size: (height, width) of the ground picture in GT px, at least ``options.size + 2 * MARGIN`` each.
        options: ranges of drift, jitter, blur, noise and brightness.
        rng: where the values are drawn from.
    """
    low, high = options.drift
    speed = low * (high / low) ** rng.random() if low > 0 else rng.uniform(low, high)
    angle = rng.uniform(0, 2 * np.pi)
    time = np.arange(options.frames)
    way = speed * np.array([np.cos(angle), np.sin(angle)]) * (options.frames - 1)  # (2,) of the whole clip
    room = np.array(ground_size[::-1]) - options.size - 2 * MARGIN
    way *= min(1.0, *(room / np.maximum(np.abs(way), 1e-9)))
    start = np.maximum(-way, 0) + rng.random(2) * np.maximum(room - np.abs(way), 0)
    jitter = rng.uniform(*options.jitter) * rng.standard_normal((options.frames, 2))
    path = MARGIN + start + np.outer(time / max(options.frames - 1, 1), way) + np.clip(jitter, -2, 2)
    change = rng.uniform(-1, 1) * options.brightness_drift
    return Camera(
        path=path,
        blur=rng.uniform(*options.blur),
        noise=rng.uniform(*options.noise),
        gain=1 + change * (time / max(options.frames - 1, 1) - 0.5),
    )


def shifted_gaussian(sigma: float, shift: float) -> np.ndarray:
    """Taps of a Gaussian centred at ``shift`` px in [0, 1), normalised; odd number of taps round px 0.

    Blurring with it also moves the picture by a fraction of a pixel, exactly: a Gaussian of half a pixel or more
    is band-limited enough to be its own interpolator, so that no second resampling softens the picture.
    """
    radius = int(np.ceil(4 * sigma)) + 1
    taps = np.exp(-0.5 * ((np.arange(-radius, radius + 1) - shift) / sigma) ** 2)
    return taps / taps.sum()


def expose(ground: np.ndarray, camera: Camera, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Take one frame.

    Args:
        ground: (h, w, 3) float32 in [0, 255], sharp, with whatever moves drawn in at this moment.
        camera: how it is seen.
        index: which frame.
        size: height and width of the frame.
        rng: where the noise is drawn from.

    Returns:
        (size, size, 3) uint8.
    """
    corner = np.floor(camera.path[index]).astype(int)
    shift_x, shift_y = camera.path[index] - corner
    kernel_x, kernel_y = shifted_gaussian(camera.blur, shift_x), shifted_gaussian(camera.blur, shift_y)
    pad = len(kernel_x) // 2
    left, top = corner - pad
    window = ground[top : top + size + 2 * pad, left : left + size + 2 * pad]
    frame = cv2.sepFilter2D(window, cv2.CV_32F, kernel_x, kernel_y)[pad : pad + size, pad : pad + size]
    frame = frame * np.float32(camera.gain[index]) + camera.noise * _noise(size, rng)
    return np.clip(frame + 0.5, 0, 255).astype(np.uint8)


def _noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) float32 of about unit deviation.

    As in Jilin-1's compressed video, neighbouring pixels and the three colours are alike (correlation of the
    frame differences between colours: 0.8 to 0.97).
    """
    white = rng.standard_normal((size, size, 4), dtype=np.float32)
    soft = cv2.GaussianBlur(white, (0, 0), 0.7) / np.float32(0.409)  # the blur's root of the sum of squared taps
    return np.float32(0.95) * soft[..., :1] + np.float32(0.31) * soft[..., 1:]
