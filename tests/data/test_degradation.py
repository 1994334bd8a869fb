"""The degradation equals the authors' frames, and an exact computation with fractions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from satvsr_plugin.data.degradation import crop_to_multiple, downsample, shrink, upsample
from satvsr_plugin.data.degradation_taps import Taps, as_blocks, chained, gaussian_taps, resample
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError
from satvsr_plugin.ops.resize import bicubic_taps


def test_lr_of_real_frames_is_the_authors_bit_for_bit(shared_dir: Path) -> None:
    frames = sorted((shared_dir / 'data' / 'jilin1_clip' / 'GT' / '000').glob('*.png'))
    assert len(frames) == 7
    for frame in frames:
        expected = read_image(shared_dir / 'data' / 'jilin1_clip' / 'LR4x' / '000' / frame.name)
        np.testing.assert_array_equal(downsample(read_image(frame), 4), expected, err_msg=frame.name)


@pytest.mark.parametrize(
    ('scale', 'column', 'weights'),
    [
        # Keys' kernel (a = -0.5), widened by 2, at 3.5, 1.5, -0.5 and -2.5 px, in 256ths
        (2, 8, {2: -3, 3: 29, 4: 111, 5: -9}),
        # widened by 3, at 4, 1, -2 and -5 px, in 81sts
        (3, 14, {3: -2, 4: 21, 5: 9, 6: -1}),
    ],
)
def test_weights_are_the_kernel_worked_out_by_hand(scale: int, column: int, weights: dict[int, int]) -> None:
    unit = {2: 256, 3: 81}[scale]
    gt = np.full((12, 36, 1), 30000, np.uint16)
    gt[:, column] += 100 * unit
    change = downsample(gt, scale)[0, :, 0].astype(int) - 30000
    assert {int(i): int(change[i]) // 100 for i in np.flatnonzero(change)} == weights


def test_halves_are_rounded_up() -> None:
    gt = np.full((4, 16, 1), 100, np.uint8)
    gt[:, 8] += 128  # 128 / 256 of the weights above: 98.5, 114.5, 155.5, 95.5
    assert downsample(gt, 2)[0, 2:6, 0].tolist() == [99, 115, 156, 96]


def keys(x: Fraction) -> Fraction:
    x = abs(x)
    if x >= 2:
        return Fraction(0)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2


def exact_weights(size: int, ratio: Fraction) -> list[dict[int, Fraction]]:
    """Weights of the input samples for every output sample; ratio is output over input.

    Borders are replicated when shrinking and mirrored when enlarging.
    """
    order = [*range(size), *range(size - 1, -1, -1)]
    stretch = min(ratio, Fraction(1))
    rows = []
    for out in range(int(size * ratio)):
        centre = (out + Fraction(1, 2)) / ratio - Fraction(1, 2)
        row: dict[int, Fraction] = {}
        for tap in range(-20, size + 20):
            index = min(max(tap, 0), size - 1) if ratio < 1 else order[tap % (2 * size)]
            row[index] = row.get(index, Fraction(0)) + stretch * keys(stretch * (centre - tap))
        assert sum(row.values()) == 1
        rows.append({index: weight for index, weight in row.items() if weight})
    return rows


def exact_resize(image: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Resize (h, w) with fractions, rounded half up."""
    down, across = (exact_weights(size, ratio) for size in image.shape)
    values = [
        [sum(wy * wx * int(image[y, x]) for y, wy in row.items() for x, wx in column.items()) for column in across]
        for row in down
    ]
    top = np.iinfo(image.dtype).max
    return np.array([[min(max((v + Fraction(1, 2)).__floor__(), 0), top) for v in row] for row in values], image.dtype)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_both_directions_equal_exact_arithmetic(scale: int, dtype: type) -> None:
    rng = np.random.default_rng(scale)
    image = rng.integers(0, np.iinfo(dtype).max, (24, 48), dtype, endpoint=True)
    image[:8, :20], image[8:16, 10:30] = 0, np.iinfo(dtype).max  # edges that overshoot have to be clipped
    np.testing.assert_array_equal(downsample(image[..., None], scale)[..., 0], exact_resize(image, Fraction(1, scale)))
    small = np.ascontiguousarray(image[6:11, 8:14])
    np.testing.assert_array_equal(upsample(small[..., None], scale)[..., 0], exact_resize(small, Fraction(scale)))


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_bands_are_independent_and_constants_stay(scale: int) -> None:
    colour = np.array([0, 1, 77, 254, 255], np.uint8)
    gt = np.broadcast_to(colour, (5 * scale, 3 * scale, 5))
    lr = downsample(gt, scale)
    assert lr.shape == (5, 3, 5)
    assert np.all(lr == colour)
    assert np.all(upsample(lr, scale) == colour)


