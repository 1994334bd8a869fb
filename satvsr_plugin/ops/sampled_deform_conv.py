"""The deformable convolution on a CPU without gradients, several times as fast as mmcv's kernel, which uses one core.

The convolution is sampling followed by a matrix product: torch's ``grid_sample`` takes the samples that the kernel
takes, bilinear and with zeros outside, on all cores.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BILINEAR, ZEROS = 0, 0  # of torch.nn.functional.grid_sample
_MOST_SAMPLES = 2**21  # at once: 8 MiB, which stay in the processor's cache until the product takes them


def sampled_deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int,
                          groups: int) -> Tensor:
    """As ``modulated_deform_conv2d``, of contiguous tensors of one type.

    Args:
        x, offset, mask, weight, bias, padding: see there.
        groups: the deformable groups.

    Returns:
        (b, c_out, h_out, w_out).
    """
    # of frames that are one pixel wide grid_sample does not know how far outside a sample is
    x = F.pad(x, (0, int(x.shape[3] == 1), 0, int(x.shape[2] == 1)))
    per_row = weight[0].numel() * offset.shape[-1]
    rows = max(1, _MOST_SAMPLES // per_row)
    flat_weight = weight.flatten(1)[..., None, None]
    frames = [torch.cat([
        F.conv2d(_columns(x[b:b + 1], *strip, weight.shape[-1], padding, groups, number * rows), flat_weight, bias)
        for number, strip in enumerate(zip(offset[b:b + 1].split(rows, 2), mask[b:b + 1].split(rows, 2), strict=True))
    ], 2) for b in range(x.shape[0])]
    return torch.cat(frames)


def _columns(x: Tensor, offset: Tensor, mask: Tensor, kernel: int, padding: int, groups: int, first_row: int) -> Tensor:
    """The weighted samples of one frame for some rows of the output, (1, c * taps, rows, w_out)."""
    _, c, h, w = x.shape
    taps, (rows, w_out) = kernel**2, offset.shape[-2:]
    grid = sampling_grid(offset.reshape(1, groups, taps, 2, rows, w_out), padding, kernel, h, w, first_row)
    sampled = torch.grid_sampler_2d(x.view(groups, c // groups, h, w), grid, BILINEAR, ZEROS, True)
    sampled = sampled.view(groups, c // groups, taps, rows, w_out)
    return sampled.mul_(mask.reshape(groups, 1, taps, rows, w_out)).view(1, c * taps, rows, w_out)


def sampling_grid(offset: Tensor, padding: int, kernel: int, h: int, w: int, first_row: int = 0) -> Tensor:
    """Where to sample, as ``grid_sample`` wants it.

    Args:
        offset: (b, groups, taps, 2, h_out, w_out), (dy, dx) in pixels.
        padding: zeros around the frame.
        kernel: side of the convolution's kernel.
        h, w: size of the frame, both more than 1.
        first_row: of the output, that ``offset`` begins with.

    Returns:
        (b * groups, taps * h_out, w_out, 2), (x, y) with -1 and 1 at the centres of the outermost pixels.
    """
    b, groups, taps, _, h_out, w_out = offset.shape
    tap = torch.arange(kernel, dtype=offset.dtype) - padding
    rows = torch.arange(first_row, first_row + h_out, dtype=offset.dtype)
    rows = tap.repeat_interleave(kernel).view(-1, 1, 1) + rows.view(-1, 1)
    columns = tap.repeat(kernel).view(-1, 1, 1) + torch.arange(w_out, dtype=offset.dtype)
    # from two pixels outside on, all is zero; an infinite place would give no number
    y = (offset[:, :, :, 0] + rows).clamp(-2, h + 1) * (2 / (h - 1)) - 1
    x = (offset[:, :, :, 1] + columns).clamp(-2, w + 1) * (2 / (w - 1)) - 1
    return torch.stack([x, y], -1).view(b * groups, taps * h_out, w_out, 2)
