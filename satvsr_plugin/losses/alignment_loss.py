"""TDAN's loss on alignment (Tian et al., CVPR 2020), with the weight of the authors' code."""

from __future__ import annotations

from basicsr.utils.registry import LOSS_REGISTRY
from torch import Tensor, nn


@LOSS_REGISTRY.register()
class AlignmentLoss(nn.Module):
    """Every aligned LR frame should look like the centre one: mean squared difference.

    Args:
        loss_weight: factor; the authors' solver has 0.25, mmagic 0.01.
    """

    needs: tuple[str, ...] = ('aligned',)
    needs_all_gt = False

    def __init__(self, loss_weight: float = 0.25) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, extras: dict[str, Tensor], lq: Tensor, gt: Tensor) -> Tensor:
        """Compare the aligned frames with the centre frame.

        Args:
            extras: ``aligned`` (b, t, c, h, w) in [0, 1]; its centre slot, which is the centre frame itself, counts in
                the mean, as in the authors' code.
            lq: (b, t, c, h, w) in [0, 1].
            gt: not used.

        Returns:
            A single number.
        """
        centre = lq[:, lq.shape[1] // 2, None]
        return self.loss_weight * (extras['aligned'].to(lq.dtype) - centre).square().mean()
