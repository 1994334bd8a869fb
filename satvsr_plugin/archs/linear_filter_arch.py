"""One linear filter for every sub-pixel phase: the least that a network has to beat.

The best linear enlargement of single frames, once its weights are fitted by least squares
(``comparison.linear_fit``): what a network gains beyond it comes from more than sharpening.
"""

from __future__ import annotations

from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import require
from satvsr_plugin.ops.bicubic import RADIUS, BicubicUpsample


@ARCH_REGISTRY.register()
class LinearFilter(nn.Module):
    """Every HR pixel is a weighted sum of the LR pixels round it; the weights depend on its sub-pixel phase only.

    All bands share the weights. Borders are replicated. It starts as bicubic interpolation (a = -0.5).

    Args:
        scale: enlargement.
        kernel_size: height and width of the filters in LR pixels, odd, at least bicubic's 5.

    Raises:
        OptionError: an argument is out of its range.
    """

    def __init__(self, scale: int = 4, kernel_size: int = 7) -> None:
        super().__init__()
        least = 2 * RADIUS + 1
        require('LinearFilter', {
            f'scale is {scale}; it must be at least 2': scale >= 2,
            f'kernel_size is {kernel_size}; it must be odd and at least {least}':
                kernel_size >= least and kernel_size % 2 == 1})
        self.input_spec = InputSpec(scale, sees='frame')
        self.scale = scale
        self.radius = kernel_size // 2
        bicubic = F.pad(BicubicUpsample(scale).kernel, 4 * (self.radius - RADIUS,))
        self.weight = nn.Parameter(bicubic.float())  # (scale * scale, 1, k, k): phases by rows, then by columns

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (b, c, h, w) in [0, 1]. Returns: (b, c, scale * h, scale * w), may overshoot [0, 1]."""
        b, c, h, w = x.shape
        maps = F.pad(x.reshape(b * c, 1, h, w), 4 * (self.radius,), mode='replicate')
        phases = F.conv2d(maps, self.weight)  # (b*c, scale*scale, h, w)
        return F.pixel_shuffle(phases, self.scale).reshape(b, c, h * self.scale, w * self.scale)
