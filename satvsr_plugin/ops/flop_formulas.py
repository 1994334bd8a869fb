"""Teaches torch's ``FlopCounterMode`` deformable convolutions: those behind our operators, and torchvision's.

Counted is what a plain convolution of that shape takes; interpolating the samples is not, as in the literature.
Importing this module registers the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
import torchvision  # noqa: F401  (defines its operator)
from torch.utils.flop_counter import flop_registry, register_flop_formula

from satvsr_plugin.ops import deform_conv, triton_deform_conv  # noqa: F401  (define ours)


def deform_conv_flops(x: Sequence[int], weight: Sequence[int], *_shapes: Any, out_shape: Sequence[int],
                      **_arguments: Any) -> int:
    """Two operations, a multiplication and an addition, for each tap, input channel and output value.

    Args:
        x: shape of the input, (b, c, h, w); not used.
        weight: shape (c_out, c / groups, k, k).
        out_shape: (b, c_out, h_out, w_out).
    """
    return 2 * prod(out_shape) * prod(weight[1:])


def _modulated_deform_conv_flops(x: Sequence[int], _offset: Any, _mask: Any, weight: Sequence[int], *shapes: Any,
                                 out_shape: Sequence[int], **arguments: Any) -> int:
    """The order of arguments of our operators."""
    return deform_conv_flops(x, weight, *shapes, out_shape=out_shape, **arguments)


_FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.satvsr.modulated_deform_conv2d: _modulated_deform_conv_flops,
    torch.ops.satvsr.triton_deform_conv2d: _modulated_deform_conv_flops,
    torch.ops.torchvision.deform_conv2d: deform_conv_flops,
}

for _operator, _formula in _FORMULAS.items():
    if _operator not in flop_registry:  # torch refuses a second one
        register_flop_formula(_operator)(_formula)
