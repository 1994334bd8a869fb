"""PSNR and SSIM against hand-computed cases, scikit-image and the toolbox's own functions."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from basicsr.metrics import calculate_metric, calculate_psnr, calculate_ssim
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.metrics import satvsr_psnr, satvsr_ssim

BOTH = pytest.mark.parametrize('metric', [satvsr_psnr, satvsr_ssim])


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A smooth colour picture and a noisy copy of it, (37, 52, 3) uint8."""
    rng = np.random.default_rng(3)
    clean = cv2.GaussianBlur(rng.uniform(-400, 655, (37, 52, 3)), (0, 0), 1.5)
    noisy = clean + rng.normal(0, 6, clean.shape)
    return tuple(np.clip(np.rint(picture), 0, 255).astype(np.uint8) for picture in (noisy, clean))


def test_psnr_of_a_constant_error_by_hand() -> None:
    grey = np.full((4, 6), 100, np.uint8)
    assert satvsr_psnr(grey + 5, grey, color='rgb') == pytest.approx(20 * math.log10(255 / 5), abs=1e-12)
    # a grey step of 5 in all bands moves Y by 5 * 219 / 255
    colour = np.full((4, 6, 3), 100, np.uint8)
    assert satvsr_psnr(colour + 5, colour) == pytest.approx(20 * math.log10(255 / (5 * 219 / 255)), abs=1e-12)


def test_the_first_band_is_blue() -> None:
    dark, blue = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    blue[..., 0] = 255
    assert satvsr_psnr(blue, dark) == pytest.approx(20 * math.log10(255 / 24.966), abs=1e-12)


def test_ssim_of_flat_pictures_by_hand() -> None:
    dark, bright = np.full((11, 11), 51, np.uint8), np.full((11, 11), 204, np.uint8)
    by_hand = (2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4)  # no variance: the luminance term alone
    assert satvsr_ssim(dark, bright) == pytest.approx(by_hand, abs=1e-12)


@BOTH
def test_identical_pictures(metric: Any, pair: tuple) -> None:
    score = metric(pair[0], pair[0].copy())
    assert score == (math.inf if metric is satvsr_psnr else 1.0)


