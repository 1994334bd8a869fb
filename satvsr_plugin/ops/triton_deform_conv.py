"""Modulated deformable convolution on Triton kernels, for ``dcn: triton``: half types stay half.

mmcv samples channel planes in float32, and multiplies matrices once a picture. Here features keep their type, with
channels innermost, and the samples of a whole batch ("columns") meet the weight in one product. Coordinates are
float32 all the same. This module imports without triton; its kernels, in a module of their own, do not.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from satvsr_plugin.errors import OptionError

LEAVE_TRITON = 'set dcn: auto, which takes the same weights'
_MOST_COLUMNS = 2**28  # elements at once: 0.5 GiB in half types. Only large frames in large batches reach it


@cache
def triton_fault() -> str | None:
    """Why ``dcn: triton`` cannot be used on this machine; None when it can."""
    if importlib.util.find_spec('triton') is None:
        return 'triton is not installed'
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    pixel = torch.ones(1, 1, 1, 1, device=device)
    try:
        if device == 'cpu' and not _kernels().INTERPRETED:
            return 'torch finds no CUDA GPU here'
        _triton_forward(pixel, torch.zeros(1, 2, 1, 1, device=device), pixel, pixel, pixel.flatten(), 0, 1).item()
    except Exception as error:  # no C compiler, a GPU or a driver that triton does not know, a broken triton
        return f'its kernels do not work here ({next(iter(str(error).splitlines()), type(error).__name__)})'
    return None


def _kernels() -> ModuleType:
    from satvsr_plugin.ops import triton_deform_conv_kernels

    return triton_deform_conv_kernels


def triton_deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int,
                         groups: int) -> Tensor:
    """The convolution in x's type, or autocast's; offset and mask are used in float32 (float64 for float64).

    Args and returns: those of ``modulated_deform_conv2d``.

    Raises:
        OptionError: x is on a device that triton has no kernels for.
    """
    dtype, device = x.dtype, x.device.type
    if dtype != torch.float64 and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        places = torch.float64 if dtype == torch.float64 else torch.float32
        pixels = x.to(dtype, memory_format=torch.channels_last).permute(0, 2, 3, 1).contiguous()
        return _triton_forward(pixels, offset.to(places).contiguous(), mask.to(places).contiguous(), weight.to(dtype),
                               bias.to(dtype), padding, groups).to(x.dtype)


@torch.library.custom_op('satvsr::triton_deform_conv2d', mutates_args=())
def _triton_forward(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int,
                    groups: int) -> Tensor:
    """Args: x: (b, h, w, c). Returns: (b, c_out, h_out, w_out), channels_last."""
    kernels = _kernels_for(x)
    output = _new_output(x, mask, weight)
    matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (k * k * c, c_out)
    for part in _parts(x, mask, weight):
        rows = output[part].permute(0, 2, 3, 1).flatten(0, 2)
        columns = x.new_empty(len(rows), len(matrix))
        kernels.sample(x[part], offset[part], mask[part], columns, weight.shape[-1], padding, groups)
        torch.addmm(bias, columns, matrix, out=rows)
    return output


@torch.library.custom_op('satvsr::triton_deform_conv2d_backward', mutates_args=())
def _triton_backward(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, padding: int,
                     groups: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    kernels = _kernels_for(x)
    grad_x = torch.zeros_like(x, dtype=offset.dtype)  # half types cannot be summed into
    grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
    matrix = weight.permute(0, 2, 3, 1).flatten(1)  # (c_out, k * k * c)
    grad_matrix = torch.zeros_like(matrix)
    for part in _parts(x, mask, weight):
        rows = grad[part].permute(0, 2, 3, 1).flatten(0, 2)
        grad_columns = rows @ matrix
        columns = torch.empty_like(grad_columns)
        kernels.add_gradients(x[part], offset[part], mask[part], grad_columns, columns, grad_x[part],
                              grad_offset[part], grad_mask[part], weight.shape[-1], padding, groups)
        grad_matrix.addmm_(rows.T, columns)
    c_out, c, k, _ = weight.shape
    grad_weight = grad_matrix.view(c_out, k, k, c).permute(0, 3, 1, 2).contiguous()
    return grad_x.to(x.dtype), grad_offset, grad_mask, grad_weight, grad.sum((0, 2, 3))


def _kernels_for(x: Tensor) -> ModuleType:
    kernels = _kernels()
    if x.device.type != 'cuda' and not kernels.INTERPRETED:
        raise OptionError(f'dcn: triton runs on CUDA GPUs only, and the features are on {x.device.type}; '
                          f'{LEAVE_TRITON}')
    return kernels


def _parts(x: Tensor, mask: Tensor, weight: Tensor) -> Iterator[slice]:
    """The batch in parts whose columns are not too many."""
    samples = mask.shape[2] * mask.shape[3] * weight[0].numel()
    most = max(1, _MOST_COLUMNS // max(1, samples))
    return (slice(start, start + most) for start in range(0, len(x), most))


def _new_output(x: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    b, _, h_out, w_out = mask.shape
    return x.new_empty(b, h_out, w_out, weight.shape[0]).permute(0, 3, 1, 2)


@_triton_forward.register_fake
def _(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int, groups: int) -> Tensor:
    return _new_output(x, mask, weight)


@_triton_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, padding: int,
      groups: int) -> tuple[Tensor, ...]:
    return (*(torch.empty_like(t) for t in (x, offset, mask)),
            torch.empty_like(weight, memory_format=torch.contiguous_format), weight.new_empty(weight.shape[0]))


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, _bias, ctx.padding, ctx.groups = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return (*_triton_backward(grad, *ctx.saved_tensors, ctx.padding, ctx.groups), None, None)


_triton_forward.register_autograd(_differentiate, setup_context=_save_inputs)
