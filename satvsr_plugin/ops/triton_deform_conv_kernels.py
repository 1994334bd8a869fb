"""Triton kernels of the modulated deformable convolution; importing this module needs triton.

Each program handles some output places, one tap of the kernel and all channels. Its tiles have the axes (place, group,
channel of the group): channels lie innermost in memory, so that one read takes all of a group at a corner of a
bilinear sample, and coordinates are computed once a group. Coordinates, weights and sums have the type of the offsets.
"""

# Triton has no types, and takes annotations of a kernel's arguments for its own.
# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# Elements of a tile, 16 and 8 for each of 128 threads: the gradient holds five such tiles in registers at once.
_SAMPLE_TILE, _GRADIENT_TILE = 2048, 1024


@triton.jit
def _axes(places, CHANNELS: tl.constexpr, GROUPS: tl.constexpr, KERNEL: tl.constexpr,
          BLOCK: tl.constexpr, GROUP_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr):
    """What this program handles: (tap, place, group, channel, whether place and group exist, whether all exist)."""
    taps: tl.constexpr = KERNEL * KERNEL
    tap = tl.program_id(0) % taps  # innermost, so that programs which run at once read the same pixels
    place = tl.program_id(0) // taps * BLOCK + tl.arange(0, BLOCK)[:, None, None]
    group = tl.arange(0, GROUP_BLOCK)[None, :, None]
    channel = tl.arange(0, CHANNEL_BLOCK)[None, None, :]
    exists = (place < places) & (group < GROUPS)
    return (tap, place, group, group * (CHANNELS // GROUPS) + channel, exists,
            exists & (channel < CHANNELS // GROUPS))


@triton.jit
def _read_sample(offset, mask, place, group, tap, exists, h_out, w_out, padding,
                 GROUPS: tl.constexpr, KERNEL: tl.constexpr):
    """Where and how strongly to sample: (batch, y, x, mask value, index of the mask value, index of dy)."""
    plane = h_out * w_out
    batch = (place // plane).to(tl.int64)  # products of it pass 2**31
    pixel = place % plane
    channel = (batch * GROUPS + group) * KERNEL * KERNEL + tap
    mask_at = channel * plane + pixel
    dy_at = 2 * channel * plane + pixel
    dy = tl.load(offset + dy_at, exists, other=0)
    dx = tl.load(offset + dy_at + plane, exists, other=0)
    strength = tl.load(mask + mask_at, exists, other=0)
    strength = tl.where((dy != dy) | (dx != dx), float('nan'), strength)
    y = (pixel // w_out - padding + tap // KERNEL).to(dy.dtype) + dy
    x = (pixel % w_out - padding + tap % KERNEL).to(dx.dtype) + dx
    return batch, y, x, strength, mask_at, dy_at


@triton.jit
def _find_corners(batch, y, x, h, w):
    """The pixels around a sample: (pixel on its upper left, distances from it in y and x, which of four exist).

    Only coordinates in the frame are made whole numbers: infinity or 1e30 would become any address.
    """
    inside = (y > -1) & (y < h) & (x > -1) & (x < w)
    y = tl.where(inside, y, 0)
    x = tl.where(inside, x, 0)
    top, left = tl.floor(y), tl.floor(x)
    row, column = top.to(tl.int32), left.to(tl.int32)
    upper, lower = inside & (row >= 0), inside & (row + 1 < h)
    western, eastern = column >= 0, column + 1 < w
    return ((batch * h + row) * w + column, y - top, x - left,
            upper & western, upper & eastern, lower & western, lower & eastern)


@triton.jit
def _sample_kernel(x, offset, mask, columns, places, h, w, h_out, w_out, padding,
                   CHANNELS: tl.constexpr, GROUPS: tl.constexpr, KERNEL: tl.constexpr,
                   BLOCK: tl.constexpr, GROUP_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr):
    tap, place, group, channel, exists, all_exist = _axes(
        places, CHANNELS, GROUPS, KERNEL, BLOCK, GROUP_BLOCK, CHANNEL_BLOCK)
    batch, y, x_, strength, _, _ = _read_sample(
        offset, mask, place, group, tap, exists, h_out, w_out, padding, GROUPS, KERNEL)
    pixel, dy, dx, has_00, has_01, has_10, has_11 = _find_corners(batch, y, x_, h, w)
    upper = x + pixel * CHANNELS + channel
    lower = upper + w * CHANNELS
    sampled = (1 - dy) * (1 - dx) * tl.load(upper, all_exist & has_00, other=0).to(dy.dtype)
    sampled += (1 - dy) * dx * tl.load(upper + CHANNELS, all_exist & has_01, other=0).to(dy.dtype)
    sampled += dy * (1 - dx) * tl.load(lower, all_exist & has_10, other=0).to(dy.dtype)
    sampled += dy * dx * tl.load(lower + CHANNELS, all_exist & has_11, other=0).to(dy.dtype)
    column = (place.to(tl.int64) * KERNEL * KERNEL + tap) * CHANNELS + channel
    tl.store(columns + column, (strength * sampled).to(columns.dtype.element_ty), all_exist)


@triton.jit
def _gradient_kernel(x, offset, mask, grad_columns, columns, grad_x, grad_offset, grad_mask,
                     places, h, w, h_out, w_out, padding,
                     CHANNELS: tl.constexpr, GROUPS: tl.constexpr, KERNEL: tl.constexpr,
                     BLOCK: tl.constexpr, GROUP_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr):
    tap, place, group, channel, exists, all_exist = _axes(
        places, CHANNELS, GROUPS, KERNEL, BLOCK, GROUP_BLOCK, CHANNEL_BLOCK)
    batch, y, x_, strength, mask_at, dy_at = _read_sample(
        offset, mask, place, group, tap, exists, h_out, w_out, padding, GROUPS, KERNEL)
    pixel, dy, dx, has_00, has_01, has_10, has_11 = _find_corners(batch, y, x_, h, w)
    upper = pixel * CHANNELS + channel
    lower = upper + w * CHANNELS
    x_00 = tl.load(x + upper, all_exist & has_00, other=0).to(dy.dtype)
    x_01 = tl.load(x + upper + CHANNELS, all_exist & has_01, other=0).to(dy.dtype)
    x_10 = tl.load(x + lower, all_exist & has_10, other=0).to(dy.dtype)
    x_11 = tl.load(x + lower + CHANNELS, all_exist & has_11, other=0).to(dy.dtype)
    column = (place.to(tl.int64) * KERNEL * KERNEL + tap) * CHANNELS + channel
    grad = tl.load(grad_columns + column, all_exist, other=0).to(dy.dtype)

    sampled = (1 - dy) * ((1 - dx) * x_00 + dx * x_01) + dy * ((1 - dx) * x_10 + dx * x_11)
    tl.store(columns + column, (strength * sampled).to(columns.dtype.element_ty), all_exist)
    tl.store(grad_mask + mask_at, tl.sum(grad * sampled, axis=2, keep_dims=True), exists)
    grad *= strength
    grad_dy = grad * ((1 - dx) * (x_10 - x_00) + dx * (x_11 - x_01))
    grad_dx = grad * ((1 - dy) * (x_01 - x_00) + dy * (x_11 - x_10))
    tl.store(grad_offset + dy_at, tl.sum(grad_dy, axis=2, keep_dims=True), exists)
    tl.store(grad_offset + dy_at + h_out * w_out, tl.sum(grad_dx, axis=2, keep_dims=True), exists)

    # Relaxed: nobody in this launch reads the sums, so the fences of the default order are for nothing.
    tl.atomic_add(grad_x + upper, (1 - dy) * (1 - dx) * grad, all_exist & has_00, sem='relaxed')
    tl.atomic_add(grad_x + upper + CHANNELS, (1 - dy) * dx * grad, all_exist & has_01, sem='relaxed')
    tl.atomic_add(grad_x + lower, dy * (1 - dx) * grad, all_exist & has_10, sem='relaxed')
    tl.atomic_add(grad_x + lower + CHANNELS, dy * dx * grad, all_exist & has_11, sem='relaxed')


INTERPRETED = not isinstance(_sample_kernel, triton.JITFunction)  # TRITON_INTERPRET=1 was set before the import


def tile_of(channels: int, groups: int, elements: int) -> dict[str, int]:
    """The sizes of a program's tile: powers of two, with all groups and channels, of about so many elements."""
    group_block = triton.next_power_of_2(groups)
    channel_block = triton.next_power_of_2(channels // groups)
    block = max(1, elements // (group_block * channel_block))
    return dict(BLOCK=block, GROUP_BLOCK=group_block, CHANNEL_BLOCK=channel_block)


def _launch(kernel: Any, tensors: tuple[Tensor, ...], kernel_size: int, padding: int, groups: int,
            elements: int) -> None:
    x, _, mask, *_ = tensors
    b, h, w, c = x.shape
    h_out, w_out = mask.shape[-2:]
    places = b * h_out * w_out
    tile = tile_of(c, groups, elements)
    programs = triton.cdiv(places, tile['BLOCK']) * kernel_size**2
    if programs:
        with torch.cuda.device_of(x):
            kernel[(programs,)](*tensors, places, h, w, h_out, w_out, padding,
                                CHANNELS=c, GROUPS=groups, KERNEL=kernel_size, **tile)


def sample(x: Tensor, offset: Tensor, mask: Tensor, columns: Tensor, kernel_size: int, padding: int,
           groups: int) -> None:
    """Sample bilinearly, with zeros outside, and weigh with the mask.

    An offset that is not a number gives samples that are not; one that is infinite or huge gives zeros.

    Args:
        x: (b, h, w, c).
        offset: (b, 2 * g * k * k, h_out, w_out), float32, or float64 with x in float64.
        mask: (b, g * k * k, h_out, w_out), in offset's type.
        columns: written, (b * h_out * w_out, k * k * c) in x's type. All four are contiguous.
        kernel_size, padding, groups: k, zeros around x, and g.
    """
    _launch(_sample_kernel, (x, offset, mask, columns), kernel_size, padding, groups, _SAMPLE_TILE)


def add_gradients(x: Tensor, offset: Tensor, mask: Tensor, grad_columns: Tensor, columns: Tensor, grad_x: Tensor,
                  grad_offset: Tensor, grad_mask: Tensor, kernel_size: int, padding: int, groups: int) -> None:
    """The gradients of :func:`sample`.

    On whole pixels, where a bilinear sample has no derivative, it is the one to the right and below, as in mmcv's and
    torchvision's kernels.

    Args:
        x, offset, mask, kernel_size, padding, groups: as for :func:`sample`.
        grad_columns: gradient of the columns.
        columns: written again, since the gradient of the weight needs them and the samples are at hand.
        grad_x: added to, in x's shape and offset's type. Its order of summation changes from run to run.
        grad_offset, grad_mask: written.
    """
    _launch(_gradient_kernel, (x, offset, mask, grad_columns, columns, grad_x, grad_offset, grad_mask), kernel_size,
            padding, groups, _GRADIENT_TILE)
