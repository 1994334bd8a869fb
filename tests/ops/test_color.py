"""SOF-VSR's colours against the toolbox's BT.601 and against known points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from basicsr.utils.color_util import rgb2ycbcr

from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops.color import luma, rgb_to_ycbcr, ycbcr_to_rgb


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize('rgb, ycbcr', [
    ((0, 0, 0), (16, 128, 128)), ((1, 1, 1), (235.045, 128, 128)), ((1, 0, 0), (81.535, 90.26, 239.945)),
    ((0, 1, 0), (144.52, 53.795, 34.16)), ((0, 0, 1), (40.99, 239.945, 109.895))])
def test_known_colours(rgb, ycbcr):
    torch.testing.assert_close(rgb_to_ycbcr(pixel(*rgb)) * 255, pixel(*ycbcr))


def test_agrees_with_bt601_to_its_three_decimals():
    rgb = np.random.default_rng(0).random((5, 7, 3), dtype=np.float32)
    ours = rgb_to_ycbcr(torch.from_numpy(rgb).permute(2, 0, 1)).permute(1, 2, 0)
    np.testing.assert_allclose(ours, rgb2ycbcr(rgb), atol=1e-3)


def test_back_and_forth():
    rgb = torch.rand(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb, atol=3e-3, rtol=0)
    # red: Y, Cb, Cr as above through the authors' inverse
    torch.testing.assert_close(ycbcr_to_rgb(pixel(81.535, 90.26, 239.945) / 255),
                               pixel(0.299148 + 1.596 * 0.439, 0.299148 + 0.392 * 0.148 - 0.813 * 0.439,
                                     0.299148 - 2.017 * 0.148))


def test_luma_of_rgb_and_of_one_band():
    rgb = torch.rand(2, 3, 3, 4, 6)
    torch.testing.assert_close(luma(rgb), rgb_to_ycbcr(rgb)[:, :, 0, None])
    grey = rgb[:, :, :1]
    assert luma(grey) is grey
    with pytest.raises(OptionError, match='these have 4'):
        luma(torch.rand(1, 4, 5, 5))
