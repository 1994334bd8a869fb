"""Tiles cover the frame, weigh 1 together, and leave no seam."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from satvsr_plugin.inference.tiles import TileGrid, blend

GRIDS = [(40, 40, 16, 8, 1), (41, 33, 16, 9, 1), (16, 100, 16, 4, 1), (44, 36, 16, 6, 4), (7, 9, 16, 8, 1),
         (50, 64, 24, 23, 1), (33, 33, 32, 0, 1), (64, 64, 32, 10, 2)]


def repeat(picture: np.ndarray, scale: int) -> np.ndarray:
    return picture.repeat(scale, -2).repeat(scale, -1)


@pytest.mark.parametrize('grid', [TileGrid(*arguments) for arguments in GRIDS], ids=str)
def test_tiles_have_one_size_share_the_overlap_and_weigh_1_together(grid):
    total = np.zeros((3 * grid.height, 3 * grid.width))
    h, w = grid.size
    for tile in grid:
        assert 0 <= tile.top <= grid.height - h and 0 <= tile.left <= grid.width - w
        assert tile.top % grid.multiple == 0 and tile.left % grid.multiple == 0
        weights = grid.weights(tile, 3)
        assert weights.shape == (3 * h, 3 * w) and weights.min() >= 0
        total[3 * tile.top:3 * (tile.top + h), 3 * tile.left:3 * (tile.left + w)] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)
    for starts, size in ((grid.tops, h), (grid.lefts, w)):
        assert all(a + size - b >= grid.overlap for a, b in pairwise(starts))


def test_as_few_tiles_as_possible():
    assert TileGrid(100, 30, 40, 10).tops == [0, 30, 60]
    assert TileGrid(101, 30, 40, 10).tops == [0, 20, 40, 61]
    assert TileGrid(100, 30, 40, 10).size == (40, 30)
    assert TileGrid(40, 40, 40, 10).tops == [0]


def test_what_is_near_a_tiles_edge_counts_for_nothing():
    grid = TileGrid(100, 1, 40, 20)  # of 20 shared pixels, the ramp is the middle 8
    weights = [grid.weights(tile, 1)[:, 0] for tile in grid]
    assert grid.tops == [0, 20, 40, 60]
    np.testing.assert_allclose(weights[1][:6], 0)
    np.testing.assert_allclose(weights[1][6:14], (np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(weights[1][14:26], 1)
    np.testing.assert_allclose(weights[0][:26], 1)
    np.testing.assert_allclose(weights[3][14:], 1)


@pytest.mark.parametrize('bit_depth', [8, 16])
@pytest.mark.parametrize('grid', [TileGrid(*arguments) for arguments in GRIDS], ids=str)
def test_tiles_of_a_picture_become_the_picture(grid, bit_depth):
    """Two frames of two bands, to the last bit; what the grid has beyond the frame is cut off."""
    peak = 2**bit_depth - 1
    picture = np.random.default_rng(0).integers(0, peak + 1, (2, 2, grid.height, grid.width)).astype(np.float32)
    h, w = grid.size

    def upscale(tile):
        return torch.from_numpy(
            repeat(picture[..., tile.top:tile.top + h, tile.left:tile.left + w] / np.float32(peak), 2))

    result = blend(grid, 2, upscale, 2 * grid.height - 3, 2 * grid.width - 1, bit_depth)
    assert result.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
    expected = repeat(picture, 2)[..., :-3, :-1].transpose(0, 2, 3, 1)
    assert np.array_equal(result, expected)


def test_tiles_that_differ_in_brightness_leave_no_edge():
    """Each tile brighter than the one before by 0.1: the picture rises by no more than an eighth of that a pixel."""
    grid = TileGrid(30, 100, 40, 24)
    result = blend(grid, 1, lambda tile: torch.full((1, 1, *grid.size), 0.1 * tile.column), 30, 100, 16)[0, 0]
    steps = np.diff(result[:, 0].astype(float) / 65535)
    assert steps.min() >= 0 and steps.max() < 0.1 / 8 + 1e-4
    assert result[-1, 0] == round(0.1 * (len(grid.lefts) - 1) * 65535)
