"""Bicubic interpolation of the centre frame: the baseline of every table, as a network of the registry."""

from __future__ import annotations

from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.ops.bicubic import BicubicUpsample


@ARCH_REGISTRY.register()
class Bicubic(nn.Module):
    """MATLAB's ``imresize`` (a = -0.5, mirrored borders), which the published tables call bicubic.

    Args:
        scale: enlargement.
    """

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        self.input_spec = InputSpec(scale)
        self.upsample = BicubicUpsample(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (b, t, c, h, w) in [0, 1]. Returns: (b, c, scale * h, scale * w), may overshoot [0, 1]."""
        return self.upsample(x[:, x.shape[1] // 2])
