"""The deformable convolution without mask against torchvision's."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import deform_conv2d

from satvsr_plugin.ops.deform_conv import mmcv_fault
from satvsr_plugin.ops.plain_deform_conv import DeformConv


@pytest.mark.parametrize('dcn', [
    pytest.param('mmcv', marks=pytest.mark.skipif(mmcv_fault() is not None, reason='needs mmcv with compiled ops')),
    'torchvision'])
def test_equals_torchvision_without_mask_and_bias(dcn):
    torch.manual_seed(0)
    layer = DeformConv(4, 6, 3, deformable_groups=2, dcn=dcn).double()
    assert [name for name, _ in layer.named_parameters()] == ['weight']
    x = torch.randn(2, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(2, 36, 5, 7, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(x, offset), deform_conv2d(x, offset, layer.weight, padding=1)
    torch.testing.assert_close(ours, theirs)
    inputs = (x, offset, layer.weight)
    for grad, expected in zip(torch.autograd.grad(ours.square().sum(), inputs),
                              torch.autograd.grad(theirs.square().sum(), inputs), strict=True):
        torch.testing.assert_close(grad, expected)


def test_wrong_number_of_offsets_is_refused():
    with pytest.raises(ValueError, match='offset has shape'):
        DeformConv(4, 4, deformable_groups=2, dcn='torchvision')(torch.rand(1, 4, 5, 5), torch.rand(1, 18, 5, 5))
