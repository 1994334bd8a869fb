"""Gradients of the deformable convolution on a CPU, several times as fast as mmcv's kernel, which uses one core.

As in the forward pass (``sampled_deform_conv``), ``grid_sample`` takes the samples; its gradient and that of the
matrix product use all cores.
"""

from __future__ import annotations

import torch
from torch import Tensor

from satvsr_plugin.ops.sampled_deform_conv import BILINEAR, ZEROS, sampling_grid

_MOST_COLUMNS = 2**24  # samples at once: 64 MiB, and a few times that in work space

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def can_sample(x: Tensor, offset: Tensor) -> bool:
    """Whether :func:`sampled_gradients` gives what mmcv's kernel gives.

    Exactly on a pixel the bilinear kernel has no derivative, and the kernel's choice of one cannot be met: so it is
    where offsets are whole numbers, such as the zeros that they may start at. And of frames that are one pixel wide
    ``grid_sample`` does not know how far outside a sample is.
    """
    return min(x.shape[-2:]) > 1 and not bool((offset == offset.round()).any())


def sampled_gradients(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, padding: int,
                      groups: int) -> Gradients:
    """The gradients of ``modulated_deform_conv2d`` on a CPU.

    Args:
        grad: of the output, (b, c_out, h_out, w_out).
        x, offset, mask, weight, padding, groups: the arguments of the convolution.

    Returns:
        Gradients of x, offset, mask, weight and bias, in their shapes.
    """
    most = max(1, _MOST_COLUMNS // (x.shape[1] * weight.shape[-1]**2 * grad[0, 0].numel()))
    splits = zip(grad.split(most), x.split(most), offset.split(most), mask.split(most), strict=True)
    parts = [_of_some_samples(*split, weight, padding, groups) for split in splits]
    grad_x, grad_offset, grad_mask, grad_weight = zip(*parts, strict=True)
    return (torch.cat(grad_x), torch.cat(grad_offset), torch.cat(grad_mask),
            sum(grad_weight, start=weight.new_zeros(())), grad.sum((0, 2, 3)))


def _of_some_samples(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, padding: int,
                     groups: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    b, c, h, w = x.shape
    taps, (h_out, w_out) = weight.shape[-1]**2, grad.shape[-2:]
    grid = sampling_grid(offset.view(b, groups, taps, 2, h_out, w_out), padding, weight.shape[-1], h, w)
    features = x.reshape(b * groups, c // groups, h, w)
    sampled = torch.grid_sampler_2d(features, grid, BILINEAR, ZEROS, True)
    sampled = sampled.view(b, groups, c // groups, taps, h_out, w_out)
    weights = mask.view(b, groups, 1, taps, h_out, w_out)

    flat_grad = grad.flatten(2)  # (b, c_out, h_out * w_out)
    columns = (sampled * weights).view(b, c * taps, -1)
    grad_weight = torch.bmm(flat_grad, columns.transpose(1, 2)).sum(0).view_as(weight)
    grad_columns = (weight.flatten(1).T @ flat_grad).view_as(sampled)
    grad_mask = (grad_columns * sampled).sum(2).view_as(mask)
    grad_sampled = (grad_columns * weights).view(b * groups, c // groups, taps * h_out, w_out)
    grad_features, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
        grad_sampled, features, grid, BILINEAR, ZEROS, True, [True, True])
    # from the grid's units, in which a frame is 2 wide, to pixels; from (x, y) to (dy, dx)
    per_pixel = grad_grid.new_tensor([2 / (w - 1), 2 / (h - 1)])
    grad_offset = (grad_grid * per_pixel).view(b, groups, taps, h_out, w_out, 2).flip(-1).movedim(-1, 3)
    return grad_features.view_as(x), grad_offset.reshape(offset.shape), grad_mask, grad_weight