def test_a_size_that_does_not_fit_says_what_to_crop_to() -> None:
    gt = np.zeros((642, 481, 3), np.uint8)
    with pytest.raises(DataError, match=r'481x642.*scale 4.*480x640'):
        downsample(gt, 4)
    assert crop_to_multiple(gt, 4).shape == (640, 480, 3)
    with pytest.raises(DataError, match='too few'):
        downsample(np.zeros((8, 3, 3), np.uint8), 4)


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_no_order_of_the_sums_can_change_a_rounding(scale: int) -> None:
    """What the module's docstring claims: the results are multiples of a unit that keeps clear of halves."""
    units = 81 if scale == 3 else 65536  # of a weight, along one axis
    for ratio, mirror in ((1 / scale, False), (scale, True)):
        weights = bicubic_taps(96, round(96 * ratio), ratio, mirror)[1] * units
        assert np.abs(weights - np.round(weights)).max() < (1e-11 if scale == 3 else 1e-300)
        largest = 65535 * np.abs(weights / units).sum(axis=1).max() ** 2
        assert (largest * units**2 < 2**53) if units % 2 == 0 else (largest * 1e-13 < 1 / (2 * units**2))


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_blur_with_decimation_is_the_toolboxs_of_duf(scale: int) -> None:
    from basicsr.data.data_util import duf_downsample

    gt = np.random.default_rng(scale).integers(0, 256, (12 * scale, 9 * scale, 3), np.uint8)
    clip = torch.from_numpy(gt.transpose(2, 0, 1)[None] / np.float32(255))  # (1, c, h, w)
    expected = duf_downsample(clip, kernel_size=13, scale=scale)[0].numpy().transpose(1, 2, 0) * 255
    np.testing.assert_allclose(shrink(gt, scale, 'bd', 0.4 * scale), expected, atol=1e-3)


def test_decimation_takes_the_first_pixel_of_every_block() -> None:
    gt = np.arange(2 * 12 * 8 * 3, dtype=np.uint16).reshape(12, 16, 3)
    np.testing.assert_array_equal(shrink(gt, 4, 'bd', 0.0, np.uint16), gt[::4, ::4])


@pytest.mark.parametrize('sigma', [0.5, 1.2, 2.0, 5.0])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_blurs_before_either_kind(sigma: float, dtype: type) -> None:
    """The blur against SciPy's, and bicubic of it against the dense matrices of the exact weights."""
    gt = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (24, 48, 3), dtype, endpoint=True)
    blurred = gaussian_filter1d(gaussian_filter1d(gt.astype(float), sigma, 0, mode='mirror'), sigma, 1, mode='mirror')
    np.testing.assert_allclose(shrink(gt, 4, 'bd', sigma), blurred[::4, ::4], rtol=1e-12)
    down, across = (np.array([[float(row.get(i, 0)) for i in range(size)]
                              for row in exact_weights(size, Fraction(1, 4))]) for size in (24, 48))
    expected = np.einsum('yh,xw,hwc->yxc', down, across, blurred)
    np.testing.assert_allclose(shrink(gt, 4, 'bicubic', sigma), expected, rtol=1e-9, atol=1e-9)
    whole = np.clip(np.floor(expected + 0.5), 0, np.iinfo(dtype).max)
    np.testing.assert_array_equal(shrink(gt, 4, 'bicubic', sigma, dtype), whole)


@pytest.mark.parametrize('size', [1, 2, 3, 7, 200])
def test_taps_at_any_size(size: int) -> None:
    """Frames smaller than the kernel, sizes that fill no block, and rows unlike columns."""
    image = np.random.default_rng(size).random((size, 19, 2))
    rows = chained(gaussian_taps(size, 3.0), Taps(*bicubic_taps(size, size * 2, 2, mirror=True)))
    expected = gaussian_filter1d(image, 3.0, 0, mode='mirror') if size > 1 else image
    indices, weights = bicubic_taps(size, size * 2, 2, mirror=True)
    expected = np.einsum('ik,ikwc->iwc', weights, expected[indices])[:, ::3]
    columns = as_blocks(gaussian_taps(19, 0.0, step=3))
    np.testing.assert_allclose(resample(image, as_blocks(rows), columns), expected, atol=1e-12)
