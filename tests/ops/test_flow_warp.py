"""Warping against SciPy's interpolation and a case by hand."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from satvsr_plugin.ops.flow_warp import FLOW_UNIT, flow_warp


def test_equals_scipy():
    rng = np.random.default_rng(0)
    image, flow = rng.random((2, 3, 7, 9)), rng.normal(0, 0.15, (2, 2, 7, 9))  # 2 pixels, some beyond the border
    ours = flow_warp(torch.from_numpy(image), torch.from_numpy(flow))
    rows, columns = np.mgrid[:7, :9]
    for b in range(2):
        place = rows + flow[b, 1] * 15.5, columns + flow[b, 0] * 15.5
        for c in range(3):
            expected = map_coordinates(image[b, c], place, order=1, mode='nearest')
            np.testing.assert_allclose(ours[b, c], expected, atol=1e-12)


def test_a_ramp_moves_to_the_left():
    ramp = torch.arange(6.0).expand(1, 1, 2, 6)
    flow = torch.tensor([1.5 / FLOW_UNIT, 0]).view(1, 2, 1, 1).expand(1, 2, 2, 6)
    expected = torch.tensor([1.5, 2.5, 3.5, 4.5, 5, 5]).expand(1, 1, 2, 6)
    torch.testing.assert_close(flow_warp(ramp, flow), expected)
    half = flow_warp(ramp.bfloat16(), flow)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half, expected.bfloat16())


def test_one_pixel_stays_where_it_is():
    torch.testing.assert_close(flow_warp(torch.full((1, 1, 1, 1), 0.3), torch.ones(1, 2, 1, 1)),
                               torch.full((1, 1, 1, 1), 0.3))
