"""The scores of bicubic on seven real Jilin-1 frames fix the protocol (skipped where the frames are not at hand).

The expected figures were measured with MATLAB's ``imresize`` of today, which mirrors the picture at its borders, as the
toolbox's does. Replicated borders, which the authors' LR has, give 30.373 and 29.038 dB instead; four pixels inside,
both are the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from basicsr.utils.matlab_functions import imresize

from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.metrics import satvsr_psnr, satvsr_ssim


@pytest.fixture(scope='module')
def frames(shared_dir: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bicubic (BGR, float) and GT (BGR, uint8) of the seven frames."""
    clip = shared_dir / 'data' / 'jilin1_clip'
    names = sorted(path.name for path in (clip / 'GT' / '000').iterdir())
    lr, gt = ([read_image(clip / kind / '000' / name)[..., ::-1] for name in names] for kind in ('LR4x', 'GT'))
    return [(imresize(small / 255, 4), large) for small, large in zip(lr, gt, strict=True)]


@pytest.mark.parametrize(
    ('metric', 'options', 'expected', 'tolerance'),
    [
        (satvsr_psnr, {}, 30.376, 5e-4),
        (satvsr_ssim, {}, 0.8889, 5e-5),
        (satvsr_psnr, {'color': 'rgb'}, 29.041, 5e-4),
        (satvsr_ssim, {'color': 'rgb'}, 0.8780, 5e-5),
        (satvsr_psnr, {'crop_border': 4}, 30.358, 5e-4),
        (satvsr_psnr, {'color': 'rgb', 'crop_border': 4}, 29.023, 5e-4),
    ],
)
def test_bicubic_on_the_real_clip(frames: list, metric, options: dict, expected: float, tolerance: float) -> None:
    scores = [metric(result, gt, **options) for result, gt in frames]
    assert len(scores) == 7
    assert np.mean(scores) == pytest.approx(expected, abs=tolerance)
