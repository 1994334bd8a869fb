"""Measures one network in this process: parameters, multiply-accumulates, time and peak memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.comparison.memory import PeakMemory
from satvsr_plugin.ops import flop_formulas  # noqa: F401  (teaches the counter deformable convolutions)

MAC_SIZE = 160  # height and width of the LR frames that multiply-accumulates are given for, as in the papers
COUNT_SIZE = 64  # those of the frames they are counted on: the networks are convolutional, so the area is all
CLIP = 15  # frames that a network which sees clips is given
LEAST_RUNS, ENOUGH_SECONDS, MOST_SECONDS = 3, 5.0, 60.0


class Timing(NamedTuple):
    """Milliseconds a result frame (median of ``runs``), and bytes that a run takes at its peak."""

    milliseconds: float
    peak_memory: int | None
    runs: int


def count_parameters(net: nn.Module) -> dict[str, int]:
    """All parameters, those that are trained, and those of a flow network (SPyNet) inside."""
    flow_networks = [module for module in net.modules()
                     if any(base.__name__ == 'SpyNet' for base in type(module).__mro__)]
    parts = {'parameters': net.parameters(),
             'trainable': (p for p in net.parameters() if p.requires_grad),
             'flow_parameters': (p for network in flow_networks for p in network.parameters())}
    return {name: sum(p.numel() for p in parameters) for name, parameters in parts.items()}


def count_macs(net: nn.Module, spec: InputSpec, bands: int = 3, size: int = COUNT_SIZE) -> float:
    """Multiply-accumulates a result frame for LR frames of 160x160.

    Counted are convolutions, deformable ones too, and matrix products; not interpolation, activations or sums.

    Args:
        net: a convolutional network in evaluation mode.
        spec: what it wants to be given.
        bands: number of bands where the network takes any.
        size: height and width of the frames to count on.
    """
    size = spec.fit(size)
    frames = random_frames(spec, size, size, bands)
    counter = FlopCounterMode(display=False)
    with counter:
        call(net, spec, frames)
    return counter.get_total_flops() / 2 / results(spec) * (MAC_SIZE / size)**2


def measure_time(net: nn.Module, spec: InputSpec, frames: Tensor, memory: PeakMemory,
                 expected_seconds: float = 0) -> Timing:
    """Median time of a result frame and peak memory of a run, after one run to warm up.

    Args:
        net: in evaluation mode, on the device to measure on.
        spec: what it wants to be given.
        frames: of :func:`random_frames`.
        memory: made before the network was first called.
        expected_seconds: of one run, roughly; a long one is run once only, without warming up.
    """
    memory.reset()
    if expected_seconds < MOST_SECONDS / 3:
        call(net, spec, frames)
    seconds: list[float] = []
    while not _enough(seconds):
        seconds.append(_seconds(lambda: call(net, spec, frames), memory.device))
    return Timing(statistics.median(seconds) * 1000 / results(spec), memory.peak(), len(seconds))


def random_frames(spec: InputSpec, height: int, width: int, bands: int) -> Tensor:
    """(1, t, c, height, width) in [0, 1], as many frames as the network is given at once."""
    count = {'window': spec.num_frame or 1, 'clip': max(CLIP, spec.num_frame or 1), 'frame': 1}[spec.sees]
    return torch.rand(1, count, spec.bands or bands, height, width, generator=torch.Generator().manual_seed(0))


def results(spec: InputSpec) -> int:
    """Result frames of one run on :func:`random_frames`."""
    return max(CLIP, spec.num_frame or 1) if spec.sees == 'clip' else 1


@torch.no_grad()
def call(net: nn.Module, spec: InputSpec, frames: Tensor) -> Any:
    """Run a network on frames, moved to its device; one that has to be given flow gets none of it."""
    device = next(chain(net.parameters(), net.buffers(), [frames])).device
    inputs = {}
    if 'flows' in spec.takes and getattr(net, 'flow', None) == 'precomputed':
        b, t, _, h, w = frames.shape
        inputs['flows'] = torch.zeros(b, t - 1, 2, h, w, device=device)
    return run_network(net, spec, frames.to(device), **inputs)


def _enough(seconds: list[float]) -> bool:
    if not seconds:
        return False
    spent = sum(seconds)
    return (len(seconds) >= LEAST_RUNS and spent >= ENOUGH_SECONDS) or spent + seconds[-1] > MOST_SECONDS


def _seconds(run: Callable[[], Any], device: torch.device) -> float:
    with _synchronized(device):
        start = time.perf_counter()
        run()
    return time.perf_counter() - start


@contextmanager
def _synchronized(device: torch.device) -> Iterator[None]:
    """GPUs run behind: wait for them before and after."""
    for step in range(2):
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        if step == 0:
            yield
