"""SOF-VSR's loss on optical flow (Wang et al., TIP 2020), after the authors' code."""

from __future__ import annotations

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops.color import luma
from satvsr_plugin.ops.flow_warp import flow_warp


@LOSS_REGISTRY.register()
class FlowLoss(nn.Module):
    """Each neighbour, warped with its flow, should look like the centre frame, at three resolutions, on Y.

    At HR, LR and half LR size: mean absolute difference + ``tv_weight`` * total variation of the flow; the weighted
    sum of the three is averaged over the neighbours.

    Args:
        loss_weight: factor on the whole.
        level_weights: three factors, at HR, LR and half LR size.
        tv_weight: factor on the total variation.

    Raises:
        OptionError: ``level_weights`` are not three.
    """

    needs: tuple[str, ...] = ('flow_l1', 'flow_l2', 'flow_l3')
    needs_all_gt = True

    def __init__(self, loss_weight: float = 0.01, level_weights: tuple[float, ...] = (1.0, 0.2, 0.1),
                 tv_weight: float = 0.1) -> None:
        super().__init__()
        if len(level_weights) != 3:
            raise OptionError(f'FlowLoss: level_weights: {list(level_weights)} must be three numbers, for HR, LR and '
                              'half LR size')
        self.loss_weight = loss_weight
        self.level_weights = tuple(level_weights)
        self.tv_weight = tv_weight

    def forward(self, extras: dict[str, Tensor], lq: Tensor, gt: Tensor) -> Tensor:
        """Judge the flows by the frames that they connect.

        Args:
            extras: ``flow_l1`` (b, t - 1, 2, h / 2, w / 2), ``flow_l2`` (..., h, w), ``flow_l3``
                (..., scale * h, scale * w), as SOFVSR returns them.
            lq: (b, t, 3 or 1, h, w) in [0, 1].
            gt: (b, t, 3 or 1, scale * h, scale * w) in [0, 1].

        Returns:
            A single number.

        Raises:
            OptionError: GT is of the centre frame only, or the sizes of patches do not fit the flows.
        """
        _check_frames(extras, lq, gt)
        lq, gt = luma(lq), luma(gt)
        half = F.avg_pool2d(lq.flatten(0, 1), 2).unflatten(0, lq.shape[:2])
        levels = zip(self.level_weights, (gt, lq, half), reversed(self.needs), strict=True)
        losses = (weight * self._level(frames, extras[name]) for weight, frames, name in levels)
        return self.loss_weight * sum(losses, start=gt.new_zeros(()))

    def _level(self, frames: Tensor, flow: Tensor) -> Tensor:
        """One resolution: frames (b, t, 1, h, w), flow (b, t - 1, 2, h, w), averaged over neighbours."""
        middle = frames.shape[1] // 2
        neighbours = torch.cat([frames[:, :middle], frames[:, middle + 1:]], 1)
        flow = flow.flatten(0, 1).to(frames.dtype)
        warped = flow_warp(neighbours.flatten(0, 1), flow).unflatten(0, neighbours.shape[:2])
        return (frames[:, middle, None] - warped).abs().mean() + self.tv_weight * total_variation(flow)


def total_variation(flow: Tensor) -> Tensor:
    """Sum of the absolute differences to the right and downwards, for each sample and pixel that has both neighbours.

    Args:
        flow: (b, 2, h, w).

    Returns:
        A single number: the mean over samples and pixels, the sum over both channels and both directions.
    """
    here = flow[:, :, :-1, :-1]
    variation = (flow[:, :, :-1, 1:] - here).abs() + (flow[:, :, 1:, :-1] - here).abs()
    return variation.sum(1).mean()


def _check_frames(extras: dict[str, Tensor], lq: Tensor, gt: Tensor) -> None:
    if gt.dim() != 5 or gt.shape[1] != lq.shape[1]:
        raise OptionError('FlowLoss compares neighbouring GT frames, but the data set gives GT of the centre frame '
                          'only; use type: Jilin189RecurrentDataset')
    for name, frames in (('flow_l2', lq), ('flow_l3', gt)):
        if extras[name].shape[-2:] != frames.shape[-2:]:
            h, w = lq.shape[-2:]
            raise OptionError(f'FlowLoss needs LR patches with even sides, but they are {h}x{w}; change gt_size')
