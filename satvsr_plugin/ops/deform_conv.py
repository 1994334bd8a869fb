"""Modulated deformable convolution (DCNv2; Zhu et al., CVPR 2019) on mmcv's compiled operator.

mmcv's own function is silently wrong for channels_last inputs, accepts offsets of the wrong size, has no
bfloat16, rounds its sampling coordinates in float16 and breaks the graph of ``torch.compile``. Hence this
module: contiguous inputs, checked shapes, float32 arithmetic under autocast, a ``torch.library`` operator, and NaN
offsets that give NaN instead of a crash.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops.sampled_deform_conv import sampled_deform_conv2d
from satvsr_plugin.ops.sampled_gradients import can_sample, sampled_gradients
from satvsr_plugin.ops.triton_deform_conv import LEAVE_TRITON, triton_deform_conv2d, triton_fault

MEND_MMCV = 'run "bash scripts/setup_env.sh --force", or "basicsr doctor" to see what is missing'


@cache
def mmcv_fault() -> str | None:
    """Why mmcv's compiled operator cannot be used on this machine; None when it can."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    pixel = torch.ones(1, 1, 1, 1, device=device)
    try:
        _mmcv_forward(pixel, torch.zeros(1, 2, 1, 1, device=device), pixel, pixel, pixel.flatten(), 0, 1).item()
    except Exception as error:  # missing, built without operators, for another torch, or not for this GPU
        return f'mmcv has no compiled operator that works on this {"GPU" if device == "cuda" else "CPU"} ({error})'
    return None


def resolve_backend(dcn: str) -> str:
    """Choose the implementation for a network's option ``dcn``.

    Args:
        dcn: ``auto`` (mmcv, or torchvision with one warning where mmcv does not work), ``mmcv``, ``torchvision`` or
            ``triton`` (CUDA GPUs only).

    Returns:
        ``mmcv``, ``torchvision`` or ``triton``.

    Raises:
        OptionError: another value, or mmcv or triton is asked for and does not work.
    """
    if dcn == 'triton':
        if triton_fault() is not None:
            raise OptionError(f'dcn: triton was asked for, but {triton_fault()}; {LEAVE_TRITON}')
        return dcn
    if dcn == 'torchvision':
        return dcn
    if dcn not in ('auto', 'mmcv'):
        raise OptionError(f'dcn: {dcn!r} is not known; choose auto, mmcv, torchvision or triton')
    fault = mmcv_fault()
    if fault is None:
        return 'mmcv'
    if dcn == 'mmcv':
        raise OptionError(f'dcn: mmcv was asked for, but {fault}; {MEND_MMCV}')
    _warn_of_fallback(fault)
    return 'torchvision'


@cache
def _warn_of_fallback(fault: str) -> None:
    warnings.warn(f'{fault}; alignment uses torchvision instead, with the same results. To mend it: {MEND_MMCV}',
                  stacklevel=3)


def modulated_deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor,
                            padding: int, deformable_groups: int, backend: str) -> Tensor:
    """Modulated deformable convolution with stride 1 and dilation 1 (DCNv2, eq. 1).

    Args:
        x: (b, c, h, w) features, any memory format; half types are computed in float32, by triton in their own type
            or autocast's.
        offset: (b, 2 * g * k * k, h_out, w_out) in pixels; channel 2 * (group * k * k + tap) is dy, the next dx.
        mask: (b, g * k * k, h_out, w_out) in [0, 1], g = deformable_groups.
        weight: (c_out, c, k, k).
        bias: (c_out,).
        padding: zeros around x, in pixels.
        deformable_groups: groups of channels that share one set of offsets.
        backend: ``mmcv``, ``torchvision``, ``triton``, or ``sampled`` (on CPUs, without gradients).

    Returns:
        (b, c_out, h_out, w_out) in x's dtype.

    Raises:
        ValueError: offset or mask does not have the shape above.
    """
    _check_shapes(x, offset, mask, weight, padding, deformable_groups)
    if backend == 'triton':
        return triton_deform_conv2d(x, offset, mask, weight, bias, padding, deformable_groups)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    with torch.autocast(x.device.type, enabled=False):
        offset, mask = _move_nan_to_mask(offset, mask)
        tensors = [t.to(dtype).contiguous() for t in (x, offset, mask, weight, bias)]
        return _BACKENDS[backend](*tensors, padding, deformable_groups).to(x.dtype)


