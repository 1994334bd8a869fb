"""Layers that change the size by a stride, as convolutions without one and a rearrangement of pixels.

Shi et al., Is the deconvolution layer the same as a convolutional layer? (2016): every sub-pixel phase of a transposed
convolution is a small convolution of its own, and all phases together are one with stride * stride times the maps,
followed by a pixel shuffle; backwards for a convolution with a stride. The work is the same, kernels of 8x8 with stride
4 become 2x2. Which is faster is up to the machine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.archs.blocks import ConvBlock, DeconvBlock


class SubpixelDeconv(nn.Module):
    """Stands for an ``nn.ConvTranspose2d`` with equal strides, without groups; holds its parameters, rearranged."""

    def __init__(self, deconv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = deconv.kernel_size[0], deconv.stride[0], int(deconv.padding[0])
        self.taps = -(-self.kernel // self.stride)  # of each phase
        weight = _phases(deconv.weight.detach(), self.taps, self.stride)  # (in, out, taps, stride, taps, stride)
        # tap t sees the pixel t before its own, so that a correlation meets them in reverse
        weight = weight.flip(2, 4).permute(1, 3, 5, 0, 2, 4)
        self.weight = nn.Parameter(weight.reshape(-1, weight.shape[3], self.taps, self.taps))
        bias = torch.zeros_like(deconv.weight[0, :, 0, 0]) if deconv.bias is None else deconv.bias
        self.bias = nn.Parameter(bias.detach().repeat_interleave(self.stride**2))

    def forward(self, x: Tensor) -> Tensor:
        h, w = ((size - 1) * self.stride - 2 * self.padding + self.kernel for size in x.shape[-2:])
        phases = F.conv2d(x, self.weight, self.bias, padding=self.taps - 1)
        whole = F.pixel_shuffle(phases, self.stride)
        return whole[..., self.padding:self.padding + h, self.padding:self.padding + w]


class SubpixelConv(nn.Module):
    """Stands for an ``nn.Conv2d`` with equal strides, without groups; holds its parameters, rearranged."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
        self.taps = -(-self.kernel // self.stride)
        weight = _phases(conv.weight.detach(), self.taps, self.stride).permute(0, 1, 3, 5, 2, 4)
        self.weight = nn.Parameter(weight.reshape(weight.shape[0], -1, self.taps, self.taps))
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        down, right = (self._padding_after(size) for size in x.shape[-2:])
        padded = F.pad(x, (self.padding, right, self.padding, down))
        return F.conv2d(F.pixel_unshuffle(padded, self.stride), self.weight, self.bias)

    def _padding_after(self, size: int) -> int:
        """Up to what the last output sees, in whole strides; what lies beyond it is cut off."""
        outputs = (size + 2 * self.padding - self.kernel) // self.stride + 1
        return (outputs - 1 + self.taps) * self.stride - size - self.padding


def use_subpixels(net: nn.Module) -> None:
    """Replace a network's layers that change the size, in its :class:`ConvBlock` and :class:`DeconvBlock`."""
    for block in net.modules():
        if isinstance(block, DeconvBlock):
            block.deconv = SubpixelDeconv(block.deconv)  # type: ignore[assignment]
        elif isinstance(block, ConvBlock) and block.conv.stride[0] > 1:
            block.conv = SubpixelConv(block.conv)  # type: ignore[assignment]


def _phases(weight: Tensor, taps: int, stride: int) -> Tensor:
    """(a, b, k, k) to (a, b, taps, stride, taps, stride); what the kernel lacks to whole strides is zero."""
    missing = taps * stride - weight.shape[-1]
    return F.pad(weight, (0, missing, 0, missing)).reshape(*weight.shape[:2], taps, stride, taps, stride)
