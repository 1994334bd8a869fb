"""From a plain network to one that takes fast paths."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from satvsr_plugin.acceleration.allocator import keep_freed_memory
from satvsr_plugin.acceleration.fused import fuse
from satvsr_plugin.acceleration.layout import keep_channels_innermost
from satvsr_plugin.acceleration.paths import FastPaths
from satvsr_plugin.acceleration.subpixel import use_subpixels
from satvsr_plugin.archs.interface import SharesFeatures
from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv
from satvsr_plugin.ops.plain_deform_conv import DeformConv


def accelerate(net: nn.Module, paths: FastPaths) -> nn.Module:
    """A network that gives what ``net`` gives, but for rounding, in less time, and without gradients.

    Args:
        net: in evaluation mode; stays as it is. Its weights must not change afterwards.
        paths: see there; how many windows a batch has is up to the caller.

    Returns:
        A network of the same class; it shares parameters with ``net`` where it can.
    """
    if paths.kept_memory:
        keep_freed_memory()
    has_convolutions = any(parameter.ndim == 4 for parameter in net.parameters())
    if not paths.compiled and not (has_convolutions and any(paths[:-1])):
        return net
    shared = {id(tensor): tensor for tensor in chain(net.parameters(), net.buffers())} if paths.fused else {}
    try:
        fast = deepcopy(net, shared)
    except (RuntimeError, TypeError) as error:  # of others, which hold what cannot be copied
        get_root_logger().warning(f'{type(net).__name__} cannot be copied, and takes no fast path: {error}')
        return net
    if paths.fused:
        fuse(fast)
        _sample_on_all_cores(fast)
        if isinstance(fast, SharesFeatures):
            # A hundredth of the work, and nine tenths of the error that bfloat16 would bring.
            fast.extract_features = _in_float32(fast.extract_features)  # type: ignore[assignment]
    if paths.subpixel:
        use_subpixels(fast)
    if paths.channels_last and not paths.fused:  # which packs the weights
        keep_channels_innermost(fast)
    if paths.compiled:
        # forward calls the other two
        names = ('extract_features', 'forward_features') if isinstance(fast, SharesFeatures) else ('forward',)
        for name in names:
            setattr(fast, name, _Compiled(f'{type(net).__name__}.{name}', getattr(fast, name), paths.graphs))
    return fast


def _sample_on_all_cores(net: nn.Module) -> None:
    for layer in net.modules():
        if isinstance(layer, GuidedDeformConv | DeformConv):
            layer.backend = 'sampled'


def _in_float32(extract: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def call(frames: Tensor) -> Tensor:
        with torch.autocast('cpu', enabled=False):
            return extract(frames)
    return call


class _Compiled:
    """A compiled method, or the method itself where it cannot be compiled.

    Args:
        name: how a warning names it.
        method: of a network; takes and gives tensors.
        graphs: whether to replay CUDA graphs. What they give would be overwritten by the next replay, hence copies.
    """

    def __init__(self, name: str, method: Callable[..., Any], graphs: bool) -> None:
        self._name = name
        self._method = method
        self._graphs = graphs
        self._compiled: Callable[..., Any] | None = torch.compile(
            method, fullgraph=True, dynamic=False, mode='reduce-overhead' if graphs else 'default')

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self._compiled is None:
            return self._method(*arguments, **named)
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException  # large, and seldom needed

        if self._graphs:
            torch.compiler.cudagraph_mark_step_begin()
        try:
            result = self._compiled(*arguments, **named)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            get_root_logger().warning(f'{self._name} cannot be compiled, and runs as it is: '
                                      f'{str(error).strip().splitlines()[0]}')
            self._compiled = None
            return self._method(*arguments, **named)
        return tree_map_only(Tensor, Tensor.clone, result) if self._graphs else result
