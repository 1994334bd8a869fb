"""The x-t slice: which row and columns it shows, and that its pixels are those of the frames."""

from __future__ import annotations

import numpy as np
import pytest

from satvsr_plugin.comparison.figures.canvas import GAP, LINE
from satvsr_plugin.comparison.figures.crop import Crop
from satvsr_plugin.comparison.figures.palette import styles
from satvsr_plugin.comparison.figures.slices import draw_slices, shown_columns, textured_row


def test_the_row_with_most_texture_within_the_crop() -> None:
    picture = np.full((50, 60, 3), 100, np.uint8)
    picture[20, 10:30:2] = 200
    picture[25, 10:30:2] = 130
    picture[40] = np.arange(60)[:, None] % 2 * 255  # the strongest, but outside the crop
    assert textured_row(picture, Crop(8, 15, 20)) == 20
    assert textured_row(picture, Crop(8, 22, 10)) == 25
    assert textured_row(picture, Crop(8, 22, 1)) == 22


@pytest.mark.parametrize(('crop', 'width', 'expected'), [
    (Crop(300, 0, 80), 640, slice(220, 460)),  # the crop's centre is 340
    (Crop(0, 0, 80), 640, slice(0, 240)),
    (Crop(560, 0, 80), 640, slice(400, 640)),
    (Crop(10, 0, 20), 100, slice(0, 100)),
    (Crop(100, 0, 300), 640, slice(100, 400)),
])  # fmt: skip
def test_the_columns_are_those_round_the_crop(crop: Crop, width: int, expected: slice) -> None:
    assert shown_columns(crop, width) == expected


@pytest.mark.parametrize(('frames', 'rows'), [(1, 16), (7, 16), (10, 12), (100, 1)])
def test_every_pixel_of_the_frames_is_a_rectangle(frames: int, rows: int) -> None:
    rng = np.random.default_rng(frames)
    strips = {name: rng.integers(0, 256, (frames, 240, 3), dtype=np.uint8) for name in ('Bicubic', 'GT')}
    names = [f'{number:03d}' for number in range(frames)]
    figure = draw_slices(strips, 'title', slice(100, 340), names, styles(['Bicubic']))
    height = frames * rows
    left = figure.shape[1] - GAP - 960
    for number, strip in enumerate(strips.values()):
        top = GAP + LINE + GAP + number * (max(height, 2 * LINE) + GAP)
        shown = figure[top:top + height, left:left + 960]
        np.testing.assert_array_equal(shown, strip.repeat(rows, axis=0).repeat(4, axis=1))
    first = GAP + LINE + GAP
    assert tuple(figure[first, GAP]) == (0x00, 0x72, 0xB2)  # the first colour
    assert tuple(figure[first + max(height, 2 * LINE) + GAP, GAP]) == (255, 255, 255)  # GT has none


def test_ticks_stand_at_round_columns() -> None:
    strip = np.full((10, 240, 3), 255, np.uint8)
    figure = draw_slices({'GT': strip}, '', slice(130, 370), [f'{i}' for i in range(10)], {})
    left = figure.shape[1] - GAP - 960
    ruler = figure[GAP + LINE + GAP + 120:][:6, left:]
    ticks = np.flatnonzero((ruler < 128).all(axis=(0, 2)))
    assert {tick // 4 + 130 for tick in ticks if tick % 4 == 2} == {150, 200, 250, 300, 350}
