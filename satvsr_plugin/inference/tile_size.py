"""How large tiles are, how much they overlap, and how they shrink where memory runs out all the same."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Literal, NamedTuple

import torch
from basicsr.utils import get_root_logger

from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.inference.bands import BandPlan
from satvsr_plugin.inference.probe import bytes_per_pixel, feature_bytes_per_pixel, measure_margin
from satvsr_plugin.inference.tile_network import TileNetwork
from satvsr_plugin.inference.tiles import RAMP, TileGrid
from satvsr_plugin.models.segments import free_memory

TileOption = int | Literal['auto', 'none']
SHARE_FOR_TILES = 0.5  # of the free memory
SHARE_FOR_FEATURES = 0.125  # where they need more, features are computed anew for each window
# Beyond these nothing is won: a CPU is busy with less, and a GPU's operators count in 32 bits.
LARGEST = {'cpu': 256, 'cuda': 768}
LEAST = 32  # LR pixels; a network that finds no room for as little cannot work here
# Windows at once, where their number is left to us: as many as make a GPU busy with small frames.
PIXELS_AT_ONCE, MOST_WINDOWS = 256**2, 8


class Layout(NamedTuple):
    """How frames of a certain size are cut.

    Attributes:
        side: of a tile, LR pixels; None for whole frames.
        overlap: that neighbouring tiles share, LR pixels.
        keeps_features: whether there is room for features of frames until the next windows.
        windows: how many the network is given at once.
    """

    side: int | None
    overlap: int
    keeps_features: bool
    windows: int


def check_tile_options(tile: TileOption, overlap: int | None) -> None:
    """Refuse what cannot be.

    Raises:
        OptionError: says what would do.
    """
    if tile not in ('auto', 'none') and (not isinstance(tile, int) or tile < 1):
        raise OptionError(f'tile: {tile} is neither auto nor none nor a number of pixels')
    if overlap is None:
        return
    if overlap < 0:
        raise OptionError(f'overlap: {overlap} is less than 0')
    if isinstance(tile, int) and overlap >= tile:
        raise OptionError(f'overlap: {overlap} is not less than tile: {tile}; tiles would not get on')


class TileSizes:
    """Decides on tiles, and remembers what turned out to be too large.

    Args:
        network: the network that the tiles are for.
        tile, overlap: what the user wants.
        frames: how many the network sees at once.
    """

    def __init__(self, network: TileNetwork, tile: TileOption, overlap: int | None, frames: int) -> None:
        self.network = network
        self.tile = tile
        self.overlap = overlap
        self.frames = frames
        self._limit: int | None = None  # after memory ran out
        self._ran_out = False
        self._margin: int | None = None
        self._pixel_bytes = cache(partial(bytes_per_pixel, network))  # a call of the network each

    def layout(self, height: int, width: int, bands: BandPlan, dtype: torch.dtype) -> Layout:
        """How to cut frames of this size."""
        group = len(bands.groups[0])
        free = free_memory(self.network.device)
        side = self._side(height, width, group, dtype, free)
        overlap = self._overlap(side, group) if side is not None else 0
        windows = self._windows(min(side or height, height) * min(side or width, width), group, dtype, free)
        per_frame = feature_bytes_per_pixel(self.network, group, dtype) * height * width * len(bands.groups)
        keeps = per_frame * (self.frames + windows - 1) <= SHARE_FOR_FEATURES * free
        return Layout(side, overlap, keeps, windows)

    def grid(self, layout: Layout, height: int, width: int) -> TileGrid:
        """The tiles of a frame, whose sides are those that the network can take."""
        spec = self.network.spec
        side = max(height, width) if layout.side is None else layout.side
        return TileGrid(height, width, side, layout.overlap, spec.multiple)

    def shrink(self, layout: Layout, height: int, width: int, fault: str) -> None:
        """Be content with one window at a time from now on, then with smaller tiles.

        Raises:
            DataError: they are as small as can be, or the user wants none.
        """
        self._ran_out = True
        if layout.windows > 1:
            get_root_logger().warning(f'memory does not hold {layout.windows} windows at once; going on with one')
            return
        side = min(layout.side or max(height, width), max(height, width))
        smaller = self._rounded(side * 2 // 3)
        if self.tile == 'none':
            raise DataError(f'memory does not hold whole frames of {width}x{height} ({fault}); use --tile auto')
        if smaller >= side or smaller < LEAST:
            raise DataError(f'memory does not hold a tile of {side}x{side} pixels ({fault}); end other programs, or '
                            'use a smaller network')
        get_root_logger().warning(f'memory does not hold tiles of {side}x{side} pixels; going on with '
                                  f'{smaller}x{smaller}. --tile {smaller} spares the attempt')
        self._limit = smaller
        if self.network.device.type == 'cuda':
            torch.cuda.empty_cache()

    @property
    def _wanted_windows(self) -> int:
        """How many at once, 0 where that is left to us."""
        return 1 if self.network.spec.sees != 'window' or self._ran_out else self.network.paths.windows

    def _windows(self, pixels: int, bands: int, dtype: torch.dtype, free: int) -> int:
        wanted = self._wanted_windows or min(MOST_WINDOWS, PIXELS_AT_ONCE // pixels)
        if self._wanted_windows == 0 and wanted > 1:
            each = self._pixel_bytes(bands, self.frames, dtype) * pixels
            wanted = min(wanted, int(SHARE_FOR_TILES * free / each))
        return max(1, wanted)

    def _side(self, height: int, width: int, bands: int, dtype: torch.dtype, free: int) -> int | None:
        limits = [] if self._limit is None else [self._limit]
        if isinstance(self.tile, int):
            limits.append(self._rounded(self.tile))
        elif self.tile == 'auto' and not limits and max(height, width) > LEAST:
            pixel = self._pixel_bytes(bands, self.frames, dtype)
            pixels = SHARE_FOR_TILES * free / pixel / max(1, self._wanted_windows)
            largest = LARGEST.get(self.network.device.type, LARGEST['cuda'])
            limits.append(self._rounded(max(LEAST, min(largest, math.isqrt(int(pixels))))))
        side = min(limits, default=max(height, width))
        return None if side >= max(height, width) else side

    def _overlap(self, side: int, bands: int) -> int:
        if self.overlap is not None:
            return min(self.overlap, side - 1)
        if self._margin is None:
            self._margin = measure_margin(self.network, bands, self.frames)
        wanted = 2 * self._margin + RAMP
        if wanted > side // 2:
            get_root_logger().warning(f'tiles of {side} pixels are small for a network that sees {self._margin} '
                                      'pixels far; results may differ slightly from those of whole frames')
        return min(wanted, side // 2)

    def _rounded(self, side: int) -> int:
        """The largest side up to this one that the network can take; more where it cannot take as little."""
        spec = self.network.spec
        return max(side // spec.multiple * spec.multiple, spec.fit(1))
