"""Deformable convolution whose offsets and mask come from a separate guide feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d, resolve_backend
from satvsr_plugin.ops.precision import in_full_precision


class GuidedDeformConv(nn.Module):
    """Samples ``x`` at offsets that one convolution predicts from ``guide`` (as MSDTGP and EDVR do).

    The state dict does not depend on the backend: ``weight``, ``bias``, ``conv_offset_mask.{weight,bias}``.

    Args:
        num_in_ch, num_out_ch: channels of ``x`` (and ``guide``) and of the output.
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
        self.num_offset_ch = 2 * deformable_groups * kernel_size**2
        self.weight = nn.Parameter(torch.empty(num_out_ch, num_in_ch, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(num_out_ch))
        self.conv_offset_mask = nn.Conv2d(
            num_in_ch, self.num_offset_ch * 3 // 2, kernel_size, padding=self.padding)
        bound = (num_in_ch * kernel_size**2)**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        self.zero_offset()

    def zero_offset(self) -> None:
        """Start as half a plain convolution: all offsets 0, all mask values sigmoid(0) = 0.5."""
        for parameter in self.conv_offset_mask.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Args: x, guide: (b, c, h, w). Returns: (b, num_out_ch, h, w)."""
        offset_mask = in_full_precision(self.conv_offset_mask, guide)
        offset = offset_mask[:, :self.num_offset_ch]
        mask = offset_mask[:, self.num_offset_ch:].sigmoid()
        return modulated_deform_conv2d(x, offset, mask, self.weight, self.bias, self.padding,
                                       self.deformable_groups, self.backend)
