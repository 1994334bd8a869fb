"""Super-resolution of a stream of frames, of any size and number, by any of the networks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn

from satvsr_plugin.acceleration.paths import FastOption, choose_fast_paths
from satvsr_plugin.archs.interface import InputSpec, mirror_to_fit
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.windows import Padding
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.inference.bands import plan_bands
from satvsr_plugin.inference.precision import DtypeName, choose_device, choose_dtype
from satvsr_plugin.inference.tile_network import FeatureCache, TileNetwork
from satvsr_plugin.inference.tile_size import Layout, TileOption, TileSizes, check_tile_options
from satvsr_plugin.inference.tiles import Tile, blend
from satvsr_plugin.inference.windows import FrameBuffer, Group, segment_reach, segments, window_reach, windows
from satvsr_plugin.models.segments import is_out_of_memory

SEGMENT, SEGMENT_OVERLAP = 30, 5  # frames, of networks that see clips


class VideoUpscaler:
    """Frames in, larger frames out, one by one; no more is in memory than what the network sees at once.

    >>> import numpy as np
    >>> from satvsr_plugin.archs import Bicubic
    >>> from satvsr_plugin.inference import VideoUpscaler
    >>> frames = (np.full((24, 32, 3), 10 * number, np.uint8) for number in range(7))
    >>> for sr in VideoUpscaler(Bicubic(scale=4), device='cpu')(frames):
    ...     print(sr.shape, sr.dtype, sr.mean())
    (96, 128, 3) uint8 0.0
    (96, 128, 3) uint8 10.0
    (96, 128, 3) uint8 20.0
    (96, 128, 3) uint8 30.0
    (96, 128, 3) uint8 40.0
    (96, 128, 3) uint8 50.0
    (96, 128, 3) uint8 60.0

    Args:
        net: a network that says what it wants to be given (``input_spec``), or one of the toolbox's. It is moved to
            the device and put in evaluation mode.
        padding: what stands for missing neighbours at the ends of the video, see ``data.windows.window_indices``.
        tile: side of the tiles that frames are cut into, LR pixels, what they share included; ``auto`` is the
            largest that half of the free memory holds, ``none`` takes whole frames. Where memory runs out all the
            same, smaller ones are taken, but for ``none``.
        overlap: that tiles share, LR pixels; None for as much as the network needs, which is measured.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
        dtype: in what convolutions compute: ``auto`` (see ``precision.choose_dtype``), ``float32``, ``float16`` or
            ``bfloat16``. Results that are not finite are computed again in float32.
        fast: ``auto``, ``none`` or names of fast paths, see ``acceleration.paths``.
        windows: how many windows of frames the network is given at once; None for what ``fast`` makes of it.

    Attributes:
        scale: enlargement.
        reach: frames that must be there before and after those that are asked for, see :meth:`run`.
        paths: the fast paths that are taken.

    Raises:
        OptionError: an argument is out of its range, or the network cannot work on frames alone.
    """

    def __init__(self, net: nn.Module, *, padding: Padding = 'center', tile: TileOption = 'auto',
                 overlap: int | None = None, device: str = 'auto', dtype: DtypeName = 'auto', fast: FastOption = 'auto',
                 windows: int | None = None) -> None:
        spec = _spec_of(net)
        check_tile_options(tile, overlap)
        if padding not in get_args(Padding):
            raise OptionError(f'padding: {padding} is none of {", ".join(get_args(Padding))}')
        self._spec = spec
        self._padding: Padding = padding
        self._device = choose_device(device)
        choose_dtype(dtype, self._device, 8)
        self._dtype = dtype
        self.paths = choose_fast_paths(fast, self._device)
        if windows is not None:
            self.paths = self.paths._replace(windows=_at_least_one(windows))
        self._num_frame = 1 if spec.sees == 'frame' else spec.num_frame or 1
        self._segment = max(SEGMENT, self._num_frame)
        self.scale = spec.scale
        self.reach = (segment_reach(self._segment, SEGMENT_OVERLAP) if spec.sees == 'clip'
                      else window_reach(self._num_frame, padding))
        self._network = TileNetwork(net.to(self._device).eval(), spec, self._device, self.paths)
        self._sizes = TileSizes(self._network, tile, overlap,
                                self._segment if spec.sees == 'clip' else self._num_frame)
        self._layouts: dict[FrameFormat, Layout] = {}

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Super-resolve a whole video.

        Args:
            frames: (h, w, c) uint8 or uint16, RGB, grey (c = 1) or of c bands, all alike.

        Yields:
            (scale * h, scale * w, c) of the same type for each, clipped and rounded half up.

        Raises:
            DataError: a frame is unlike the first one or of a wrong type, the network cannot take its bands, or memory
                does not hold even the smallest tile.
            SatVSRError: the network gives no finite number for a frame.
        """
        return self.run(frames, offset=0, first=0, stop=sys.maxsize, length=None)

    def run(self, frames: Iterable[np.ndarray], *, offset: int, first: int, stop: int,
            length: int | None) -> Iterator[np.ndarray]:
        """The results of frames ``first`` to ``stop - 1``, the same to the last bit as in a run over the whole video.

        Where ``tile`` or ``overlap`` is left to be chosen, this holds for runs of the same cut, see :meth:`layout`.

        Args:
            frames: as of :meth:`__call__`, from number ``offset`` of the video on, at least to number
                ``stop + reach - 1`` or to the video's end.
            offset: at most ``first - reach``, or 0.
            first, stop: see above; fewer results come where the video ends earlier.
            length: number of frames of the video; None where only its end tells.

        Raises:
            As :meth:`__call__`; DataError also where the video is shorter than ``length``.
        """
        if not 0 <= offset <= max(0, first - self.reach):
            raise ValueError(f'frames from number {offset} on do not reach {self.reach} frames back from {first}')
        cache: FeatureCache = {}
        source = FrameBuffer(_checked(frames, offset), offset, length)
        groups = (segments(source, first, stop, self._segment, SEGMENT_OVERLAP) if self._spec.sees == 'clip'
                  else windows(source, first, stop, self._num_frame, self._padding))
        for group in groups:
            at_once, fault = [group], None
            try:
                at_once += islice(groups, self.layout(FrameFormat.of(group.frames[0])).windows - 1)
            except DataError as error:  # what could be read before is not lost
                fault = error
            yield from self._upscale(at_once, cache)
            if fault is not None:
                raise fault
            for key in [key for key in cache if key[0] <= at_once[-1].results[-1] - self.reach]:
                del cache[key]
            del group, at_once  # before frames of the next one are read

    def describe(self, channels: int) -> str | None:
        """What is done with frames of so many bands, a sentence; None where they go through as they are.

        Raises:
            DataError: the network cannot take them.
        """
        return plan_bands(channels, self._spec.bands).remark

    def layout(self, form: FrameFormat) -> Layout:
        """How frames are cut: measured and chosen at the first call, kept until memory runs out.

        Processes and later runs that are to give the same result to the last bit must be given the same ``tile`` and
        ``overlap``.
        """
        if form not in self._layouts:
            height, width = self._fitted(form)
            self._layouts[form] = self._sizes.layout(
                height, width, plan_bands(form.channels, self._spec.bands),
                choose_dtype(self._dtype, self._device, form.bit_depth))
        return self._layouts[form]

    def _fitted(self, form: FrameFormat) -> tuple[int, int]:
        return self._spec.fit(form.height), self._spec.fit(form.width)

    def _upscale(self, groups: list[Group[np.ndarray]], cache: FeatureCache) -> Iterator[np.ndarray]:
        """(scale * h, scale * w, c) integers of each result; less at once where memory runs out."""
        form = FrameFormat.of(groups[0].frames[0])
        while groups:
            layout = self.layout(form)
            now = groups[:layout.windows]
            try:
                results = self._blend(now, form, layout, cache if layout.keeps_features else None)
            except (RuntimeError, MemoryError) as error:
                if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                    raise
                fault = str(error).partition('\n')[0] or 'out of memory'
            else:
                groups = groups[layout.windows:]
                yield from results
                continue
            # Here, where what the failed attempt held is free again.
            cache.clear()
            self._layouts.clear()
            self._sizes.shrink(layout, *self._fitted(form), fault)

    def _blend(self, groups: list[Group[np.ndarray]], form: FrameFormat, layout: Layout,
               cache: FeatureCache | None) -> np.ndarray:
        plan = plan_bands(form.channels, self._spec.bands)
        dtype = choose_dtype(self._dtype, self._device, form.bit_depth)
        grid = self._sizes.grid(layout, *self._fitted(form))
        tensors = {number: mirror_to_fit(_to_tensor(frame, form.bit_depth), self._spec)
                   for group in groups for number, frame in zip(group.numbers, group.frames, strict=True)}
        # Always as many windows, at the end of a video too: the last bit, and what is compiled, depend on it.
        windows = groups + groups[-1:] * (layout.windows - len(groups))

        def upscale(tile: Tile) -> Tensor:
            cut = {number: _cut(frame, tile, grid.size) for number, frame in tensors.items()}
            results = []
            for bands in plan.groups:
                tiles = [Group(group.numbers, [cut[number][list(bands)] for number in group.numbers], group.results)
                         for group in windows]
                results.append(self._network(tiles, dtype, cache, (tile, bands)))
            return plan.merge(results)[:sum(len(group.results) for group in groups)]

        return blend(grid, self.scale, upscale, self.scale * form.height, self.scale * form.width, form.bit_depth)


