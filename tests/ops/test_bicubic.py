"""The bicubic layer against hand-computed weights and against the NumPy resampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from satvsr_plugin.ops.bicubic import BicubicUpsample
from satvsr_plugin.ops.resize import bicubic_taps, cubic_kernel, mirrored, replicated


def test_kernel_at_known_points():
    # Keys 1981, a = -0.5: W(0) = 1, W(0.5) = 0.5625, W(1) = 0, W(1.5) = -0.0625, W(2) = 0
    np.testing.assert_allclose(cubic_kernel(np.array([0, 0.5, -0.5, 1, 1.5, 2, 3])),
                               [1, 0.5625, 0.5625, 0, -0.0625, 0, 0], atol=1e-15)


def test_taps_for_half_size():
    indices, weights = bicubic_taps(16, 8, 0.5)
    row = dict(zip(indices[3].tolist(), weights[3].tolist(), strict=True))
    # The centre of output 3 is 6.5; the nearest pixels are half a pixel away, 0.25 after widening by two.
    assert row[6] == pytest.approx(row[7]) == pytest.approx(cubic_kernel(np.array(0.25)) / 2)
    assert sum(row.values()) == pytest.approx(1)


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_layer_equals_the_numpy_resampling(scale):
    x = np.random.default_rng(0).random((2, 3, 5, 7))
    rows, row_weights = bicubic_taps(5, 5 * scale, scale, mirror=True)
    columns, column_weights = bicubic_taps(7, 7 * scale, scale, mirror=True)
    expected = np.einsum('bcotw,ot->bcow', x[:, :, rows], row_weights)
    expected = np.einsum('bchot,ot->bcho', expected[..., columns], column_weights)
    out = BicubicUpsample(scale)(torch.from_numpy(x))
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_layer_keeps_a_constant_and_has_no_state():
    layer = BicubicUpsample(4)
    torch.testing.assert_close(layer(torch.full((1, 2, 3, 3), 0.7)), torch.full((1, 2, 12, 12), 0.7))
    assert not layer.state_dict()


def test_borders():
    outside = np.arange(-3, 6)
    assert replicated(outside, 3).tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 2]
    assert mirrored(outside, 3).tolist() == [2, 1, 0, 0, 1, 2, 2, 1, 0]
    assert mirrored(outside, 1).tolist() == [0] * 9
