"""Roads with the lanes that vehicles follow, railways, rivers and runways."""

from __future__ import annotations

import numpy as np

from satvsr_plugin.data.simulation.canvas import Canvas, rectangle

PAINT = (206, 206, 200)
LANE = 3.5  # m
RUNWAY_STRIP = 150  # m, the runway and the grass beside it


def road_width(lanes_each_way: int) -> float:
    """Width in metres of a road without its pavements."""
    return 2 * LANE * lanes_each_way + 2


def railway_width(tracks: int) -> float:
    """Width in metres of a railway with its ballast."""
    return 4.5 * tracks + 3


def along_line(line: np.ndarray, offset: float) -> np.ndarray:
    """The line (n, 2) moved ``offset`` metres to its right, as seen with y pointing down."""
    way = np.gradient(line, axis=0)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    return line + offset * np.stack([-way[:, 1], way[:, 0]], axis=1)


def road(canvas: Canvas, line: np.ndarray, lanes_each_way: int, rng: np.random.Generator) -> np.ndarray:
    """Paint a road along an open line (n, 2).

    Returns:
        (m, 2, 2) start and end of 40 m pieces of its lanes in px of the picture; traffic keeps to the right.
    """
    asphalt = np.array((96, 97, 100)) * rng.uniform(0.75, 1.35)
    width = road_width(lanes_each_way)
    canvas.lines([line], (146, 142, 132), width + 4)
    canvas.lines([line], asphalt, width)
    for side in (-1, 1):
        canvas.lines([along_line(line, side * (width / 2 - 0.8))], PAINT, 0.5)
        for lane in range(1, lanes_each_way):
            canvas.lines(dashes(along_line(line, side * lane * LANE), 4, 8), PAINT, 0.5)
    if lanes_each_way > 1:
        canvas.lines([line], (112, 118, 92), 1.5)  # a planted strip between the directions
    else:
        canvas.lines(dashes(line, 3, 6), PAINT, 0.5)
    offsets = LANE * (np.arange(lanes_each_way) + 0.5)
    pieces = [dashes(along_line(line, offset), 40, 0) for offset in offsets]
    pieces += [dashes(along_line(line, -offset), 40, 0)[:, ::-1] for offset in offsets]
    return canvas.to_picture(np.concatenate(pieces))


def railway(canvas: Canvas, line: np.ndarray, tracks: int) -> None:
    """Ballast, sleepers and rails."""
    canvas.lines([line], (128, 118, 106), railway_width(tracks))
    for track in range(tracks):
        middle = along_line(line, 4.5 * (track - (tracks - 1) / 2))
        canvas.lines(dashes(middle, 0.5, 1.0), (96, 86, 78), 2.5)
        for side in (-0.75, 0.75):
            canvas.lines([along_line(middle, side)], (176, 172, 168), 0.5)


def river(canvas: Canvas, line: np.ndarray, width: float, rng: np.random.Generator) -> None:
    """Water between banks."""
    canvas.lines([line], (116, 112, 92), width + 6)
    canvas.lines([line], np.array((50, 66, 70)) * rng.uniform(0.75, 1.3), width)


def runway(canvas: Canvas, x: float, reach: float, threshold: float, rng: np.random.Generator) -> None:
    """A runway along y with its middle at ``x``, from ``threshold`` to ``reach``, and a taxiway, in grass."""
    length = reach - threshold
    asphalt = np.array((104, 104, 106)) * rng.uniform(0.7, 1.3)
    canvas.fill(rectangle(x - RUNWAY_STRIP / 2, -reach, RUNWAY_STRIP, 2 * reach), (120, 122, 86), 7)
    canvas.fill(rectangle(x - 26, threshold - 30, 52, length + 30), asphalt * 1.12, 3)
    canvas.fill(rectangle(x - 22.5, threshold, 45, length), asphalt, 3)
    for side in (-1, 1):
        canvas.lines([np.array([(x + side * 21.5, threshold), (x + side * 21.5, reach)])], PAINT, 1)
        for bar in range(6):
            canvas.fill(rectangle(x + side * (3.5 + 3 * bar) - 0.9, threshold + 6, 1.8, 30), PAINT)
        canvas.fill(rectangle(x + side * 9 - 3, threshold + 150, 6, 45), PAINT)
    canvas.lines(dashes(np.array([(x, threshold + 50), (x, reach)]), 30, 20), PAINT, 1)
    canvas.lines([np.array([(x - 60, -reach), (x - 60, reach)])], asphalt * 1.1, 18)
    canvas.lines([np.array([(x - 60, -reach), (x - 60, reach)])], (200, 176, 80), 0.5)


def dashes(line: np.ndarray, dash: float, gap: float) -> np.ndarray:
    """(m, 2, 2) pieces of ``dash`` metres along an open line (n, 2), ``gap`` metres apart."""
    distance = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    starts = np.arange(0, distance[-1] - dash, dash + gap)
    ends = np.stack([starts, starts + dash], axis=1)  # (m, 2)
    return np.stack([np.interp(ends, distance, line[:, axis]) for axis in (0, 1)], axis=2)


def winding_line(reach: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) a smooth line across a square of twice ``reach`` metres, in any direction."""
    along = np.linspace(-1.5 * reach, 1.5 * reach, 80)
    across = np.zeros_like(along)
    for order in (1, 2):
        across += rng.uniform(0, 0.14) * reach / order * np.sin(2 * order * along / reach + rng.uniform(0, 2 * np.pi))
    angle = rng.uniform(0, np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    middle = rng.uniform(-0.4, 0.4) * reach
    return np.outer(along, way) + np.outer(across + middle, (-way[1], way[0]))

