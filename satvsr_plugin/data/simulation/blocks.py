"""Kinds of land use: each function paints one block of land."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from satvsr_plugin.data.simulation.buildings import (
    ASPHALT,
    CONCRETE,
    GRASS,
    GRAVEL,
    Block,
    flat_roof,
    home,
    parked_airliner,
    parked_car,
    trees,
)
from satvsr_plugin.data.simulation.canvas import Canvas, rectangle

FIELDS = [(112, 118, 74), (134, 122, 86), (92, 104, 62), (156, 144, 104), (104, 92, 72), (122, 132, 86)]
ROOFS = [(142, 84, 66), (120, 76, 64), (104, 100, 98), (84, 84, 90), (150, 134, 120), (128, 110, 92)]
CONTAINERS = [(150, 62, 48), (58, 86, 130), (186, 118, 50), (70, 110, 84), (196, 196, 192), (96, 92, 92)]


def field(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Farmland with rows of plants and the tracks of tractors."""
    colour = np.array(FIELDS[rng.integers(len(FIELDS))]) * rng.uniform(0.85, 1.15)
    canvas.fill(block.corners(), colour, rng.uniform(4, 10))
    along_x, between_tracks = rng.random() < 0.5, rng.uniform(18, 30)
    canvas.lines(block.stripes(rng.uniform(2.5, 7), along_x), colour * rng.uniform(0.8, 0.95), rng.uniform(0.5, 2))
    for wheel in (0.0, 2.0):
        canvas.lines(block.stripes(between_tracks, along_x, wheel), colour * 1.15 + 6, 0.5)


