"""The linear filter: bicubic to begin with, a weighted sum of replicated neighbours, the same for every band."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from basicsr.archs import build_network

from satvsr_plugin.archs.interface import run_network
from satvsr_plugin.archs.linear_filter_arch import LinearFilter
from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops.bicubic import BicubicUpsample


@pytest.mark.parametrize('scale, kernel_size', [(2, 5), (3, 7), (4, 7)])
def test_starts_as_bicubic_inside_the_borders(scale, kernel_size):
    x = torch.rand(2, 3, 9, 11)
    inner = np.s_[..., 2 * scale:-2 * scale, 2 * scale:-2 * scale]
    out, expected = LinearFilter(scale, kernel_size)(x), BicubicUpsample(scale)(x)
    assert out.shape == (2, 3, 9 * scale, 11 * scale)
    torch.testing.assert_close(out[inner], expected[inner])


def test_pixel_is_the_weighted_sum_of_its_replicated_surroundings():
    net = LinearFilter(4, 7)
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(16, 7, 7)).astype(np.float32), rng.random((2, 6, 5), np.float32)
    net.weight.data = torch.from_numpy(weights)[:, None]
    out = net(torch.from_numpy(x)[None])[0].detach().numpy()
    padded = np.pad(x, ((0, 0), (3, 3), (3, 3)), 'edge')
    for band, row, column in ((0, 0, 0), (1, 23, 19), (1, 9, 14), (0, 13, 2)):
        phase = 4 * (row % 4) + column % 4
        surroundings = padded[band, row // 4:row // 4 + 7, column // 4:column // 4 + 7]
        assert out[band, row, column] == pytest.approx((weights[phase] * surroundings).sum(), abs=1e-5)


def test_has_784_weights_and_takes_the_centre_frame_of_any_bands():
    net = build_network({'type': 'LinearFilter', 'scale': 4, 'kernel_size': 7})
    assert sum(parameter.numel() for parameter in net.parameters()) == 784
    x = torch.rand(1, 3, 4, 5, 6)
    torch.testing.assert_close(run_network(net, net.input_spec, x), net(x[:, 1]))


@pytest.mark.parametrize('arguments, message', [
    ({'scale': 1}, 'scale is 1; it must be at least 2'), ({'kernel_size': 6}, 'kernel_size is 6; it must be odd'),
    ({'kernel_size': 3}, 'kernel_size is 3; it must be odd and at least 5')])
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(OptionError, match=message):
        LinearFilter(**arguments)
