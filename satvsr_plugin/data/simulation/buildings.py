"""The things that stand on a block of land: houses, halls, trees, parked cars and airliners."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from satvsr_plugin.data.simulation.canvas import Canvas, Colour, rectangle
from satvsr_plugin.data.simulation.movers import AIRCRAFT, car_colour

ASPHALT, CONCRETE, GRAVEL, GRASS = (92, 93, 96), (165, 162, 155), (140, 134, 124), (104, 110, 78)
HALLS = [(205, 207, 208), (172, 176, 180), (120, 138, 160), (228, 228, 224), (148, 146, 142), (150, 110, 96)]


class Block(NamedTuple):
    """An upright rectangle of land, in metres on the canvas."""

    x: float
    y: float
    width: float
    height: float

    def corners(self) -> np.ndarray:
        """(4, 2) x and y."""
        return rectangle(*self)

    def inset(self, margin: float) -> Block:
        """The block without a margin all round."""
        return Block(self.x + margin, self.y + margin, self.width - 2 * margin, self.height - 2 * margin)

    def scatter(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, 2) points anywhere in it."""
        return (self.x, self.y) + rng.random((count, 2)) * (self.width, self.height)

    def stripes(self, spacing: float, along_x: bool, offset: float = 0.0) -> np.ndarray:
        """(n, 2, 2) parallel lines across it, the first half a spacing and ``offset`` from its edge."""
        length, across = (self.width, self.height) if along_x else (self.height, self.width)
        places = np.arange(offset + spacing / 2, max(across, 0), spacing)
        lines = np.stack([np.tile((0, length), (len(places), 1)), np.repeat(places[:, None], 2, axis=1)], axis=2)
        return (lines if along_x else lines[..., ::-1]) + (self.x, self.y)


def trees(canvas: Canvas, block: Block, count: int, radius: float, rng: np.random.Generator) -> None:
    """Round crowns, lit on the side of the sun."""
    light = -canvas.sun / np.linalg.norm(canvas.sun)
    colour = np.array((68, 84, 48)) + rng.uniform(-14, 14, 3)
    for place in block.scatter(count, rng):
        size, shade = radius * rng.uniform(0.6, 1.3), rng.uniform(0.75, 1.2)
        canvas.disc(place - 0.9 * size * light, size, colour * 0.45)
        canvas.disc(place, size, colour * 0.85 * shade)
        canvas.disc(place + 0.3 * size * light, size * 0.6, colour * 1.25 * shade)


def home(canvas: Canvas, plot: Block, faces_up: bool, colour: Colour, rng: np.random.Generator) -> None:
    """A house near one end of its plot of 24 m, where the street is, and the garden behind it."""
    depth = rng.uniform(8, 12)
    front = plot.y + (plot.height - depth - 5 if faces_up else 5) + rng.uniform(-1.5, 1.5)
    house = rectangle(plot.x + rng.uniform(0, 2), front, plot.width * rng.uniform(0.5, 0.75), depth)
    if not canvas.take(house):
        return
    garden = Block(plot.x, plot.y if faces_up else plot.y + plot.height - 8, plot.width, 8)
    canvas.fill(garden.corners(), np.array(GRASS) * rng.uniform(0.8, 1.2), 10)
    drive = plot.x + 0.8 * plot.width
    canvas.fill(rectangle(drive, front if faces_up else plot.y, 3, depth + 5), CONCRETE)
    if rng.random() < 0.7:
        parked_car(canvas, drive + 0.5, front + rng.uniform(1, 6), rng)
    gable_roof(canvas, house, colour, rng)
    trees(canvas, garden, int(rng.integers(6)), rng.uniform(1.5, 3), rng)
    if rng.random() < 0.1:  # a pool
        canvas.fill(rectangle(garden.x + 2, garden.y + 2, 7, 4), (120, 166, 182), 2)


def gable_roof(canvas: Canvas, corners: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    """A roof (4, 2) whose ridge runs along its first side; the face turned away from the sun is darker."""
    canvas.shadow(corners, rng.uniform(5, 8))
    tiles = np.array(colour) * rng.uniform(0.85, 1.15)
    ridge = (corners[[0, 1]] + corners[[3, 2]]) / 2
    first_is_lit = canvas.sun @ (corners[3] - corners[0]) > 0
    canvas.fill(np.concatenate([corners[:2], ridge[::-1]]), tiles * (1.15 if first_is_lit else 0.8), 4)
    canvas.fill(np.concatenate([ridge, corners[2:]]), tiles * (0.8 if first_is_lit else 1.15), 4)


def flat_roof(canvas: Canvas, hall: Block, rng: np.random.Generator) -> None:
    """A flat roof with a parapet, ribs, sometimes skylights, and boxes of machinery."""
    colour = np.array(HALLS[rng.integers(len(HALLS))]) * rng.uniform(0.85, 1.1)
    canvas.shadow(hall.corners(), rng.uniform(7, 16))
    canvas.fill(hall.corners(), colour * 0.85, 3)
    roof = hall.inset(1)
    canvas.fill(roof.corners(), colour, 3)
    ribs = roof.stripes(rng.uniform(2, 6), rng.random() < 0.5)
    canvas.lines(ribs, colour * rng.uniform(0.78, 0.95), rng.choice([0.5, 1.0]))
    if rng.random() < 0.5:
        canvas.lines(roof.inset(3).stripes(rng.uniform(8, 14), rng.random() < 0.5), colour * 0.55, 2)
    for x, y in roof.inset(3).scatter(int(rng.integers(9)), rng):
        machine = rectangle(x, y, *rng.uniform(2, 5, 2))
        canvas.shadow(machine, 2.5)
        canvas.fill(machine, np.array((215, 215, 212)) * rng.uniform(0.6, 1.1))


def parked_car(canvas: Canvas, x: float, y: float, rng: np.random.Generator) -> None:
    """A car along y with its corner at x and y."""
    colour = car_colour(rng)
    body = rectangle(x, y, 1.9, 4.4)
    canvas.fill(body + 0.7 * canvas.sun, (48, 50, 54))
    canvas.fill(body, colour)
    canvas.fill(rectangle(x + 0.2, y + rng.choice([1.0, 2.4]), 1.5, 0.8), colour * 0.3)


def parked_airliner(canvas: Canvas, middle: np.ndarray, length: float) -> None:
    """An airliner along y, its nose towards smaller values."""
    outlines = [middle + length * shape[:, ::-1] * (1, -1) for shape, _ in AIRCRAFT]
    for outline in outlines:
        canvas.fill(outline + 3 * canvas.sun, (74, 73, 70))
    for outline, (_, shade) in zip(outlines, AIRCRAFT, strict=True):
        canvas.fill(outline, np.array((232, 234, 236)) * shade)
