"""What the clips show: stills from a folder, some of them kept for the test clips, or drawn scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from satvsr_plugin.data.image_io import IMAGE_SUFFIXES, read_image
from satvsr_plugin.data.simulation.camera import MARGIN
from satvsr_plugin.data.simulation.options import SimulationOptions
from satvsr_plugin.data.simulation.scenes import SMALLEST_SCENE, Scene, draw_scene
from satvsr_plugin.errors import DataError


def find_stills(folder: Path, least: int = 1) -> list[Path]:
    """The pictures in a folder, by name.

    Raises:
        DataError: no folder, or fewer than ``least`` pictures in it.
    """
    if not folder.is_dir():
        raise DataError(f'{folder}: no such folder of stills')
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f'{folder}: no pictures; stills end with {", ".join(sorted(IMAGE_SUFFIXES))}')
    if len(files) < least:
        raise DataError(f'{folder}: {len(files)} picture; training and test clips need at least one still each')
    return files


def split_stills(folder: Path, seed: int) -> dict[str, list[Path]]:
    """Split the pictures in a folder: every tenth, in an order drawn with the seed, is kept for ``eval``.

    The split does not depend on how many clips are made, so that clip k is the same in a larger data set.

    Raises:
        DataError: no folder, or fewer than two pictures in it.
    """
    files = find_stills(folder, least=2)
    order = np.random.default_rng(seed).permutation(len(files))
    return {
        'train': [files[i] for place, i in enumerate(order) if place % 10],
        'eval': [files[i] for i in order[::10]],
    }


def read_still(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Read a still as (h, w, 3) uint8 RGB, flipped and turned by quarters at random.

    Raises:
        DataError: it cannot be read, or is neither grey nor RGB nor RGBA.
    """
    still = read_image(path)
    if still.dtype == np.uint16:
        still = (still // 257).astype(np.uint8)
    if still.shape[2] == 1:
        still = np.repeat(still, 3, axis=2)
    elif still.shape[2] not in (3, 4):
        raise DataError(f'{path}: {still.shape[2]} bands; stills must be grey, RGB or RGBA')
    still = np.rot90(still[..., :3], int(rng.integers(4)))
    return np.ascontiguousarray(still[:, ::-1] if rng.random() < 0.5 else still)


def draw_source(options: SimulationOptions, rng: np.random.Generator) -> Scene:
    """Draw a scene that is large enough for the frames at any zoom, and for drifts up to the size of a frame."""
    way = min(options.drift[1] * (options.frames - 1), options.size)
    size = int(np.ceil((options.size + way + 2 * MARGIN + 1) / options.zoom[0]))
    return draw_scene(max(size, SMALLEST_SCENE), rng)
