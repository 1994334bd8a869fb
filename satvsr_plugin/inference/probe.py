"""What a network needs, measured on a small piece of noise: memory, and how far it sees."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from satvsr_plugin.archs.interface import SharesFeatures
from satvsr_plugin.inference.tile_network import TileNetwork
from satvsr_plugin.inference.windows import Group

PROBE_SIDE = 32  # LR pixels; memory grows with the area from there on
STRIP = (32, 160)  # LR pixels; networks that see further than half of its width are cut off there
TOLERANCE = 2.5e-4  # of [0, 1]: a quarter of what tiles may differ from the whole
CAUTION = 2  # LR pixels more than were seen on the strip
# What is held at most over what torch's operators are given and give: workspaces of the operators, copies in the
# layout of the CPU's convolutions, gaps between blocks. Measured: 1.0 (MSDTGP), 1.2 (SOFVSR), 1.3 (TDAN).
OVERHEAD = 1.4
# Where freed memory is kept, it also breaks up. Measured: 1.5 to 4.7, not growing any more after six frames.
OVERHEAD_OF_KEPT_MEMORY = 4.0


def bytes_per_pixel(network: TileNetwork, bands: int, frames: int, dtype: torch.dtype) -> float:
    """Memory that the network takes at its peak, besides its weights, for each LR pixel of a frame."""
    network, side = network.uncompiled, network.spec.fit(PROBE_SIDE)
    group = _noise(bands, frames, side, side)
    if network.paths.fused:
        network([group], dtype)  # packs weights, which belong to no frame
    overhead = OVERHEAD_OF_KEPT_MEMORY if network.paths.kept_memory else OVERHEAD
    return overhead * peak_memory(lambda: network([group], dtype), network.device) / side**2


def feature_bytes_per_pixel(network: TileNetwork, bands: int, dtype: torch.dtype) -> float:
    """Memory of the features of one frame, for each LR pixel; 0 where windows share none."""
    if not isinstance(network.net, SharesFeatures):
        return 0
    features = network.uncompiled.features_of(torch.rand(bands, 8, 8), dtype)
    return features.nbytes / 64


def measure_margin(network: TileNetwork, bands: int, frames: int) -> int:
    """How far from a cut results differ from those of the uncut frame, LR pixels.

    A strip of noise goes through the network whole and in halves. Noise is harder than pictures are: trained networks
    came to 4 to 13 pixels, networks with random weights to 20 to 60. How far deformable convolutions and optical flow
    reach depends on the motion that they find; the strip shows what they find in noise, and larger motion near the
    edge of a tile may show.
    """
    network = network.uncompiled
    fit = network.spec.fit
    height, width = fit(STRIP[0]), 2 * fit(STRIP[1] // 2)
    whole = _noise(bands, frames, height, width)
    half, scale = width // 2, network.spec.scale
    expected = network([whole], torch.float32)
    reached = 0
    for part in (slice(0, half), slice(half, width)):
        cut = Group(whole.numbers, [frame[..., part] for frame in whole.frames], whole.results)
        difference = network([cut], torch.float32) - expected[..., scale * part.start:scale * part.stop]
        columns = difference.abs().amax((0, 1, 2)).view(half, scale).amax(1)
        differing = torch.nonzero(columns > TOLERANCE).flatten().tolist()
        if differing:
            reached = max(reached, half - differing[0] if part.start == 0 else differing[-1] + 1)
    if reached + CAUTION > half:
        get_root_logger().warning(f'{type(network.net).__name__} sees further than {half} pixels; tiles may differ '
                                  'visibly from whole frames. Where memory allows, do without tiles (--tile none)')
    return min(reached + CAUTION, half)


def peak_memory(run: Callable[[], Any], device: torch.device) -> int:
    """Bytes that are taken at most while something runs, over what was held before."""
    if device.type == 'cuda':
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with _LiveStorage() as live:
        run()
    return live.peak


class _LiveStorage(TorchDispatchMode):
    """Follows the memory of all tensors that operators give, from their birth to their end.

    The resident memory of the process would not do: the allocator keeps and reuses what was freed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, Tensor):
                self._follow(value.untyped_storage())
        return out

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


def _noise(bands: int, frames: int, height: int, width: int) -> Group[Tensor]:
    """The same at every call, so that all processes come to the same."""
    noise = torch.rand(frames, bands, height, width, generator=torch.Generator().manual_seed(0))
    return Group(list(range(frames)), list(noise), [frames // 2])
