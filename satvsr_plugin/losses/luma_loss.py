"""The mean squared error on Y, for networks that are trained as SOF-VSR was (Wang et al., TIP 2020)."""

from __future__ import annotations

from typing import Literal

from basicsr.losses.basic_loss import mse_loss
from basicsr.utils.registry import LOSS_REGISTRY
from torch import Tensor, nn

from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops.color import luma


@LOSS_REGISTRY.register()
class LumaMSELoss(nn.Module):
    """A pixel loss of the toolbox's kind: MSE on Y of RGB pictures, with SOF-VSR's coefficients.

    Args:
        loss_weight: factor.
        reduction: ``mean``, ``sum`` or ``none``.

    Raises:
        OptionError: another reduction.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: Literal['none', 'mean', 'sum'] = 'mean') -> None:
        super().__init__()
        if reduction not in ('none', 'mean', 'sum'):
            raise OptionError(f'LumaMSELoss: reduction: {reduction} is none of none, mean and sum')
        self.loss_weight = loss_weight
        self.reduction = reduction

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Compare two batches of pictures.

        Args:
            pred, target: (b, 3 or 1, h, w) in [0, 1]; one band is taken as Y.
            weight: (b, 1, h, w), of every pixel.

        Returns:
            A single number, or (b, 1, h, w) without reduction.

        Raises:
            OptionError: another number of bands.
        """
        return self.loss_weight * mse_loss(luma(pred), luma(target), weight, reduction=self.reduction)
