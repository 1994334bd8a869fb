"""The most that this machine computes and copies, measured: what a network's rates are shares of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from satvsr_plugin.benchmarks.measuring import calls_a_second, synchronize

TF32 = 'tf32'  # float32 tensors, multiplied with the 10 bits of TF32
_SIDE = {'cpu': 1024, 'cuda': 8192}  # of the matrices
_CONVOLUTION = {'cpu': (1, 256, 64), 'cuda': (8, 256, 256)}  # frames, channels, height and width
_COPIED = {'cpu': 2**28, 'cuda': 2**30}  # bytes, more than any cache


class Ceilings(NamedTuple):
    """Rates of large plain operations, by type: ``float32``, ``bfloat16``, on GPUs also ``tf32`` and ``float16``.

    Attributes:
        matmul: GFLOP/s of a product of two large square matrices.
        convolution: GFLOP/s of a 3x3 convolution of 256 channels, channels_last.
        copy: GB/s of a large copy, read and written together.
    """

    matmul: dict[str, float]
    convolution: dict[str, float]
    copy: float

    def best(self, dtype: torch.dtype | str) -> float:
        """GFLOP/s, the larger of the two: on some CPUs the library's matrix product is slower than its convolution."""
        name = type_name(dtype)
        return max(self.matmul[name], self.convolution[name])

    def __str__(self) -> str:
        """As Markdown."""
        lines = ['### Ceilings', '', '| type | matrix product, GFLOP/s | 3x3 convolution, GFLOP/s |', '|---|---:|---:|']
        lines += [f'| {name} | {rate:,.0f} | {self.convolution[name]:,.0f} |' for name, rate in self.matmul.items()]
        return '\n'.join([*lines, '', f'A large copy: {self.copy:,.1f} GB/s, read and written.'])


def type_name(dtype: torch.dtype | str) -> str:
    """``torch.bfloat16`` to ``bfloat16``; a name stays as it is."""
    return str(dtype).removeprefix('torch.')


def measure_ceilings(device: torch.device, seconds: float) -> Ceilings:
    """Measure each rate.

    Args:
        device: ``cpu`` or a GPU.
        seconds: how long each is measured, at least six calls.
    """
    kind = 'cuda' if device.type == 'cuda' else 'cpu'
    types = ('float32', 'bfloat16') if kind == 'cpu' else ('float32', TF32, 'bfloat16', 'float16')
    matmul = {name: _matmul(name, _SIDE[kind], device, seconds) for name in types}
    convolution = {name: _convolution(name, *_CONVOLUTION[kind], device, seconds) for name in types}
    return Ceilings(matmul, convolution, _copy(_COPIED[kind], device, seconds))


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether GPUs may multiply float32 with the 10 bits of TF32, in convolutions and matrix products."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=allowed):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _matmul(name: str, side: int, device: torch.device, seconds: float) -> float:
    a, b = (_random((side, side), name, device) for _ in range(2))
    return 2 * side**3 * _calls(lambda: a @ b, name, device, seconds) / 1e9


def _convolution(name: str, frames: int, channels: int, size: int, device: torch.device, seconds: float) -> float:
    x = _random((frames, channels, size, size), name, device).contiguous(memory_format=torch.channels_last)
    weight = _random((channels, channels, 3, 3), name, device).contiguous(memory_format=torch.channels_last)
    flops = 2 * 9 * channels**2 * frames * size**2
    return flops * _calls(lambda: F.conv2d(x, weight, padding=1), name, device, seconds) / 1e9


def _copy(size: int, device: torch.device, seconds: float) -> float:
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size * _calls(lambda: target.copy_(source), 'float32', device, seconds) / 1e9


def _random(shape: tuple[int, ...], name: str, device: torch.device) -> Tensor:
    dtype = torch.float32 if name == TF32 else getattr(torch, name)
    return torch.rand(shape, device=device).to(dtype)


def _calls(run: Callable[[], Tensor], name: str, device: torch.device, seconds: float) -> float:
    """Calls a second, the most of three times: what slows the machine meanwhile does not lower its ceiling."""
    def call(_: int) -> None:
        run()
        synchronize(device)

    with torch.inference_mode(), tf32(name == TF32):
        return max(calls_a_second(call, seconds / 3) for _ in range(3))
