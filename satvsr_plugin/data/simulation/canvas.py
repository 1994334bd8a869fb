"""What drawn scenes are painted on: twice as fine as the picture, turned, with a sun."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

FINENESS = 2  # fine pixels per metre; with anti-aliased drawing and the camera's blur, more is not seen
SHIFT = 4  # OpenCV's coordinates are whole numbers of 1 / 2**SHIFT fine pixels
TEXTURE = {1: 0.6, 3: 0.5, 8: 0.4, 30: 0.5}  # size of blots in px -> share of the deviation; about 1 in all

Colour = Sequence[float] | np.ndarray


class Canvas:
    """A square of ground in metres, seen from above; 1 m is one pixel of the finished picture.

    Points are (n, 2) x and y in metres. The origin is the middle of the picture, and the axes are turned by
    ``angle``, so that towns planned along the axes lie at any angle in the picture.

    Attributes:
        size: width and height in metres.
        sun: (2,) x and y that the shadow of a thing of 1 m height reaches, in metres.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.pixels = np.zeros((size * FINENESS, size * FINENESS, 3), np.uint8)
        self.roughness = np.zeros(self.pixels.shape[:2], np.uint8)  # deviation of the texture in grey levels
        self.taken = np.zeros((size, size), np.uint8)  # not 0 where nothing may be built
        angle = rng.uniform(0, 2 * np.pi)
        self.turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
        direction = rng.uniform(0, 2 * np.pi)
        self.sun = rng.uniform(0.4, 1.2) * np.array([np.cos(direction), np.sin(direction)])

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Metres (..., 2) to x and y in px of the finished picture, where pixel i covers i - 0.5 to i + 0.5."""
        return points @ self.turn + self.size / 2 - 0.5

    def fill(self, points: np.ndarray, colour: Colour, roughness: float | None = None) -> None:
        """Fill a polygon; ``roughness`` is the texture's deviation in grey levels, None leaves it as it is."""
        corners = self._fine(points)
        cv2.fillPoly(self.pixels, [corners], _rgb(colour), cv2.LINE_AA, SHIFT)
        if roughness is not None:
            cv2.fillPoly(self.roughness, [corners], round(roughness), cv2.LINE_8, SHIFT)

    def lines(self, lines: Sequence[np.ndarray] | np.ndarray, colour: Colour, width: float) -> None:
        """Draw open lines of (n, 2) points, ``width`` metres wide, in steps of half a metre."""
        thickness = max(1, round(width * FINENESS))
        fine = [self._fine(line) for line in lines]
        cv2.polylines(self.pixels, fine, False, _rgb(colour), thickness, cv2.LINE_AA, SHIFT)

    def disc(self, middle: np.ndarray, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        x, y = (int(value) for value in self._fine(middle))
        fine = round(radius * FINENESS * 2**SHIFT)
        cv2.circle(self.pixels, (x, y), fine, _rgb(colour), cv2.FILLED, cv2.LINE_AA, SHIFT)

    def shadow(self, points: np.ndarray, height: float, darkness: float = 0.55) -> None:
        """Darken what lies in the shadow of an upright body over the convex polygon ``points``."""
        reach = np.concatenate([points, points + height * self.sun]).astype(np.float32)
        corners = self._fine(cv2.convexHull(reach)[:, 0])
        (left, top), (right, bottom) = corners.min(axis=0) // 2**SHIFT - 1, corners.max(axis=0) // 2**SHIFT + 2
        left, top = max(left, 0), max(top, 0)
        patch = self.pixels[top : max(bottom, 0), left : max(right, 0)]
        if patch.size:
            mask = np.zeros(patch.shape[:2], np.uint8)
            cv2.fillPoly(mask, [corners - np.array([left, top]) * 2**SHIFT], 255, cv2.LINE_AA, SHIFT)
            patch[:] = patch * (1 - darkness / 255 * mask[..., None])

    def take(self, points: np.ndarray) -> bool:
        """Take the ground under a convex polygon, if all of it is free and at least a part is in the picture."""
        corners = self.to_picture(points)
        left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, self.size)
        if left >= right or top >= bottom:
            return False
        patch = self.taken[top:bottom, left:right]
        footprint = np.zeros_like(patch)
        inside = np.round((corners - (left, top)) * 2**SHIFT).astype(np.int32)
        cv2.fillConvexPoly(footprint, inside, 1, cv2.LINE_8, SHIFT)
        if np.any(patch & footprint):
            return False
        patch |= footprint
        return True

    def take_line(self, line: np.ndarray, width: float) -> None:
        """Take the ground under an open line, whether it is free or not."""
        corners = np.round(self.to_picture(line) * 2**SHIFT).astype(np.int32)
        cv2.polylines(self.taken, [corners], False, 1, max(1, round(width)), cv2.LINE_8, SHIFT)

    def finish(self, rng: np.random.Generator) -> np.ndarray:
        """Add the texture and shrink to the finished (size, size, 3) uint8 picture."""
        picture, deviation = (
            cv2.resize(fine, (self.size, self.size), interpolation=cv2.INTER_AREA).astype(np.float32)
            for fine in (self.pixels, self.roughness)
        )
        picture = 0.65 * picture + 0.35 * picture.mean(axis=2, keepdims=True)  # through the air colours are dull
        texture = sum(share * smooth_noise(self.size, cell, rng) for cell, share in TEXTURE.items())
        haze = 1 + 0.04 * smooth_noise(self.size, 120, rng)[..., None]
        return np.clip((picture + (deviation * texture)[..., None]) * haze + 0.5, 0, 255).astype(np.uint8)

    def _fine(self, points: np.ndarray) -> np.ndarray:
        """Metres to fine pixels in OpenCV's fixed-point numbers."""
        fine = (self.to_picture(np.asarray(points)) + 0.5) * FINENESS - 0.5
        return np.round(fine * 2**SHIFT).astype(np.int32)


def smooth_noise(size: int, cell: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) float32 random field of about unit deviation with blots of ``cell`` px."""
    coarse = rng.standard_normal((size // cell + 3, size // cell + 3), dtype=np.float32)
    if cell == 1:
        return coarse[:size, :size]
    wide = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return wide[cell : cell + size, cell : cell + size] / np.float32(0.75)


def rectangle(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Corners (4, 2) of an upright rectangle with its smallest x and y given."""
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


def _rgb(colour: Colour) -> tuple[float, ...]:
    return tuple(float(np.clip(value, 0, 255)) for value in colour)