def _at_least_one(windows: int) -> int:
    if windows < 1:
        raise OptionError(f'windows: {windows} is less than 1')
    return windows


def _spec_of(net: nn.Module) -> InputSpec:
    name, spec = type(net).__name__, input_spec(net)
    if spec is None:
        raise OptionError(f'{name}: it is not known what this network wants to be given; give it an attribute '
                          'input_spec (satvsr_plugin.archs.interface.InputSpec)')
    if spec.needs:
        raise OptionError(f'{name}: needs {", ".join(spec.needs)} besides the frames of a video; build it so that it '
                          'estimates them itself (RBPN: flow: dis)')
    return spec


def _checked(frames: Iterable[np.ndarray], offset: int) -> Iterator[np.ndarray]:
    """The frames, all like the first one."""
    first: FrameFormat | None = None
    for number, frame in enumerate(frames, start=offset):
        if frame.ndim != 3 or 0 in frame.shape or frame.dtype not in (np.uint8, np.uint16):
            raise DataError(f'frame {number}: is {frame.dtype} of shape {frame.shape}; frames are (height, width, '
                            'bands) of 8 or 16 bit unsigned integers')
        form = FrameFormat.of(frame)
        first = first or form
        if form != first:
            raise DataError(f'frame {number}: is {form}, but the first frame is {first}; all frames of a video must be '
                            'alike')
        yield frame


def _to_tensor(frame: np.ndarray, bit_depth: int) -> Tensor:
    """(h, w, c) integers to (c, h, w) floats in [0, 1]."""
    return torch.from_numpy(frame.transpose(2, 0, 1).astype(np.float32, order='C') / (2**bit_depth - 1))


def _cut(frame: Tensor, tile: Tile, size: tuple[int, int]) -> Tensor:
    return frame[:, tile.top:tile.top + size[0], tile.left:tile.left + size[1]]
