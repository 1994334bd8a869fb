"""One simulated clip: a still or a drawn scene, seen by a drifting camera."""

from __future__ import annotations

import cv2
import numpy as np

from satvsr_plugin.data.simulation.camera import MARGIN, draw_camera, expose
from satvsr_plugin.data.simulation.movers import Mover, draw_aircraft, draw_vehicles, random_lanes
from satvsr_plugin.data.simulation.options import SimulationOptions
from satvsr_plugin.errors import DataError


def simulate_clip(
    source: np.ndarray,
    options: SimulationOptions,
    rng: np.random.Generator,
    lanes: np.ndarray | None = None,
) -> np.ndarray:
    """Simulate the GT frames of one clip.

    Args:
        source: (h, w, 3) uint8 RGB, sharp, about 1 m a pixel, larger than the frames: the camera never looks over
            its edge.
        options: how it is done.
        rng: where every value of this clip is drawn from.
        lanes: (n, 2, 2) start and end (x, y) in source px of the lanes that vehicles follow; straight lines
            anywhere if there are none.

    Returns:
        (t, size, size, 3) uint8.

    Raises:
        DataError: the source is too small for the frames.
    """
    zoom = _draw_zoom(min(source.shape[:2]), options, rng)
    ground = _recolour(_rescale(source, zoom), rng)
    camera = draw_camera(ground.shape[:2], options, rng)
    movers = _draw_movers(camera.path[options.frames // 2], None if lanes is None else zoom * lanes, zoom, options, rng)
    frames = []
    for index in range(options.frames):
        moment = ground.copy()
        for mover in movers:
            mover.draw(moment, index)
        frames.append(expose(moment, camera, index, options.size, rng))
    return np.stack(frames)


def _draw_zoom(source_size: int, options: SimulationOptions, rng: np.random.Generator) -> float:
    """GT px per source px at which the frames and their margin fit into the source's shorter side."""
    needed = options.size + 2 * MARGIN + 1
    if source_size * options.zoom[1] < needed:
        raise DataError(
            f'{source_size} pixels (the shorter side) are too few for frames of {options.size}x{options.size}; take a '
            f'picture of at least {int(np.ceil(needed / options.zoom[1]))} pixels each way, or a smaller size'
        )
    return rng.uniform(max(options.zoom[0], needed / source_size), options.zoom[1])


def _draw_movers(
    corner: np.ndarray, lanes: np.ndarray | None, zoom: float, options: SimulationOptions, rng: np.random.Generator
) -> list[Mover]:
    """Vehicles on the lanes (n, 2, 2) that are in view, in ground px, and aircraft."""
    if lanes is not None:
        middles = lanes.mean(axis=1)
        lanes = lanes[np.all((middles > corner) & (middles < corner + options.size), axis=1)]
    if lanes is None or not len(lanes):
        lanes = random_lanes(corner, options.size, 3, rng)
    vehicles, aircraft = (int(rng.integers(*counts, endpoint=True)) for counts in (options.vehicles, options.aircraft))
    return [
        *draw_vehicles(vehicles, lanes, zoom, rng),
        *draw_aircraft(aircraft, corner, options.size, options.frames, zoom, rng),
    ]


def _rescale(source: np.ndarray, zoom: float) -> np.ndarray:
    """(h * zoom, w * zoom, 3) float32."""
    height, width = (int(size * zoom) for size in source.shape[:2])
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return cv2.resize(source.astype(np.float32), (width, height), interpolation=how)


def _recolour(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary saturation, contrast and brightness, as season, haze and exposure do."""
    grey = ground.mean(axis=2, keepdims=True)
    ground = grey + rng.uniform(0.3, 1.0) * (ground - grey)
    middle = float(ground.mean())
    ground = (ground - middle) * rng.uniform(0.9, 1.5) + middle + rng.uniform(-10, 25)
    return np.clip(ground, 0, 255).astype(np.float32)
