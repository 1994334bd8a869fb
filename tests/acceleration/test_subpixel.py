"""Strided layers against their sub-pixel forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from satvsr_plugin.acceleration.subpixel import SubpixelConv, SubpixelDeconv, use_subpixels
from satvsr_plugin.archs.blocks import DownUnit, ResBlock, UpUnit, scale_geometry


@pytest.mark.parametrize('size', [(5, 8), (7, 6)])
@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_transposed_convolution(scale, size):
    torch.manual_seed(0)
    deconv = nn.ConvTranspose2d(3, 5, *scale_geometry(scale)).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(SubpixelDeconv(deconv)(x), deconv(x))


@pytest.mark.parametrize('beyond', [0, 1, 3])  # rows and columns that no output sees in full
@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_strided_convolution(scale, beyond):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, *scale_geometry(scale)).double()
    x = torch.randn(2, 3, 5 * scale + beyond, 6 * scale, dtype=torch.float64)
    torch.testing.assert_close(SubpixelConv(conv)(x), conv(x))


def test_layers_without_bias():
    x = torch.randn(1, 3, 8, 8)
    deconv, conv = nn.ConvTranspose2d(3, 3, 8, 4, 2, bias=False), nn.Conv2d(3, 3, 8, 4, 2, bias=False)
    torch.testing.assert_close(SubpixelDeconv(deconv)(x), deconv(x))
    torch.testing.assert_close(SubpixelConv(conv)(x), conv(x))


def test_blocks_that_change_the_size_are_replaced_and_others_are_not():
    torch.manual_seed(0)
    net = nn.Sequential(UpUnit(4, 4), DownUnit(4, 4), ResBlock(4)).double()
    x = torch.randn(1, 4, 6, 5, dtype=torch.float64)
    expected = net(x)
    use_subpixels(net)
    torch.testing.assert_close(net(x), expected)
    assert sum(isinstance(layer, SubpixelConv | SubpixelDeconv) for layer in net.modules()) == 6
