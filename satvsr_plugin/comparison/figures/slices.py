"""Draws the x-t slice of a clip: one row of the picture in every frame, one under the other, for every system.

What stands still makes vertical lines; flicker and wrong alignment make them ragged. Satellite papers show it to tell
systems apart whose single frames look alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from satvsr_plugin.comparison.figures.canvas import GAP, LINE, blank, text_width, with_margin, write
from satvsr_plugin.comparison.figures.crop import Crop
from satvsr_plugin.comparison.figures.palette import Style
from satvsr_plugin.comparison.figures.pixels import enlarge

COLUMNS = 240  # of the picture that are shown at most, round the crop
_WIDTH = 960  # the strips are about as wide, in pixels
_HEIGHT = 120  # and about as high
_SWATCH = 6  # width of the strip in a system's colour
_INK = (27, 31, 36)


def textured_row(reference: np.ndarray, crop: Crop) -> int:
    """The row of a (h, w, bands) picture with the largest differences between neighbours within the crop."""
    part = crop.of(reference).astype(np.float64)
    if part.shape[1] < 2:
        return crop.y
    return crop.y + int(np.argmax((np.diff(part, axis=1) ** 2).sum(axis=(1, 2))))


def shown_columns(crop: Crop, width: int) -> slice:
    """The columns of the picture that a slice shows: as many as are readable, with the crop in their middle."""
    count = min(width, max(COLUMNS, crop.size))
    start = min(max(0, crop.x + crop.size // 2 - count // 2), width - count)
    return slice(start, start + count)


def draw_slices(
    strips: Mapping[str, np.ndarray], title: str, columns: slice, frames: Sequence[str], look: Mapping[str, Style]
) -> np.ndarray:
    """Lay out the figure.

    Args:
        strips: {system: (t, columns, 3) uint8 RGB}, from top to bottom.
        title: a line above.
        columns: of the picture that the strips show.
        frames: names of the t frames.
        look: the colours of the systems.

    Returns:
        (h, w, 3) uint8 RGB. Every pixel is a rectangle of one colour; a frame is as many pixels high as brings a
        strip to a readable height.
    """
    factor = max(1, round(_WIDTH / (columns.stop - columns.start)))
    rows = max(1, min(16, round(_HEIGHT / len(frames))))
    enlarged = {name: enlarge(strip, rows, factor) for name, strip in strips.items()}
    gutter = max(text_width(name) for name in strips) + GAP + _SWATCH
    numbers = max(map(text_width, [frames[0], frames[-1], 'frame'])) + GAP
    lines = [_beside(name, strip, min(gutter, 280), numbers, frames, look.get(name))
             for name, strip in enlarged.items()]
    width = lines[0].shape[1]
    heading = blank(LINE + GAP, width)
    write(heading, title, width - next(iter(enlarged.values())).shape[1], LINE // 2)
    parts = [heading]
    for line in lines:
        parts += [line, blank(GAP, width)]
    return with_margin(np.vstack([*parts[:-1], _axis(columns, factor, width)]))


def _beside(
    name: str, strip: np.ndarray, gutter: int, numbers: int, frames: Sequence[str], style: Style | None
) -> np.ndarray:
    """A strip with the system's name, its colour, and the first and last frame at its left."""
    height = max(strip.shape[0], 2 * LINE)
    line = blank(height, gutter + numbers + strip.shape[1])
    left = gutter + numbers
    line[:strip.shape[0], left:] = strip
    if style is not None:
        line[:strip.shape[0], :_SWATCH] = style.rgb
    write(line, name, _SWATCH + 6, strip.shape[0] // 2, 'lm', gutter - _SWATCH)
    write(line, frames[0], left - 6, LINE // 2, 'rm', numbers)
    if len(frames) > 1:
        write(line, frames[-1], left - 6, height - LINE // 2, 'rm', numbers)
    if strip.shape[0] >= 4 * LINE:
        write(line, 'frame', left - 6, height // 2, 'rm', numbers)
    return line


def _axis(columns: slice, factor: int, width: int) -> np.ndarray:
    """The ruler under the strips, in columns of the picture."""
    ruler = blank(2 * LINE + 6, width)
    count = columns.stop - columns.start
    left = width - count * factor
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000) if step * factor >= 90)
    for column in range(-(-columns.start // step) * step, columns.stop, step):
        x = left + (column - columns.start) * factor + factor // 2
        ruler[:6, x - 1:x + 1] = _INK
        write(ruler, str(column), x, 6 + LINE // 2, 'mm')
    write(ruler, 'column of the picture (pixels)', left + count * factor // 2, 6 + LINE + LINE // 2, 'mm')
    return ruler
