"""Draws one frame as several systems show it: the whole frame, and beside it the same crop of each, enlarged."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from satvsr_plugin.comparison.figures.canvas import GAP, LINE, blank, grid, with_caption, with_margin
from satvsr_plugin.comparison.figures.crop import Crop
from satvsr_plugin.comparison.figures.palette import Style
from satvsr_plugin.comparison.figures.pixels import displayable, enlarge
from satvsr_plugin.comparison.figures.scene import Scene

_TILE = 240  # enlarged crops are about as large, in pixels
_LEAST_OVERVIEW = 360  # the whole frame at least
_RED = (230, 30, 30)


def draw_crops(
    scene: Scene, crop: Crop, peak: int, captions: Mapping[str, str], look: Mapping[str, Style], of: str = ''
) -> np.ndarray:
    """Lay out the figure, as in the papers.

    Args:
        scene: the pictures, and the ground truth if there is one; else the last picture is shown as a whole.
        crop: the part to enlarge, without interpolation.
        peak: the value that is shown as white.
        captions: the scores under the names of the systems.
        look: the colours of the systems.
        of: a line under the whole frame, which says what the scores are of.

    Returns:
        (h, w, 3) uint8 RGB: the whole frame with the crop's outline in red, and one enlarged crop a system, in up to
        three rows, the ground truth last.
    """
    tiles = [
        with_caption(_enlarged(displayable(crop.of(image), peak)), [name, captions.get(name, '')],
                     look[name].rgb if name in look else None)
        for name, image in scene.with_gt().items()
    ]
    rows = min(3, math.ceil(len(tiles) / 4))
    tiles_side_by_side = grid(tiles, rows)
    title = [f'clip {scene.clip}, frame {scene.frame}', of]
    height = max(tiles_side_by_side.shape[0], _LEAST_OVERVIEW)
    overview = _overview(displayable(scene.reference, peak), crop, height - len(title) * LINE)
    parts = [with_caption(overview, title), blank(height, GAP), _as_high(tiles_side_by_side, height)]
    return with_margin(np.hstack(parts))


def _enlarged(crop: np.ndarray) -> np.ndarray:
    """By the whole factor that comes closest to the size of a tile; every pixel stays a square."""
    factor = max(1, round(_TILE / crop.shape[0]))
    return enlarge(crop, factor, factor)


def _as_high(image: np.ndarray, height: int) -> np.ndarray:
    return np.vstack([image, blank(height - image.shape[0], image.shape[1])])


def _overview(whole: np.ndarray, crop: Crop, height: int) -> np.ndarray:
    """The whole frame, resized to a height, with the crop's outline."""
    scale = height / whole.shape[0]
    size = (max(1, round(whole.shape[1] * scale)), height)
    resized = cv2.resize(whole, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    first, last = ((math.floor(x * scale), math.floor(y * scale)) for x, y in _corners(crop))
    return cv2.rectangle(resized, first, last, color=_RED, thickness=2)


def _corners(crop: Crop) -> list[tuple[int, int]]:
    return [(crop.x, crop.y), (crop.x + crop.size - 1, crop.y + crop.size - 1)]
