"""Paper for figures made of pictures: text beside and under them, and rows of tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 12
LINE = 24  # height of a line of text, in pixels
_TEXT = 16  # size of its letters
_WHITE, _INK = (255, 255, 255), (27, 31, 36)


def blank(height: int, width: int) -> np.ndarray:
    """White (height, width, 3) paper."""
    return np.full((height, width, 3), _WHITE, np.uint8)


def with_margin(image: np.ndarray) -> np.ndarray:
    """White all round an image."""
    return np.pad(image, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


def with_caption(image: np.ndarray, lines: Sequence[str], colour: tuple[int, int, int] | None = None) -> np.ndarray:
    """Put centred lines of text under an image, and a strip of a colour between the two."""
    caption = blank(len(lines) * LINE, image.shape[1])
    for number, line in enumerate(lines):
        write(caption, line, image.shape[1] // 2, number * LINE + LINE // 2 + 1, 'mm')
    if colour is not None:
        caption[:3] = colour
    return np.vstack([image, caption])


def write(paper: np.ndarray, text: str, x: int, y: int, anchor: str = 'lm', room: int | None = None) -> None:
    """Write one line on paper; text that is too long for it becomes smaller, and then loses its end.

    Args:
        paper: (h, w, 3) uint8, changed in place.
        x, y: of the anchor, in pixels.
        anchor: ``l``, ``m`` or ``r`` of the text is at x, its middle (``m``) at y.
        room: pixels that the text may be wide; by default all of the paper.
    """
    room = (paper.shape[1] if room is None else room) - 4
    size = _TEXT
    while size > 7 and _font(size).getlength(text) > room:
        size -= 1
    while len(text) > 1 and _font(size).getlength(text) > room:
        text = text[:-2] + '…'
    canvas = Image.fromarray(paper)
    ImageDraw.Draw(canvas).text((x, y), text, _INK, _font(size), anchor)
    paper[:] = np.asarray(canvas)


def text_width(text: str) -> int:
    """Pixels that a line of text is wide."""
    return math.ceil(_font(_TEXT).getlength(text))


def grid(tiles: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Lay tiles of one size in rows, left to right; the last row may be shorter."""
    columns = math.ceil(len(tiles) / rows)
    height, width = tiles[0].shape[:2]
    paper = blank(rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    for number, tile in enumerate(tiles):
        y, x = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        paper[y:y + height, x:x + width] = tile
    return paper


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib brings this font along, so that figures look the same on every machine
    return ImageFont.truetype(Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf'), size)
