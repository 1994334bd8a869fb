"""Satellite views drawn procedurally, for those who have no pictures to simulate clips from.

A plan of roads divides the ground into blocks, each block gets a land use that suits the scene's theme, and rivers,
railways and winding roads may cross it all. The scenes hold what super-resolution is judged by: edges, thin lines,
small things and fine repeated patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from satvsr_plugin.data.simulation.blocks import LAND_USES
from satvsr_plugin.data.simulation.buildings import Block
from satvsr_plugin.data.simulation.canvas import Canvas
from satvsr_plugin.data.simulation.roads import (
    RUNWAY_STRIP,
    railway,
    railway_width,
    river,
    road,
    road_width,
    runway,
    winding_line,
)

THEMES: dict[str, dict[str, float]] = {
    'town': {'homes': 6, 'parking': 1, 'halls': 1, 'sports': 1, 'forest': 1},
    'farmland': {'field': 8, 'forest': 2, 'homes': 1, 'solar': 1, 'water': 1},
    'industry': {'halls': 5, 'parking': 3, 'containers': 2, 'solar': 1, 'field': 1},
    'harbour': {'containers': 4, 'halls': 2, 'water': 2, 'parking': 1},
    'airport': {'apron': 5, 'parking': 2, 'halls': 2, 'field': 1},
}
SMALLEST_SCENE = 192


class Scene(NamedTuple):
    """A drawn piece of ground."""

    picture: np.ndarray  # (size, size, 3) uint8 RGB, sharp, 1 m a pixel
    lanes: np.ndarray  # (n, 2, 2) start and end (x, y) in px of the lanes that vehicles follow


Line = tuple[np.ndarray, int]  # open line (n, 2) in metres, and lanes each way, tracks or metres of width


class Plan(NamedTuple):
    """What lies where, in metres on the canvas."""

    blocks: list[Block]
    streets: list[Line]
    railways: list[Line]
    rivers: list[Line]
    runway: float | None  # x of its middle


def draw_scene(size: int, rng: np.random.Generator) -> Scene:
    """Draw a square scene of ``size`` pixels, at least ``SMALLEST_SCENE``: smaller plans would have no streets."""
    canvas = Canvas(size, rng)
    theme = list(THEMES)[rng.integers(len(THEMES))]
    reach = 0.71 * size  # the plan is turned: its square has to cover the picture's corners
    plan = _draw_airport(reach, rng) if theme == 'airport' else _draw_town(reach, rng)
    _keep_free(canvas, plan)
    for block in plan.blocks:
        LAND_USES[_choose_use(theme, rng)](canvas, block, rng)
    for line, width in plan.rivers:
        river(canvas, line, width, rng)
    lanes = np.concatenate([road(canvas, line, lanes_each_way, rng) for line, lanes_each_way in plan.streets])
    for line, tracks in plan.railways:
        railway(canvas, line, tracks)
    if plan.runway is not None:
        runway(canvas, plan.runway, reach, rng.uniform(-0.6, 0.1) * size, rng)
    inside = np.all((lanes >= 0) & (lanes < size), axis=(1, 2))
    return Scene(canvas.finish(rng), lanes[inside])


def _draw_town(reach: float, rng: np.random.Generator) -> Plan:
    """Blocks and streets, often with a winding road, sometimes with a railway or a river."""
    blocks, streets = _divide(Block(-reach, -reach, 2 * reach, 2 * reach), rng)
    if rng.random() < 0.5:
        streets.append((winding_line(reach, rng), int(rng.integers(1, 4))))
    railways = [(winding_line(reach, rng), int(rng.integers(1, 4)))] if rng.random() < 0.25 else []
    rivers = [(winding_line(reach, rng), int(rng.integers(12, 45)))] if rng.random() < 0.25 else []
    return Plan(blocks, streets, railways, rivers, None)


def _draw_airport(reach: float, rng: np.random.Generator) -> Plan:
    """A runway with blocks and streets on both sides."""
    middle = rng.uniform(-0.4, 0.4) * reach
    west, east = middle - RUNWAY_STRIP / 2, middle + RUNWAY_STRIP / 2
    west_blocks, west_streets = _divide(Block(-reach, -reach, west + reach, 2 * reach), rng)
    east_blocks, east_streets = _divide(Block(east, -reach, reach - east, 2 * reach), rng)
    return Plan(west_blocks + east_blocks, west_streets + east_streets, [], [], middle)


def _keep_free(canvas: Canvas, plan: Plan) -> None:
    """Nothing is built on streets, railways and rivers, nor right beside them."""
    for line, lanes_each_way in plan.streets:
        canvas.take_line(line, road_width(lanes_each_way) + 6)
    for line, tracks in plan.railways:
        canvas.take_line(line, railway_width(tracks) + 4)
    for line, width in plan.rivers:
        canvas.take_line(line, width + 8)


def _divide(land: Block, rng: np.random.Generator, depth: int = 0) -> tuple[list[Block], list[Line]]:
    """Divide land by streets, again and again, into blocks of about 60 to 200 m."""
    longer = max(land.width, land.height)
    if longer < 140 or (longer < 240 and rng.random() < 0.3):
        return [land], []
    lanes_each_way = 2 if depth < 2 and rng.random() < 0.5 else 1
    half = road_width(lanes_each_way) / 2 + 3  # with its pavement
    cut = longer * rng.uniform(0.35, 0.65)
    if land.width == longer:
        line = np.array([(land.x + cut, land.y), (land.x + cut, land.y + land.height)])
        first = land._replace(width=cut - half)
        second = land._replace(x=land.x + cut + half, width=land.width - cut - half)
    else:
        line = np.array([(land.x, land.y + cut), (land.x + land.width, land.y + cut)])
        first = land._replace(height=cut - half)
        second = land._replace(y=land.y + cut + half, height=land.height - cut - half)
    parts = [_divide(part, rng, depth + 1) for part in (first, second)]
    # the wider street is painted last: it runs through where smaller ones end
    return parts[0][0] + parts[1][0], [*parts[0][1], *parts[1][1], (line, lanes_each_way)]


def _choose_use(theme: str, rng: np.random.Generator) -> str:
    """A land use: mostly one that suits the theme, sometimes any."""
    uses = THEMES[theme] if rng.random() < 0.85 else dict.fromkeys(LAND_USES, 1.0)
    shares = np.array(list(uses.values()))
    return list(uses)[rng.choice(len(uses), p=shares / shares.sum())]