def _check_shapes(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, padding: int, groups: int) -> None:
    batch, channels, height, width = x.shape
    kernel = weight.shape[-1]
    grow = 2 * padding - kernel + 1
    maps = (height + grow, width + grow)
    if channels % groups or weight.shape[1] != channels:
        raise ValueError(f'{channels} channels fit neither {groups} deformable groups '
                         f'nor a weight of shape {tuple(weight.shape)}')
    for name, tensor, per_tap in (('offset', offset, 2), ('mask', mask, 1)):
        expected = (batch, per_tap * groups * kernel * kernel, *maps)
        if tensor.shape != expected:
            raise ValueError(f'{name} has shape {tuple(tensor.shape)}, but {expected} is needed for an input of '
                             f'shape {tuple(x.shape)}, kernel {kernel} and {groups} deformable groups')


def _move_nan_to_mask(offset: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Both kernels end the process at an offset that is not a number; in the mask it spoils the output as it should."""
    lost = offset.isnan()
    lost_taps = lost.unflatten(1, (-1, 2)).any(2)  # of dy or dx
    return offset.masked_fill(lost, 0), mask.masked_fill(lost_taps, torch.nan)


def _geometry(weight: Tensor, padding: int, deformable_groups: int) -> dict[str, int]:
    """The arguments of mmcv's compiled functions besides tensors."""
    return dict(kernel_h=weight.shape[2], kernel_w=weight.shape[3], stride_h=1, stride_w=1, pad_h=padding,
                pad_w=padding, dilation_h=1, dilation_w=1, group=1, deformable_group=deformable_groups, with_bias=True)


@torch.library.custom_op('satvsr::modulated_deform_conv2d', mutates_args=())
def _mmcv_forward(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor,
                  padding: int, deformable_groups: int) -> Tensor:
    from mmcv.ops.modulated_deform_conv import ext_module

    output = x.new_empty(x.shape[0], weight.shape[0], *offset.shape[2:])
    ones, columns = x.new_empty(0), x.new_empty(0)  # work space that the kernel resizes
    ext_module.modulated_deform_conv_forward(
        x, weight, bias, ones, offset, mask, output, columns, **_geometry(weight, padding, deformable_groups))
    return output


@torch.library.custom_op('satvsr::modulated_deform_conv2d_backward', mutates_args=())
def _mmcv_backward(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor,
                   padding: int, deformable_groups: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    if x.device.type == 'cpu' and can_sample(x, offset):
        return sampled_gradients(grad.contiguous(), x, offset, mask, weight, padding, deformable_groups)
    from mmcv.ops.modulated_deform_conv import ext_module

    grad_x, grad_offset, grad_mask, grad_weight, grad_bias = (
        torch.zeros_like(t) for t in (x, offset, mask, weight, bias))
    ones, columns = x.new_empty(0), x.new_empty(0)
    ext_module.modulated_deform_conv_backward(
        x, weight, bias, ones, offset, mask, columns, grad_x, grad_weight, grad_bias, grad_offset, grad_mask,
        grad.contiguous(), **_geometry(weight, padding, deformable_groups))
    return grad_x, grad_offset, grad_mask, grad_weight, grad_bias


@_mmcv_forward.register_fake
def _(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int,
      deformable_groups: int) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], *offset.shape[2:])


@_mmcv_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int,
      deformable_groups: int) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(t) for t in (x, offset, mask, weight, bias))


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.padding, ctx.deformable_groups = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grads = _mmcv_backward(grad, *ctx.saved_tensors, ctx.padding, ctx.deformable_groups)
    return (*grads, None, None)


_mmcv_forward.register_autograd(_differentiate, setup_context=_save_inputs)


def _torchvision_forward(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor,
                         padding: int, deformable_groups: int) -> Tensor:
    from torchvision.ops import deform_conv2d

    return deform_conv2d(x, offset, weight, bias, padding=padding, mask=mask)  # groups follow from the shapes


_BACKENDS: dict[str, Callable[..., Tensor]] = {
    'mmcv': _mmcv_forward, 'torchvision': _torchvision_forward, 'sampled': sampled_deform_conv2d}
