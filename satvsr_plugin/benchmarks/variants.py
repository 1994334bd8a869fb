"""The ways in which a network can be run, and one of them made ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from satvsr_plugin.acceleration.network import accelerate
from satvsr_plugin.acceleration.paths import FastPaths
from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks.ceilings import TF32, tf32, type_name
from satvsr_plugin.benchmarks.measuring import synchronize
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.comparison.cost_measures import call
from satvsr_plugin.inference.precision import computing_in
from satvsr_plugin.ops.deform_conv import mmcv_fault

PLAIN = 'plain float32'


class Variant(NamedTuple):
    """One way to run a network.

    Attributes:
        name: as in the tables.
        dtype: in what convolutions compute.
        paths: what is done to be faster.
        tf32: whether float32 may be multiplied with the 10 bits of TF32.
        triton: whether deformable convolutions are Triton's; otherwise those that were there before it.
    """

    name: str
    dtype: torch.dtype = torch.float32
    paths: FastPaths = FastPaths()
    tf32: bool = False
    triton: bool = False

    @property
    def type(self) -> str:
        """Name of the type in the ceilings."""
        return TF32 if self.tf32 else type_name(self.dtype)

    @property
    def compiles(self) -> bool:
        """Whether the first call takes as long as compiling does."""
        return self.paths.compiled or self.paths.graphs

    def dcn(self, network: Network, device: torch.device) -> str | None:
        """The option ``dcn`` for it; None to leave the network as it is."""
        if not network.takes_dcn:
            return None
        if self.triton:
            return 'triton'
        return None if device.type == 'cpu' else 'torchvision' if mmcv_fault() else 'mmcv'


def variants(network: Network, device: torch.device, compiled: bool) -> list[Variant]:
    """All that are worth a row, the plain one first; those that take longest to get ready last."""
    found = _of_gpu() if device.type == 'cuda' else _of_cpu()
    return [variant for variant in found
            if (compiled or not variant.compiles) and (network.takes_dcn or not variant.triton)]


def _of_cpu() -> list[Variant]:
    return [
        Variant(PLAIN),
        Variant('channels_last', paths=FastPaths(channels_last=True)),
        Variant('channels_last, subpixel', paths=FastPaths(channels_last=True, subpixel=True)),
        Variant('fused', paths=FastPaths(channels_last=True, fused=True)),
        Variant('fused, bfloat16', torch.bfloat16, FastPaths(channels_last=True, fused=True)),
        Variant('compiled', paths=FastPaths(channels_last=True, compiled=True)),
    ]


def _of_gpu() -> list[Variant]:
    half, last = torch.float16, FastPaths(channels_last=True)
    graphs = last._replace(compiled=True, graphs=True)
    several = [Variant(f'float16, channels_last, {windows} windows', half, last._replace(windows=windows))
               for windows in (2, 4, 8)]
    return [
        Variant(PLAIN),
        Variant('TF32', tf32=True),
        Variant('bfloat16, channels_last', torch.bfloat16, last),
        Variant('float16, channels_last', half, last),
        Variant('float16, channels_last, subpixel', half, last._replace(subpixel=True)),
        *several,
        Variant('float16, channels_last, dcn: triton', half, last, triton=True),
        Variant('float16, channels_last, 8 windows, dcn: triton', half, last._replace(windows=8), triton=True),
        Variant('float16, compiled, CUDA graphs, dcn: triton', half, graphs, triton=True),
        Variant('float16, compiled, CUDA graphs', half, graphs),
        Variant('float16, compiled', half, last._replace(compiled=True)),
        Variant('float16, compiled, CUDA graphs, 8 windows, dcn: triton', half, graphs._replace(windows=8),
                triton=True),
    ]


class Runner:
    """A network made ready to run in one way.

    Args:
        network: what it is built from.
        spec: what it wants to be given.
        variant: how it is run.
        device: where.

    Attributes:
        net: what is called.

    Raises:
        SatVSRError: the way is not to be had on this machine.
    """

    def __init__(self, network: Network, spec: InputSpec, variant: Variant, device: torch.device) -> None:
        self.variant = variant
        self.device = device
        self._spec = spec
        plain = network.build(variant.dcn(network, device)).to(device)
        with self._computing():
            self.net: nn.Module = accelerate(plain, variant.paths)

    def __call__(self, frames: Tensor) -> Tensor:
        """Args: frames (b, t, c, h, w) on the device. Returns: what the network does, once it is there."""
        with self._computing():
            result = call(self.net, self._spec, frames)
        synchronize(self.device)
        return result

    def batches(self, frames: Tensor) -> Tensor:
        """Results of any number of windows (n, t, c, h, w), in batches of one size; (n, ...) float32 on the CPU."""
        size = self.variant.paths.windows
        results = []
        for batch in frames.split(size):
            filled = torch.cat([batch, batch[-1:].expand(size - len(batch), *batch.shape[1:])])
            results.append(self(filled.to(self.device)).float().cpu()[:len(batch)])
        return torch.cat(results)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with computing_in(self.variant.dtype, self.device):
            if not self.variant.tf32:
                yield
                return
            with tf32(True):
                yield
