"""Vehicles and aircraft that move over the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLING = 4  # things are a few pixels wide and move by fractions of one: draw finer, then average
SHADOW = np.array((18.0, 20.0, 26.0))
CAR_COLOURS = np.array(
    [(235, 235, 232), (200, 203, 206), (150, 154, 160), (70, 72, 78), (38, 40, 44), (150, 46, 40), (50, 74, 130)], float
)
CAR_SHARES = (0.33, 0.2, 0.12, 0.1, 0.11, 0.07, 0.07)


def _mirrored(half: list[tuple[float, float]]) -> np.ndarray:
    """A polygon from its one half, which starts and ends on the middle line."""
    return np.array(half + [(x, -y) for x, y in half[-2:0:-1]])


# An airliner of length 1, x forward and y sideways: its parts and how bright each is.
AIRCRAFT = [
    (_mirrored([(0.14, 0), (0.04, 0.1), (-0.16, 0.48), (-0.22, 0.48), (-0.1, 0)]), 0.93),  # wings
    (np.array([(0.1, 0.15), (0.1, 0.185), (0, 0.185), (0, 0.15)]), 0.7),  # engines
    (np.array([(0.1, -0.15), (0.1, -0.185), (0, -0.185), (0, -0.15)]), 0.7),
    (_mirrored([(-0.36, 0), (-0.46, 0.18), (-0.51, 0.18), (-0.48, 0)]), 0.95),  # tail
    (_mirrored([(0.5, 0), (0.44, 0.045), (-0.3, 0.045), (-0.5, 0.012), (-0.5, 0)]), 1.0),  # fuselage
]


@dataclass(frozen=True)
class Mover:
    """A thing that moves at constant velocity.

    Attributes:
        start: (2,) x and y of its middle in frame 0, in px of the ground picture.
        velocity: (2,) px a frame; its nose points this way.
        parts: corners (n, 2) in px, forward and to the right of the middle, and RGB colour (3,) in [0, 255]; drawn in
            this order.
        shadow: (2,) x and y from the thing to its shadow, in px.
    """

    start: np.ndarray
    velocity: np.ndarray
    parts: list[tuple[np.ndarray, np.ndarray]]
    shadow: np.ndarray

    def draw(self, ground: np.ndarray, time: float) -> None:
        """Draw the thing and its shadow into ``ground`` (h, w, 3) float32, in place; ``time`` in frames."""
        forward = self.velocity / np.linalg.norm(self.velocity)
        turn = np.array([forward, (-forward[1], forward[0])])  # rows: forward, right (y points down)
        middle = self.start + time * self.velocity
        outlines = [corners @ turn + middle for corners, _ in self.parts]
        _blend(ground, [outline + self.shadow for outline in outlines], SHADOW, 0.6)
        for outline, (_, colour) in zip(outlines, self.parts, strict=True):
            _blend(ground, [outline], colour, 1.0)


def draw_vehicles(count: int, lanes: np.ndarray, zoom: float, rng: np.random.Generator) -> list[Mover]:
    """Cars and lorries that follow lanes at 0.3 to 1.6 m a frame (27 to 144 km/h at 25 frames a second).

    Args:
        count: how many.
        lanes: (n, 2, 2) start and end (x, y) of lanes in px of the ground picture; traffic runs from start to end.
        zoom: px of the ground picture a metre.
        rng: where the values are drawn from.
    """
    movers = []
    for start, end in lanes[rng.integers(len(lanes), size=count)]:
        lorry = rng.random() < 0.2
        length, width = (rng.uniform(8, 15), 2.6) if lorry else (rng.uniform(4.0, 5.2), rng.uniform(1.8, 2.1))
        body = _box(-length / 2, length / 2, width)
        glass = _box(length / 2 - 2.2, length / 2 - 1.9, width) if lorry else _box(-0.3, 0.9, 0.8 * width)
        colour = car_colour(rng)
        movers.append(
            Mover(
                start=start + rng.random() * (end - start),
                velocity=zoom * rng.uniform(0.3, 1.6) * (end - start) / np.linalg.norm(end - start),
                parts=[(zoom * body, colour), (zoom * glass, 0.5 * colour)],
                shadow=zoom * np.array([0.7, 0.9]) * (2.0 if lorry else 1.0),
            )
        )
    return movers


def draw_aircraft(
    count: int, corner: np.ndarray, size: int, frames: int, zoom: float, rng: np.random.Generator
) -> list[Mover]:
    """Airliners of 22 to 60 m that taxi or fly over at 0.4 to 3 m a frame, in view in the middle of the clip.

    Args:
        count: how many.
        corner: (2,) x and y of the view's top left corner in px of the ground picture.
        size: the view's height and width in px.
        frames: frames of the clip.
        zoom: px of the ground picture a metre.
        rng: where the values are drawn from.
    """
    movers = []
    for _ in range(count):
        angle, speed, length = rng.uniform(0, 2 * np.pi), zoom * rng.uniform(0.4, 3.0), zoom * rng.uniform(22, 60)
        velocity = speed * np.array([np.cos(angle), np.sin(angle)])
        white = rng.uniform(200, 245) + rng.uniform(-6, 6, 3)
        movers.append(
            Mover(
                start=corner + size * rng.uniform(0.2, 0.8, 2) - velocity * frames / 2,
                velocity=velocity,
                parts=[(length * shape, white * shade) for shape, shade in AIRCRAFT],
                shadow=speed * np.array([4.0, 5.0]),  # the faster, the higher it flies
            )
        )
    return movers


def random_lanes(corner: np.ndarray, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(2 * count, 2, 2) lanes both ways along straight lines anywhere in a view (see :func:`draw_aircraft`)."""
    lanes = []
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        middle, reach = corner + size * rng.uniform(0.2, 0.8, 2), 0.4 * size * along
        side = 1.8 * np.array([-along[1], along[0]])
        lanes += [(middle + side - reach, middle + side + reach), (middle - side + reach, middle - side - reach)]
    return np.array(lanes)


def car_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) RGB: mostly white, grey and black."""
    return CAR_COLOURS[rng.choice(len(CAR_COLOURS), p=CAR_SHARES)] + rng.uniform(-12, 12, 3)


def _box(back: float, front: float, width: float) -> np.ndarray:
    return np.array([(back, -width / 2), (front, -width / 2), (front, width / 2), (back, width / 2)])


def _blend(ground: np.ndarray, outlines: list[np.ndarray], colour: np.ndarray, opacity: float) -> None:
    """Paint the union of polygons (n, 2) of x and y into ``ground``; pixel i covers i - 0.5 to i + 0.5."""
    height, width = ground.shape[:2]
    corners = np.concatenate(outlines)
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, (width, height))
    if left >= right or top >= bottom:
        return
    fine = np.zeros(((bottom - top) * SUPERSAMPLING, (right - left) * SUPERSAMPLING), np.uint8)
    for outline in outlines:
        inside = (outline - (left, top) + 0.5) * SUPERSAMPLING - 0.5
        cv2.fillPoly(fine, [np.round(inside * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    cover = cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)[..., None]
    patch = ground[top:bottom, left:right]
    patch += (opacity / 255 * cover * (colour - patch)).astype(np.float32)
