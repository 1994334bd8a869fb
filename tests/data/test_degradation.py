"""The degradation equals the authors' frames, and an exact computation with fractions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.degradation import crop_to_multiple, downsample, upsample
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError


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
