"""The blind setting: what clips draw, and what blur, noise and compression do to a frame."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate, gaussian_filter

from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.degradation_blur import anisotropic_blur, gaussian_kernel
from satvsr_plugin.data.degradation_frame import compressed, degrade
from satvsr_plugin.data.degradation_options import Degradation, random_numbers
from satvsr_plugin.errors import OptionError


def random_image(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize(('options', 'message'), [
    ({'scale': 5}, 'scale is 5; it must be one of 2, 3, 4, 8'),
    ({'kind': 'nearest'}, 'kind is nearest; it must be one of bicubic, bd'),
    ({'seed': -1}, 'seed is -1'),
    ({'blur': (2.0, 1.0)}, 'blur is 2 to 1; the first must not be larger'),
    ({'blur': (-0.1, 1.0)}, 'must lie in 0 to 20'),
    ({'blur': (1.0, float('nan'))}, 'blur is 1 to nan'),
    ({'noise': (0.0, 101.0)}, 'noise is 0 to 101.*must lie in 0 to 100'),
    ({'jpeg': (0, 50)}, 'jpeg is 0 to 50.*must lie in 1 to 100'),
    ({'anisotropic': True}, 'anisotropic needs a blur of at least 0.5, not 0'),
])
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Degradation(**options)


def test_draws_never_change() -> None:
    """Whoever has a data set made with a seed can make it again with any later version."""
    drawn = Degradation(blur=(1.2, 2.0), anisotropic=True, noise=(0.0, 3.0), jpeg=(70, 95), seed=7).draw('harbour')
    assert drawn._asdict() == {'blur': 1.3705, 'across': 1.914, 'angle': 28.2393, 'noise': 2.7626, 'jpeg': 95}
    noise = random_numbers(7, 'harbour', '000').normal(0, 1, 3)
    np.testing.assert_allclose(noise, [1.07549424, -0.70799933, -1.385751], atol=1e-7)


def test_draws_fill_their_ranges_and_do_not_depend_on_each_other() -> None:
    clips = [f'{clip:03d}' for clip in range(400)]
    drawn = [Degradation(blur=(1.0, 2.0), noise=(0.0, 4.0), jpeg=(90, 92)).draw(clip) for clip in clips]
    blurs, noises = (np.array([getattr(values, name) for values in drawn]) for name in ('blur', 'noise'))
    for values, low, high in ((blurs, 1, 2), (noises, 0, 4)):
        assert low <= values.min() < low + 0.02 * (high - low) and high - 0.02 * (high - low) < values.max() <= high
    assert abs(np.corrcoef(blurs, noises)[0, 1]) < 0.15
    assert {jpeg: [values.jpeg for values in drawn].count(jpeg) > 100 for jpeg in (90, 91, 92)} == \
        dict.fromkeys((90, 91, 92), True)
    assert [Degradation(blur=(1.0, 2.0)).draw(clip).blur for clip in clips] == blurs.tolist()
    assert Degradation(blur=(1.0, 2.0), seed=1).draw('000').blur != blurs[0]
    turned = [Degradation(blur=(1.0, 2.0), anisotropic=True).draw(clip) for clip in clips]
    assert [values.blur for values in turned] == blurs.tolist()
    assert 0 <= min(values.angle for values in turned) < 5 and 175 < max(values.angle for values in turned) <= 180


def test_one_value_is_taken_as_it_is() -> None:
    assert Degradation(blur=(1 / 3, 1 / 3), noise=(2.0, 2.0), jpeg=(80, 80)).draw('a') == \
        (1 / 3, None, None, 2.0, 80)
    assert [Degradation(scale, 'bd').draw('a').blur for scale in (2, 3, 4, 8)] == [0.8, 1.2, 1.6, 3.2]
    assert Degradation(kind='bd', blur=(1.2, 1.2)).draw('a').blur == 1.2


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_the_default_is_the_authors_degradation(scale: int, dtype: type) -> None:
    gt = random_image(24, 48, 3, dtype=dtype)
    np.testing.assert_array_equal(degrade(gt, Degradation(scale), 'a', '0.png'), downsample(gt, scale))


@pytest.mark.parametrize(('dtype', 'level'), [(np.uint8, 1), (np.uint16, 257)])
def test_noise_has_the_strength_that_was_asked_for_and_is_new_in_every_frame(dtype: type, level: int) -> None:
    gt = np.full((256, 256, 3), 100 * level, dtype)
    noisy = Degradation(2, noise=(5.0, 5.0))
    first, again, second, other = (
        degrade(gt, noisy, clip, frame) - 100.0 * level
        for clip, frame in (('a', '0.png'), ('a', '0.tif'), ('a', '1.png'), ('b', '0.png')))
    np.testing.assert_array_equal(first, again)
    rounding = 1 / 12
    for noise in (first, second, other):
        assert abs(noise.mean()) < 0.1 * level
        assert noise.std() == pytest.approx(np.sqrt((5 * level) ** 2 + rounding), rel=0.01)
    samples = np.stack([first[..., 0], first[..., 1], second[..., 0], other[..., 0]]).reshape(4, -1)
    assert np.abs(np.corrcoef(samples) - np.eye(4)).max() < 0.03
    assert abs(np.corrcoef(first[:, 1:].ravel(), first[:, :-1].ravel())[0, 1]) < 0.03


def test_noise_comes_after_shrinking_and_before_the_one_rounding() -> None:
    gt = random_image(64, 64, 1)
    clean = degrade(gt, Degradation(4), 'a', '0.png').astype(int)
    slight = degrade(gt, Degradation(4, noise=(0.01, 0.01)), 'a', '0.png').astype(int)
    assert np.abs(slight - clean).max() <= 1
    assert 0 < (slight != clean).mean() < 0.05  # those that lay within 0.01 or so of a half


def test_compression_is_that_of_another_jpeg_library() -> None:
    rng = np.random.default_rng(0)
    image = np.clip(gaussian_filter(rng.normal(0, 300, (64, 80, 3)), (2, 2, 0)) + [150, 110, 70], 0, 255)
    image = image.astype(np.uint8)
    errors = []
    for quality in (20, 60, 95):
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'JPEG', quality=quality, subsampling='4:2:0')
        expected = np.asarray(Image.open(file)).astype(int)
        made = compressed(image, quality, 'a/0.png').astype(int)
        assert np.abs(made - expected).max() <= 2
        errors.append(np.abs(made - image).mean())
    assert errors == sorted(errors, reverse=True) and errors[0] > 2 * errors[2]


def test_compression_is_the_last_step() -> None:
    gt = random_image(64, 64, 3)
    noisy = degrade(gt, Degradation(2, 'bd', noise=(3.0, 3.0), seed=2), 'a', '0.png')
    made = degrade(gt, Degradation(2, 'bd', noise=(3.0, 3.0), jpeg=(50, 50), seed=2), 'a', '0.png')
    np.testing.assert_array_equal(made, compressed(noisy, 50, 'a/0.png'))
    grey = degrade(gt[..., :1], Degradation(2, jpeg=(90, 90)), 'a', '0.png')
    assert grey.shape == (32, 32, 1)


def test_an_anisotropic_blur_is_wider_along_its_angle() -> None:
    kernel = gaussian_kernel(3.0, 1.0, 30.0)
    radius = kernel.shape[0] // 2
    assert radius == 12 and kernel.sum() == pytest.approx(1)
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    moments = np.array([[(kernel * a * b).sum() for a in (right, -down)] for b in (right, -down)])
    cosine, sine = np.sqrt(0.75), 0.5
    turn = np.array([[cosine, -sine], [sine, cosine]])
    np.testing.assert_allclose(moments, turn @ np.diag([9.0, 1.0]) @ turn.T, rtol=0.01)
    np.testing.assert_allclose(gaussian_kernel(3.0, 1.0, 90.0), gaussian_kernel(3.0, 1.0, 0.0).T, atol=1e-15)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_anisotropic_blur_of_a_frame(dtype: type) -> None:
    gt = random_image(24, 32, 3, dtype=dtype)
    expected = np.stack([correlate(gt[..., band].astype(float), gaussian_kernel(2.0, 1.0, 50.0), mode='mirror')
                         for band in range(3)], axis=-1)
    np.testing.assert_allclose(anisotropic_blur(gt, 2.0, 1.0, 50.0), expected, rtol=1e-9)
    straight = anisotropic_blur(gt, 2.0, 1.0, 0.0)
    np.testing.assert_allclose(straight, gaussian_filter(gt.astype(float), (1.0, 2.0, 0), mode='mirror', radius=8),
                               rtol=1e-9)
    turned = Degradation(4, 'bd', blur=(1.0, 2.0), anisotropic=True)
    drawn = turned.draw('a')
    values = anisotropic_blur(gt, drawn.blur, drawn.across, drawn.angle)[::4, ::4]
    np.testing.assert_array_equal(degrade(gt, turned, 'a', '0.png'), np.floor(values + 0.5))
