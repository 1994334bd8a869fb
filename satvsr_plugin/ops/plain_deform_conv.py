"""Deformable convolution without modulation (DCNv1; Dai et al., ICCV 2017), with offsets from outside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d, resolve_backend


class DeformConv(nn.Module):
    """Samples ``x`` at given offsets; no mask, no bias. The state dict holds ``weight`` alone.

    It runs on the modulated operator with a mask of ones, which is the same.

    Args:
        num_in_ch, num_out_ch: channels of the input and of the output.
        kernel_size: odd; the output has the size of the input.
        deformable_groups: groups of input channels with offsets of their own.
        dcn: ``auto``, ``mmcv``, ``torchvision`` or ``triton``; see :func:`resolve_backend`.
    """

    def __init__(self, num_in_ch: int, num_out_ch: int, kernel_size: int = 3, deformable_groups: int = 8,
                 dcn: str = 'auto') -> None:
        super().__init__()
        self.backend = resolve_backend(dcn)
        self.deformable_groups = deformable_groups
        self.padding = kernel_size // 2
        self.weight = nn.Parameter(torch.empty(num_out_ch, num_in_ch, kernel_size, kernel_size))
        bound = (num_in_ch * kernel_size**2)**-0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Convolve at displaced places.

        Args:
            x: (b, num_in_ch, h, w).
            offset: (b, 2 * deformable_groups * kernel_size**2, h, w) in pixels; (dy, dx) of every tap, group by group.

        Returns:
            (b, num_out_ch, h, w) in x's dtype.

        Raises:
            ValueError: offset does not have the shape above.
        """
        b, num_offset_ch, h, w = offset.shape
        mask = offset.new_ones(b, num_offset_ch // 2, h, w)
        bias = self.weight.new_zeros(self.weight.shape[0])
        return modulated_deform_conv2d(x, offset, mask, self.weight, bias, self.padding, self.deformable_groups,
                                       self.backend)
