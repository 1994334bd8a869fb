"""Where a network's time goes: shares of convolutions, deformable operator, elementwise operations and copies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.hooks import RemovableHandle

from satvsr_plugin.benchmarks.variants import Variant
from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv
from satvsr_plugin.ops.plain_deform_conv import DeformConv

TRANSPOSED, CONVOLUTION = 'transposed convolutions', 'convolutions'
DEFORMABLE, COPIES, ELEMENTWISE, REST = 'deformable operator', 'copies', 'elementwise', 'rest'
KINDS = (CONVOLUTION, TRANSPOSED, DEFORMABLE, ELEMENTWISE, COPIES, REST)

# Names of operators and of GPU kernels; the first that fits counts. What data gradients of convolutions are called
# (dgrad) is what transposed convolutions are computed with.
_NAMES = {
    DEFORMABLE: r'deform',
    TRANSPOSED: r'conv_?transpose|convolution_transpose|dgrad|bgrad|backward_data',
    COPIES: r'copy|aten::(to|clone|contiguous|cat|stack|index_select|pad)\b|memcpy|memset|nchwtonhwc|nhwctonchw|'
            r'catarray',
    CONVOLUTION: r'conv|fprop|implicit|winograd|gemm|cutlass|xmma|cudnn|sm\d\d_|addmm|matmul|mkldnn|onednn',
    ELEMENTWISE: r'elementwise|triton_|cpp_fused|aten::(add|sub|mul|div|neg|sum|mean|leaky_relu|prelu|_prelu_kernel|'
                 r'relu|sigmoid|tanh|masked_fill|fill|ne|eq|any|isnan|clamp|where)_?\b|reduce_kernel|prelu',
}
_LABEL = 'kind: '
_COMPILED = r'CompiledFxGraph|Torch-Compiled'
_TRANSPOSED_ARGUMENT = {'aten::convolution': 6, 'aten::_convolution': 6}


class Shares(NamedTuple):
    """Of one variant: share of the time in its operators by kind, and that time in milliseconds."""

    variant: str
    milliseconds: float
    shares: dict[str, float]


def measure_shares(variant: Variant, net: nn.Module, run: Callable[[], Any], device: torch.device) -> Shares:
    """Profile one call.

    On a GPU by the names of kernels: matrix products inside of a deformable operator count as convolutions there. On a
    CPU by torch's operators, without what they call.

    Args:
        variant: how it runs.
        net: what runs; on a CPU it is looked into for layers that are deformable, but for a compiled one, which must
            stay as it is.
        run: runs it.
        device: where.
    """
    on_gpu = device.type == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    labels = nullcontext() if on_gpu or variant.compiles else _labelled(net)
    with labels, profile(activities=activities, record_shapes=True) as found:
        run()
    times = _of_kernels(found.events()) if on_gpu else _of_operators(found.events())
    spent = dict.fromkeys(KINDS, 0.0)
    for kind, microseconds in times:
        spent[kind] += microseconds
    total = sum(spent.values()) or 1.0
    return Shares(variant.name, total / 1000, {kind: spent[kind] / total for kind in KINDS})


@contextmanager
def _labelled(net: nn.Module) -> Iterator[None]:
    """Deformable layers under a label of theirs; the convolutions in them, which predict offsets, under another."""
    open_labels: list[record_function] = []
    handles: list[RemovableHandle] = []

    def label(layer: nn.Module, kind: str) -> None:
        def enter(*_: Any) -> None:
            open_labels.append(record_function(_LABEL + kind))
            open_labels[-1].__enter__()

        def leave(*_: Any) -> None:
            open_labels.pop().__exit__(None, None, None)

        handles.extend([layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)])

    for layer in net.modules():
        if isinstance(layer, GuidedDeformConv | DeformConv):
            label(layer, DEFORMABLE)
            for part in layer.children():
                label(part, CONVOLUTION)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def kind_of(name: str) -> str:
    """What an operator or a GPU kernel does, by its name."""
    found = (kind for kind, pattern in _NAMES.items() if re.search(pattern, name, re.IGNORECASE))
    return next(found, REST)


def _of_kernels(events: Any) -> Iterator[tuple[str, float]]:
    for event in events:
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation:  # which span kernels
            yield kind_of(event.name), event.self_device_time_total


def _of_operators(events: Any) -> Iterator[tuple[str, float]]:
    """Each operator's own time counts for the nearest label, or the outermost operator round it of a known kind."""
    for event in events:
        kind = REST
        caller = event
        while caller is not None and not caller.name.startswith(_LABEL):
            found = _kind_of_call(caller)
            kind = kind if found == REST else found
            caller = caller.cpu_parent
        if caller is not None:
            kind = caller.name.removeprefix(_LABEL)
        elif kind == REST and re.search(_COMPILED, event.name):
            kind = ELEMENTWISE  # all that a compiler leaves in code of its own
        yield kind, event.self_cpu_time_total


def _kind_of_call(event: Any) -> str:
    """As :func:`kind_of`; a convolution may be told by its arguments to be transposed."""
    place = _TRANSPOSED_ARGUMENT.get(event.name)
    arguments = event.concrete_inputs or []
    if place is not None and len(arguments) > place and arguments[place] is True:
        return TRANSPOSED
    return kind_of(event.name)
