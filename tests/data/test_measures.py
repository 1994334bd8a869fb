"""Measures of clips against pictures whose spectrum, drift and noise are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from satvsr_plugin.data.measures import find_drift, flicker, radial_power, resample, share_of_energy, temporal_noise
from satvsr_plugin.data.measures.luma import luma
from satvsr_plugin.data.measures.motion import margin_of, noise_gain
from satvsr_plugin.data.measures.spectrum import frequencies, in_decibels, summarise, tile_size
from satvsr_plugin.errors import DataError

MARGIN = 32  # px; what moves in at the borders of the made scenes


def scene(size: int, seed: int, *moves: tuple[float, float]) -> list[np.ndarray]:
    """A scene with the spectrum of nature, as seen by a sensor with a blur of 1 px; and moved exactly, by its phases.

    Returns:
        For every move (down, right) a (size, size) float64 picture of deviation 40 round 128.
    """
    whole = size + 2 * MARGIN
    down, right = np.fft.fftfreq(whole)[:, None], np.fft.fftfreq(whole)
    radius = np.hypot(down, right)
    waves = np.fft.fft2(np.random.default_rng(seed).standard_normal((whole, whole)))
    waves *= np.exp(-2 * (np.pi * radius) ** 2) / np.maximum(radius, 1 / whole)
    waves[0, 0] = 0
    frames = [np.fft.ifft2(waves * np.exp(-2j * np.pi * (down * y + right * x))).real for y, x in moves]
    deviation = frames[0].std()
    return [128 + 40 / deviation * frame[MARGIN:-MARGIN, MARGIN:-MARGIN] for frame in frames]


def noise(size: int, deviation: float, seed: int | list[int]) -> np.ndarray:
    return deviation * np.random.default_rng(seed).standard_normal((size, size))


def as_image(plane: np.ndarray) -> np.ndarray:
    """(h, w, 1) uint8."""
    return np.clip(plane + 0.5, 0, 255).astype(np.uint8)[..., None]


def test_luma_of_colours_bands_and_depths():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(luma(colours), [[76.245, 149.685, 29.07, 255]])
    deep = np.dstack([colours.astype(np.uint16) * 257, np.full((1, 4), 999, np.uint16)])  # the same, and a fourth band
    np.testing.assert_allclose(luma(deep), luma(colours))
    assert luma(np.full((1, 1, 1), 7, np.uint8)).tolist() == [[7]]


def test_white_noise_has_its_variance_at_every_frequency():
    power = np.mean([radial_power(noise(300, 3, seed), 128) for seed in range(4)], axis=0)
    assert power[5:] == pytest.approx(9, rel=0.1)
    assert power.mean() == pytest.approx(9, rel=0.02)
    # the ring of 0.25 to 0.375 against the disc of 0.5
    assert share_of_energy(power) == pytest.approx((0.375**2 - 0.25**2) / 0.5**2, rel=0.02)


def test_blur_attenuates_as_a_gaussian_does():
    sigma, size = 1.2, 256
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    sharp = [noise(size, 10, seed) for seed in range(4)]
    soft = [np.fft.ifft2(np.fft.fft2(plane) * np.exp(-2 * (np.pi * sigma * frequency) ** 2)).real for plane in sharp]
    before, after = (np.mean([radial_power(plane, 128) for plane in planes], axis=0) for planes in (sharp, soft))
    expected = -10 * np.log10(math.e) * (2 * np.pi * sigma * frequencies(128)) ** 2  # down to -62 dB
    np.testing.assert_allclose(10 * np.log10(after / before), expected, atol=0.5)


def test_a_wave_stands_at_its_frequency():
    wave = 10 * np.sin(2 * np.pi * 0.25 * np.arange(256)) * np.ones((256, 1))
    power = radial_power(200 + wave, 64)
    assert frequencies(64)[power.argmax()] == 0.25
    assert share_of_energy(power, (0.2, 0.3)) > 0.999


def test_decibels_are_of_every_frame_and_their_mean_logarithmic():
    power = 1 / frequencies(256)
    reference = np.mean([256 / ring for ring in range(8, 16)])  # 0.03 to 0.06 cycles/px
    expected = [10 * math.log10(256 / ring / reference) for ring in (16, 32)]
    assert in_decibels(power)[[15, 31]] == pytest.approx(expected)
    factors = np.where(frequencies(256) > 0.1, [[1], [10], [100]], 1)
    found = summarise(7 * power * factors)  # a common factor does not count
    assert (found.mean - in_decibels(power))[[0, 63]] == pytest.approx([0, 10])
    assert (found.high - found.low)[[0, 63]] == pytest.approx([0, 16])  # 10 and 90 % of 0, 10, 20 dB: 2 and 18


def test_tiles_are_the_largest_power_of_two():
    assert [tile_size(*size) for size in ((640, 640), (255, 700), (32, 32))] == [256, 128, 32]
    with pytest.raises(DataError, match='frames of 100x31 are too small'):
        tile_size(31, 100)


@pytest.mark.parametrize('drift', [(0, 0), (0.03, -0.02), (0.5, 0.5), (-1.3, 2.8), (11.25, -7.6)])
@pytest.mark.parametrize('sigma', [0, 2.5])
def test_a_known_drift_is_found(drift, sigma):
    before, after = (as_image(plane + noise(128, sigma, seed))[..., 0].astype(float)
                     for seed, plane in enumerate(scene(128, 3, (0, 0), drift)))
    assert find_drift(before, after) == pytest.approx(drift, abs=0.02)


def test_a_vehicle_does_not_count_as_drift():
    before, after = scene(128, 4, (0, 0), (0.4, -0.3))
    before[40:48, 40:56], after[40:48, 44:60] = 255, 255
    assert find_drift(before, after) == pytest.approx((0.4, -0.3), abs=0.02)


def test_there_is_no_drift_where_there_is_nothing_to_see():
    blank = np.full((64, 64), 90.0)
    assert find_drift(blank, blank) == (0, 0)


def test_resampling_undoes_a_drift():
    drift = (2.4, -0.7)
    before, after = scene(96, 5, (0, 0), drift)
    margin = margin_of(drift)
    assert margin == 9
    inner = np.s_[margin:-margin, margin:-margin]
    assert np.abs(resample(after, *drift) - before)[inner].max() < 0.3
    np.testing.assert_array_equal(resample(before, 0, 0), before)


@pytest.mark.parametrize('shift', [(0, 0), (3, -2), (0.1, 0.1), (0.5, -0.5)])
def test_resampling_smooths_noise_by_its_gain(shift):
    assert resample(noise(400, 1, 0), *shift)[20:-20, 20:-20].var() == pytest.approx(noise_gain(*shift), rel=0.03)


@pytest.mark.parametrize('drift', [(0, 0), (0.5, -0.5), (1.2, 2.7)])
@pytest.mark.parametrize('sigma', [0.6, 1.5, 4])
def test_noise_of_known_deviation_is_found(drift, sigma):
    before, after = (as_image(plane + noise(256, sigma, seed))[..., 0].astype(float)
                     for seed, plane in enumerate(scene(256, 6, (0, 0), drift)))
    after[:16], before[-64:, :64] = 255, 0  # a tenth of the picture changes otherwise
    rounded = math.hypot(sigma, math.sqrt(1 / 12))  # with the rounding to integers
    assert temporal_noise(before, after, find_drift(before, after)) == pytest.approx(rounded, rel=0.1)


def test_noise_of_a_brighter_frame_is_the_same():
    before, after = noise(64, 2, 0), 30 + noise(64, 2, 1)
    assert temporal_noise(before, after, (0, 0)) == pytest.approx(2, rel=0.1)


def clip(planes: list[np.ndarray], sigma: float, seed: int) -> list[np.ndarray]:
    return [as_image(plane + noise(len(plane), sigma, [seed, index])) for index, plane in enumerate(planes)]


@pytest.mark.parametrize('step', [(0, 0), (0.1, -0.1), (0.9, 0.45)])
def test_flicker_of_gt_and_more_noise(step):
    planes = scene(160, 7, *[(index * step[0], index * step[1]) for index in range(4)])
    gt = clip(planes, 1.0, 1)
    results = [as_image(frame[..., 0] + noise(160, 3.0, [2, index])) for index, frame in enumerate(gt)]
    found = flicker(results, gt)
    # the mean absolute difference of two Gaussians is 2 / sqrt(pi) deviations; rounding adds 1 / 12 of variance each
    assert found.gt == pytest.approx(2 / math.sqrt(math.pi) * math.sqrt(1 + 1 / 12), rel=0.08)
    assert found.result == pytest.approx(2 / math.sqrt(math.pi) * math.sqrt(1 + 9 + 2 / 12), rel=0.08)
    assert found.ratio == found.result / found.gt


def test_drift_alone_is_no_flicker():
    planes = scene(160, 8, *[(0.1 * index, 0.07 * index) for index in range(4)])
    gt = clip(planes, 0, 0)
    naive = np.abs(np.diff([frame.astype(float) for frame in gt], axis=0)).mean()
    found = flicker(gt, gt)
    assert found.ratio == 1 and found.gt < 0.5 < naive  # 0.3 to 0.4 is rounding


def test_what_moves_or_changes_brightness_in_gt_is_no_flicker():
    still = scene(96, 9, (0, 0))[0]
    gt, results = [], []
    for index in range(4):
        frame = still + 5 * index
        frame[20:28, 10 + 12 * index:26 + 12 * index] = 10
        gt.append(as_image(frame))
        results.append(as_image(frame))
        results[-1][20:28, 10 + 12 * index:26 + 12 * index] += np.uint8(90 * (index % 2))  # flickers with the vehicle
    found = flicker(results, gt)
    assert (found.result, found.gt) == (0, 0) and math.isnan(found.ratio)
    assert flicker(clip([still] * 4, 1, 0), [as_image(still)] * 4).ratio == math.inf


def test_flicker_needs_results_and_gt_that_belong_together():
    frames = [as_image(np.full((40, 48), 100.0))] * 3
    with pytest.raises(DataError, match='only 2 results'):
        flicker(frames[:2], frames)
    with pytest.raises(DataError, match='frame 0 of the results is 40x48 and of GT 48x40'):
        flicker([frame.transpose(1, 0, 2) for frame in frames], frames)
    with pytest.raises(DataError, match='no two consecutive frames'):
        flicker(frames[:1], frames[:1])
    with pytest.raises(DataError, match='frames of 48x20 are too small'):
        flicker([frame[:20] for frame in frames], [frame[:20] for frame in frames])
