"""The losses of TDAN and SOF-VSR against cases computed by hand."""

from __future__ import annotations

import pytest
import torch
from basicsr.losses import build_loss

from satvsr_plugin.errors import OptionError
from satvsr_plugin.losses import AlignmentLoss, FlowLoss, LumaMSELoss
from satvsr_plugin.losses.flow_loss import total_variation


def test_alignment_loss_by_hand():
    lq = torch.rand(2, 3, 3, 4, 5)
    aligned = lq[:, 1, None].repeat(1, 3, 1, 1, 1)
    aligned[:, 0] += 0.1
    aligned[:, 2] -= 0.2
    loss = build_loss({'type': 'AlignmentLoss'})
    # the centre slot counts in the mean
    assert loss({'aligned': aligned}, lq, lq).item() == pytest.approx(0.25 * (0.01 + 0 + 0.04) / 3, rel=1e-4)
    assert AlignmentLoss(loss_weight=3.0)({'aligned': lq[:, 1, None].expand_as(lq)}, lq, lq) == 0


def test_total_variation_by_hand():
    flow = torch.zeros(2, 2, 3, 4)
    flow[0, 0, 0, 0] = 1  # has both neighbours: |dx| = |dy| = 1
    flow[0, 1, 2, 3] = 5  # the last corner, which only pixels of the last row and column border on
    flow[1, 1, 1, 1] = -2  # itself 2 + 2, and 2 each at its left and upper neighbour
    assert total_variation(flow).item() == pytest.approx((2 + 8) / (2 * 2 * 3))


def still_flows(b: int, neighbours: int, h: int, w: int, scale: int) -> dict[str, torch.Tensor]:
    return {'flow_l1': torch.zeros(b, neighbours, 2, h // 2, w // 2), 'flow_l2': torch.zeros(b, neighbours, 2, h, w),
            'flow_l3': torch.zeros(b, neighbours, 2, h * scale, w * scale)}


def test_flow_loss_of_still_flow_is_the_difference_of_frames():
    lq, gt = torch.full((2, 3, 1, 4, 6), 0.5), torch.full((2, 3, 1, 8, 12), 0.5)
    lq[:, 0] += 0.2  # one neighbour of two
    gt[:, 2] -= 0.3
    loss = build_loss({'type': 'FlowLoss'})
    expected = 0.01 / 2 * (0.3 + 0.2 * 0.2 + 0.1 * 0.2)
    assert loss(still_flows(2, 2, 4, 6, 2), lq, gt).item() == pytest.approx(expected, rel=1e-4)
    # of RGB it sees Y, whose range is 219 of 255
    lq, gt = lq.expand(-1, -1, 3, -1, -1), gt.expand(-1, -1, 3, -1, -1)
    assert loss(still_flows(2, 2, 4, 6, 2), lq, gt).item() == pytest.approx(0.859 * expected, rel=1e-4)


@pytest.mark.parametrize('level, weight', [('flow_l1', 0.1), ('flow_l2', 0.2), ('flow_l3', 1.0)])
def test_flow_loss_weighs_the_roughness_of_each_level(level, weight):
    lq, gt = torch.full((1, 3, 1, 4, 6), 0.5), torch.full((1, 3, 1, 8, 12), 0.5)
    flows = still_flows(1, 2, 4, 6, 2)
    flows[level][:, 1, 0] = 0.25 * torch.arange(flows[level].shape[-1])  # dx = 0.25 everywhere, one neighbour of two
    assert FlowLoss()(flows, lq, gt).item() == pytest.approx(0.01 * weight * 0.1 * 0.25 / 2, rel=1e-4)
    assert FlowLoss(tv_weight=0.0)(flows, lq, gt) == 0


def test_flow_loss_is_zero_for_the_true_flow():
    """The scene moves one LR pixel to the right a frame, so the next one is sampled one pixel further right."""
    scale, moved = 2, torch.arange(3).view(1, 3, 1, 1, 1) - 1.0
    lq = (torch.arange(8.0) - moved).expand(1, 3, 1, 4, 8) / 20
    gt = (torch.arange(16.0) - scale * moved).expand(1, 3, 1, 8, 16) / 40
    flows = still_flows(1, 2, 4, 8, scale)
    for name, pixels in (('flow_l1', 0.5), ('flow_l2', 1.0), ('flow_l3', 2.0)):
        flows[name][:, 0, 0], flows[name][:, 1, 0] = -pixels / 15.5, pixels / 15.5
    still = FlowLoss()(still_flows(1, 2, 4, 8, scale), lq, gt).item()
    true = FlowLoss()(flows, lq, gt).item()
    # what is left is the border, where two columns of 16, one of 8 and half of one of 4 leave the frame
    assert still == pytest.approx(0.01 * (2 / 40 + 0.2 / 20 + 0.1 / 20), rel=1e-4)
    assert true == pytest.approx(0.01 * ((2 + 1) / 16 / 40 + 0.2 / 8 / 20 + 0.1 * 0.5 / 4 / 10), rel=1e-4)


def test_flow_loss_says_what_it_lacks():
    lq, flows = torch.rand(1, 3, 3, 4, 4), still_flows(1, 2, 4, 4, 2)
    with pytest.raises(OptionError, match='GT of the centre frame only; use type: Jilin189RecurrentDataset'):
        FlowLoss()(flows, lq, torch.rand(1, 3, 8, 8))
    with pytest.raises(OptionError, match='even sides, but they are 3x4'):
        FlowLoss()(flows, lq[..., :3, :], torch.rand(1, 3, 3, 6, 8))
    with pytest.raises(OptionError, match='level_weights'):
        FlowLoss(level_weights=(1.0, 0.2))
    with pytest.raises(OptionError, match='these have 4'):
        FlowLoss()(flows, torch.rand(1, 3, 4, 4, 4), torch.rand(1, 3, 4, 8, 8))


def test_luma_loss_by_hand():
    pred, target = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    pred[:, 1] = 0.5  # green
    expected = (0.504 * 0.5)**2
    assert build_loss({'type': 'LumaMSELoss'})(pred, target).item() == pytest.approx(expected, rel=1e-4)
    assert LumaMSELoss(2.0, 'sum')(pred, target).item() == pytest.approx(2 * 40 * expected, rel=1e-4)
    torch.testing.assert_close(LumaMSELoss(reduction='none')(pred, target), torch.full((2, 1, 4, 5), expected))
    assert LumaMSELoss()(pred[:, 1:2], target[:, :1]).item() == pytest.approx(0.25)
    # a change of colour that leaves Y is no error
    target[:, 0], target[:, 1] = 0.504, 0.5 - 0.257
    assert LumaMSELoss()(pred, target).item() == pytest.approx(0, abs=1e-12)


def test_luma_loss_weighs_pixels():
    pred, target, weight = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), torch.zeros(1, 1, 2, 2)
    pred[:, 1, 0, 0], weight[..., 0, 0], weight[..., 1, 1] = 1, 3, 1
    assert LumaMSELoss()(pred, target, weight).item() == pytest.approx(0.75 * 0.504**2, rel=1e-4)


def test_luma_loss_refuses_other_bands_and_reductions():
    with pytest.raises(OptionError, match='these have 4'):
        LumaMSELoss()(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2))
    with pytest.raises(OptionError, match='reduction: median'):
        LumaMSELoss(reduction='median')
