"""Cuts frames into overlapping tiles of one size and blends their results without seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from torch import Tensor

from satvsr_plugin.models.pictures import integers_of, to_integers

RAMP = 8  # LR pixels over which one tile gives way to the next: wide enough that no edge can be seen


class Tile(NamedTuple):
    """A place in the LR frame, and the number of its row and column in the grid."""

    row: int
    column: int
    top: int
    left: int


@dataclass(frozen=True)
class TileGrid:
    """Tiles that cover a frame. All have the same size, and neighbours share at least ``overlap`` pixels.

    Of what neighbours share, only the ``ramp`` in the middle is blended. Outside it, near its own edge, a tile counts
    for nothing, since it has not seen what lies beyond.

    Args:
        height, width: of the frame, LR pixels, multiples of ``multiple``.
        side: height and width of a tile where the frame is as large; a multiple of ``multiple``.
        overlap: LR pixels, less than ``side``.
        multiple: tiles begin at multiples of it, so that a network that halves the resolution inside sees the same
            grid of pixels in each.
    """

    height: int
    width: int
    side: int
    overlap: int
    multiple: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every tile."""
        return min(self.side, self.height), min(self.side, self.width)

    @cached_property
    def tops(self) -> list[int]:
        return _starts(self.height, self.size[0], self.overlap, self.multiple)

    @cached_property
    def lefts(self) -> list[int]:
        return _starts(self.width, self.size[1], self.overlap, self.multiple)

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def __iter__(self) -> Iterator[Tile]:
        """Row by row."""
        for row, top in enumerate(self.tops):
            for column, left in enumerate(self.lefts):
                yield Tile(row, column, top, left)

    def weights(self, tile: Tile, scale: int) -> np.ndarray:
        """How much a tile counts in the result, (h, w) in [0, 1]; over all tiles they sum to 1 everywhere."""
        ramp = min(RAMP, self.overlap / 2)
        down = _weights(self.tops, tile.row, self.size[0], ramp, scale)
        right = _weights(self.lefts, tile.column, self.size[1], ramp, scale)
        return (down[:, None] * right).astype(np.float32)


def blend(grid: TileGrid, scale: int, upscale: Callable[[Tile], Tensor], height: int, width: int,
          bit_depth: int) -> np.ndarray:
    """The results of all tiles as whole pictures. Besides these, floats of one row of tiles are held.

    A frame that is one tile becomes integers where it was computed.

    Args:
        grid: the tiles.
        scale: enlargement.
        upscale: gives the results of a tile, (n, c, scale * tile height, scale * tile width), floats in [0, 1], on
            any device.
        height, width: of the result; what the grid has beyond is cut off.
        bit_depth: of the result, 8 or 16.

    Returns:
        (n, height, width, c) uint8 or uint16.
    """
    if len(grid) == 1:
        whole = upscale(next(iter(grid)))[..., :height, :width]
        return integers_of(whole, bit_depth).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    pictures: np.ndarray | None = None
    strip: np.ndarray | None = None  # (n, c, height of a tile, width of the frame): sums of the rows in work
    for tile in grid:
        result = upscale(tile).cpu().numpy()
        n, c, tile_height, tile_width = result.shape
        if pictures is None or strip is None:
            pictures = np.empty((n, height, width, c), np.uint8 if bit_depth == 8 else np.uint16)
            strip = np.zeros((n, c, tile_height, scale * grid.width), np.float32)
        left = scale * tile.left
        strip[..., left:left + tile_width] += result * grid.weights(tile, scale)
        if tile.column + 1 == len(grid.lefts):
            top = scale * tile.top
            below = scale * (grid.tops[tile.row + 1] if tile.row + 1 < len(grid.tops) else grid.height)
            done = strip[:, :, :below - top, :width][:, :, :max(0, height - top)]
            pictures[:, top:top + done.shape[2]] = to_integers(done, bit_depth).transpose(0, 2, 3, 1)
            strip = _moved_up(strip, below - top)
    if pictures is None:
        raise ValueError('the grid has no tiles')
    return pictures


def _moved_up(strip: np.ndarray, rows: int) -> np.ndarray:
    moved = np.zeros_like(strip)
    rest = strip.shape[2] - rows
    moved[:, :, :rest] = strip[:, :, rows:]
    return moved


def _starts(length: int, size: int, overlap: int, multiple: int) -> list[int]:
    """Where tiles begin along an axis: as few as possible, evenly spread, from the one border to the other."""
    if size >= length:
        return [0]
    free = (length - size) // multiple
    longest_step = max(1, (size - overlap) // multiple)
    count = -(-free // longest_step)
    return [index * free // count * multiple for index in range(count + 1)]


def _weights(starts: list[int], index: int, size: int, ramp: float, scale: int) -> np.ndarray:
    """Of tile ``index`` along an axis, one for each HR pixel: what has risen by then, less what the next one takes."""
    x = (starts[index] + (np.arange(size * scale) + 0.5) / scale)  # LR pixels

    def risen(joint: int) -> np.ndarray:
        """The share of all tiles from number ``joint`` on."""
        if joint in (0, len(starts)):
            return np.full(len(x), 1.0 if joint == 0 else 0.0)
        middle = (starts[joint] + starts[joint - 1] + size) / 2
        return np.clip((x - middle) / max(ramp, 1e-6) + 0.5, 0, 1)

    return risen(index) - risen(index + 1)