def forest(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Trees of one kind, close together."""
    canvas.fill(block.corners(), np.array((72, 78, 52)) * rng.uniform(0.8, 1.2), 8)
    radius = rng.uniform(1.6, 3.2)
    trees(canvas, block, int(block.width * block.height / (5 * radius**2)), radius, rng)


def homes(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Rows of houses back to back, of one builder, with lanes between them."""
    canvas.fill(block.corners(), np.array(GRASS) * rng.uniform(0.75, 1.1), 10)
    width, palette = rng.uniform(13, 22), rng.choice(len(ROOFS), 2, replace=False)
    for row, y in enumerate(np.arange(block.y + 1, block.y + block.height - 24, 26)):
        if row % 2:
            canvas.fill(rectangle(block.x, y + 23, block.width, 4), ASPHALT, 4)
        for x in np.arange(block.x + 2, block.x + block.width - width, width):
            home(canvas, Block(x, y, width, 24), bool(row % 2), ROOFS[palette[rng.integers(2)]], rng)


def halls(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Factory halls in a yard with goods and cars."""
    canvas.fill(block.corners(), np.array(ASPHALT) * rng.uniform(0.9, 1.4), 7)
    for x, y in block.inset(5).scatter(int(block.width * block.height / 250), rng):
        if rng.random() < 0.5:
            parked_car(canvas, x, y, rng)
        else:
            canvas.fill(rectangle(x, y, *rng.uniform(1.5, 9, 2)), np.array(GRAVEL) * rng.uniform(0.5, 1.5), 6)
    columns, rows = (max(1, int(length / rng.uniform(50, 90))) for length in (block.width, block.height))
    width, height = block.width / columns, block.height / rows
    for column, row in np.ndindex(columns, rows):
        x, y = block.x + (column + 0.1) * width, block.y + (row + 0.1) * height
        hall = Block(x, y, width * rng.uniform(0.55, 0.85), height * rng.uniform(0.55, 0.85))
        if canvas.take(hall.corners()):
            flat_roof(canvas, hall, rng)


def parking(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Double rows of marked stalls, some of them taken."""
    canvas.fill(block.corners(), np.array(ASPHALT) * rng.uniform(0.85, 1.3), 6)
    fullness = rng.uniform(0.2, 0.95)
    left, right = block.x + 3, block.x + block.width - 5
    for y in np.arange(block.y + 2, block.y + block.height - 11, 17):
        places = np.arange(left, right, 2.6)
        marks = [np.array([(x, y), (x, y + 10.4)]) for x in places]
        canvas.lines([*marks, np.array([(left, y + 5.2), (right + 2, y + 5.2)])], (180, 180, 175), 0.5)
        for x in places:
            for start in (y + 0.3, y + 5.6):
                if rng.random() < fullness:
                    parked_car(canvas, x + 0.4 + rng.uniform(-0.15, 0.15), start, rng)


def containers(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Stacks of containers in rows with lanes for cranes between them."""
    canvas.fill(block.corners(), np.array(CONCRETE) * rng.uniform(0.75, 1.0), 5)
    length, per_row = rng.choice([6.4, 12.5]), int(rng.integers(2, 7))
    for y in np.arange(block.y + 3, block.y + block.height - 2.5 * per_row, 2.6 * per_row + 9):
        for x in np.arange(block.x + 3, block.x + block.width - length, length + 0.8):
            for place in np.flatnonzero(rng.random(per_row) < 0.85):
                box = rectangle(x, y + 2.6 * place, length - 0.3, 2.4)
                canvas.shadow(box, 2.6 * int(rng.integers(1, 4)))
                canvas.fill(box, np.array(CONTAINERS[rng.integers(len(CONTAINERS))]) * rng.uniform(0.8, 1.2))


def solar(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Rows of solar panels on grass."""
    canvas.fill(block.corners(), np.array(GRASS) * 1.1, 8)
    for row in block.inset(4).stripes(rng.uniform(5, 9), rng.random() < 0.5):
        canvas.lines([row + 0.8 * canvas.sun], (62, 62, 50), 2.5)
        canvas.lines([row], (52, 62, 92), 3)
        canvas.lines([row], (96, 106, 130), 0.5)


def sports(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Pitches with white lines on mown grass, some with a running track round them."""
    canvas.fill(block.corners(), GRASS, 8)
    for x in np.arange(block.x + 6, block.x + block.width - 46, 56):
        for y in np.arange(block.y + 6, block.y + block.height - 62, 72):
            pitch = Block(x, y, 40, 56)
            if rng.random() < 0.5:
                canvas.fill(pitch.inset(-4).corners(), (156, 96, 78), 4)
            canvas.fill(pitch.corners(), (84, 118, 70), 4)
            canvas.lines(pitch.inset(2.5).stripes(8, False), (94, 128, 78), 4)
            outline = pitch.inset(2).corners()
            half = np.array([(x + 2, y + 28), (x + 38, y + 28)])
            canvas.lines([np.concatenate([outline, outline[:1]]), half], (222, 226, 218), 0.5)


def apron(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Slabs of concrete with parked airliners, before a terminal where there is room."""
    colour = np.array(CONCRETE) * rng.uniform(0.85, 1.1)
    canvas.fill(block.corners(), colour, 4)
    for along_x in (False, True):
        canvas.lines(block.stripes(7.5, along_x), colour * 0.92, 0.5)
    terminal = 30 if block.height > 90 else 0
    if terminal:
        flat_roof(canvas, Block(block.x + 5, block.y + 4, block.width - 10, 24), rng)
    for x in np.arange(block.x + 26, block.x + block.width - 20, 48):
        length = rng.uniform(28, 42)
        middle = np.array([x, block.y + terminal + 5 + length / 2])
        canvas.lines([middle + [(0, -length / 2), (0, length)]], (196, 176, 90), 0.5)
        if rng.random() < 0.8:
            parked_airliner(canvas, middle, length)


def water(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """A pond on waste land."""
    canvas.fill(block.corners(), (120, 116, 98), 6)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    phase = rng.uniform(0, 2 * np.pi, 2)
    reach = 0.4 + 0.05 * np.sin(3 * angle + phase[0]) + 0.02 * np.sin(7 * angle + phase[1])
    shore = block.corners().mean(axis=0) + (reach * (np.cos(angle), np.sin(angle))).T * (block.width, block.height)
    if canvas.take(shore):
        canvas.fill(shore, np.array((46, 62, 66)) * rng.uniform(0.7, 1.3), 2)


LandUse = Callable[[Canvas, Block, np.random.Generator], None]
LAND_USES: dict[str, LandUse] = {
    use.__name__: use for use in (field, forest, homes, halls, parking, containers, solar, sports, apron, water)
}