def test_rgb_equals_scikit_image(pair: tuple) -> None:
    noisy, clean = pair
    assert satvsr_psnr(noisy, clean, color='rgb') == pytest.approx(peak_signal_noise_ratio(clean, noisy), abs=1e-9)
    expected = structural_similarity(
        noisy / 255, clean / 255, data_range=1, channel_axis=2,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert satvsr_ssim(noisy, clean, color='rgb') == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize('crop_border', [0, 4])
@pytest.mark.parametrize('color', ['y', 'rgb'])
def test_equals_the_toolbox(pair: tuple, color: str, crop_border: int) -> None:
    options = {'crop_border': crop_border, 'test_y_channel': color == 'y'}
    psnr, ssim = calculate_psnr(*pair, **options), calculate_ssim(*pair, **options)
    assert satvsr_psnr(*pair, color=color, crop_border=crop_border) == pytest.approx(psnr, abs=1e-4)
    assert satvsr_ssim(*pair, color=color, crop_border=crop_border) == pytest.approx(ssim, abs=1e-6)


def test_the_toolbox_calls_it_by_name(pair: tuple) -> None:
    options = {'type': 'satvsr_psnr', 'color': 'rgb', 'crop_border': 2, 'better': 'higher'}
    score = calculate_metric({'img': pair[0], 'img2': pair[1]}, options)
    assert score == satvsr_psnr(*pair, color='rgb', crop_border=2)


@BOTH
def test_sixteen_bit_equals_eight_bit_scaled(metric: Any, pair: tuple) -> None:
    wide = [picture.astype(np.uint16) * 257 for picture in pair]
    assert metric(*wide) == pytest.approx(metric(*pair), abs=1e-9)


@BOTH
def test_twelve_bit_in_a_sixteen_bit_file(metric: Any, pair: tuple) -> None:
    noisy, clean = (picture.astype(np.uint16) * 16 for picture in pair)
    both_float = metric(noisy / 4095, clean / 4095, quantize=False)
    assert metric(noisy, clean, data_range=4095) == pytest.approx(both_float, abs=1e-9)
    # a data set divides by 65535, whatever the sensor's range is
    as_the_network_gives_it = (noisy / 65535).astype(np.float32)
    assert metric(as_the_network_gives_it, clean, data_range=4095) == pytest.approx(both_float, abs=1e-9)
    with pytest.raises(DataError, match='above data_range 255'):
        metric(noisy, clean, data_range=255)


@BOTH
def test_a_float_result_is_rounded_to_the_levels_of_the_ground_truth(metric: Any, pair: tuple) -> None:
    noisy, clean = pair
    rng = np.random.default_rng(0)
    unrounded = ((noisy + rng.uniform(-0.49, 0.49, noisy.shape)) / 255).astype(np.float32)
    assert metric(unrounded, clean) == metric(noisy, clean)
    wide_clean = clean.astype(np.uint16) * 257
    rounded = np.floor(np.clip(unrounded.astype(np.float64), 0, 1) * 65535 + 0.5).astype(np.uint16)
    assert metric(unrounded, wide_clean) == metric(rounded, wide_clean)


def test_rounding_is_half_up_and_clips() -> None:
    black, levels = np.zeros((1, 4), np.uint8), np.array([[0.5, 1.49, -30, 255.2]]) / 255
    assert satvsr_psnr(levels, black) == pytest.approx(10 * math.log10(4 * 255**2 / (1 + 1 + 0 + 255**2)), abs=1e-9)


def test_without_quantize_the_values_are_taken_as_they_are() -> None:
    result, gt = np.array([[1.2, 0.5, 0.0003, 0.0]]), np.array([[255, 0, 0, 0]], np.uint8)
    by_hand = -10 * math.log10((0.2**2 + 0.5**2 + 0.0003**2) / 4)
    assert satvsr_psnr(result, gt, quantize=False) == pytest.approx(by_hand, abs=1e-9)


@BOTH
def test_grey_pictures_are_their_own_luma(metric: Any, pair: tuple) -> None:
    noisy, clean = (picture[..., 1] for picture in pair)
    assert metric(noisy, clean) == metric(noisy, clean, color='rgb')
    assert metric(noisy[..., None], clean) == metric(noisy, clean)


def test_ssim_of_many_bands_is_the_mean_over_bands(pair: tuple) -> None:
    noisy, clean = (np.concatenate([picture, picture[::-1, :, :2]], axis=2) for picture in pair)
    bands = [satvsr_ssim(noisy[..., band], clean[..., band]) for band in range(5)]
    assert satvsr_ssim(noisy, clean, color='rgb') == pytest.approx(np.mean(bands), abs=1e-12)
    with pytest.raises(OptionError, match='these have 5; set color: rgb'):
        satvsr_ssim(noisy, clean)


def test_a_result_that_is_not_a_number_shows(pair: tuple) -> None:
    broken = pair[0] / 255
    broken[20, 20, 1] = math.nan
    assert math.isnan(satvsr_psnr(broken, pair[1]))
    assert math.isnan(satvsr_ssim(broken, pair[1]))


@BOTH
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'color': 'Y'}, "color: must be 'y' or 'rgb', not 'Y'"),
        ({'crop_border': -1}, 'crop_border: must be a whole number'),
        ({'crop_border': 1.5}, 'crop_border: must be a whole number'),
        ({'crop_border': 19}, 'crop_border: 19 leaves nothing of a picture of 37x52'),
        ({'data_range': 1.0}, 'data_range: must be the largest pixel value'),
        ({'data_range': math.inf}, 'data_range: must be the largest pixel value'),
        ({'data_range': True}, 'data_range: must be the largest pixel value'),
    ],
)
def test_wrong_options(metric: Any, pair: tuple, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        metric(*pair, **options)


@BOTH
def test_pictures_that_do_not_fit(metric: Any, pair: tuple) -> None:
    noisy, clean = pair
    with pytest.raises(DataError, match=r'differ in shape: \(36, 52, 3\) and \(37, 52, 3\)'):
        metric(noisy[:-1], clean)
    with pytest.raises(DataError, match='8 bit and the other 16 bit'):
        metric(noisy, clean.astype(np.uint16))
    with pytest.raises(DataError, match='int64 cannot be scored'):
        metric(noisy.astype(np.int64), clean)
    with pytest.raises(DataError, match='expected .h, w. or'):
        metric(noisy[None], clean)


def test_ssim_needs_a_whole_window(pair: tuple) -> None:
    noisy, clean = pair
    assert satvsr_ssim(noisy[:11, :11], clean[:11, :11]) < 1
    with pytest.raises(DataError, match='at least 11x11 pixels, there are 10x52'):
        satvsr_ssim(noisy[:10], clean[:10])
    with pytest.raises(DataError, match=r'there are 9x24 \(crop_border: 14\)'):
        satvsr_ssim(noisy, clean, crop_border=14)
