"""Bicubic enlargement as a differentiable layer, equal to MATLAB's ``imresize``, mirrored borders included."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.ops.resize import cubic_kernel

RADIUS = 2  # the cubic kernel reaches two LR pixels to each side


class BicubicUpsample(nn.Module):
    """Enlarges ``scale`` times; not clipped, no parameters, nothing in the state dict.

    Every HR pixel of one sub-pixel phase sees the same 5x5 weights, so the layer is one convolution with
    scale * scale output maps and a pixel shuffle.
    """

    kernel: Tensor  # (scale * scale, 1, 5, 5) float64

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        phase = (np.arange(scale) + 0.5) / scale - 0.5
        taps = cubic_kernel(phase[:, None] - np.arange(-RADIUS, RADIUS + 1))  # (scale, 5); each row sums to 1
        kernel = np.einsum('ay,bx->abyx', taps, taps).reshape(scale * scale, 1, 2 * RADIUS + 1, 2 * RADIUS + 1)
        self.register_buffer('kernel', torch.from_numpy(kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (b, c, h, w). Returns: (b, c, scale * h, scale * w), in x's dtype."""
        b, c, h, w = x.shape
        with torch.autocast(x.device.type, enabled=False):
            maps = _mirror_pad(x.reshape(b * c, 1, h, w))
            phases = F.conv2d(maps, self.kernel.to(x.dtype))  # (b*c, scale*scale, h, w)
            return F.pixel_shuffle(phases, self.scale).reshape(b, c, h * self.scale, w * self.scale)


def _mirror_pad(x: Tensor) -> Tensor:
    """Mirror ``RADIUS`` pixels outwards at every border, the outermost one included."""
    for dim in (2, 3):
        size = x.shape[dim]
        position = torch.arange(-RADIUS, size + RADIUS, device=x.device) % (2 * size)
        x = x.index_select(dim, torch.minimum(position, 2 * size - 1 - position))
    return x
