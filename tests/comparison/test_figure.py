"""The automatic crop, and what stands where in the figure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from small_results import draw_gt

from satvsr_plugin.comparison.crop import Crop, choose_crop
from satvsr_plugin.comparison.figure import draw_figure
from satvsr_plugin.comparison.scene import Scene
from satvsr_plugin.errors import OptionError

GAP, LINE = 12, 24


def textured_scene(gains_at: tuple[slice, slice], flat: tuple[slice, slice]) -> Scene:
    """Two systems on a 400x400 noise picture with a flat part; the second is right where the first is wrong."""
    gt = np.random.default_rng(5).integers(60, 200, (400, 400, 1), dtype=np.uint8)
    gt[flat] = 120
    baseline = gt.copy()
    baseline[gains_at] += 10
    baseline[flat] += 50
    return Scene('000', '00', {'base': baseline, 'best': gt.copy()}, gt)


def test_the_crop_is_where_the_gain_is_largest_but_not_where_it_is_flat() -> None:
    scene = textured_scene((slice(200, 250), slice(300, 350)), flat=(slice(0, 120), slice(0, 120)))
    assert choose_crop(scene, best='best') == Crop(300, 200, 50)
    # without ground truth the two systems' difference decides
    assert choose_crop(Scene('000', '00', scene.pictures, None), best='best') == Crop(300, 200, 50)


def test_an_error_that_both_systems_share_does_not_draw_the_crop() -> None:
    scene = textured_scene((slice(200, 250), slice(300, 350)), flat=(slice(0, 120), slice(0, 120)))
    for picture in scene.pictures.values():
        picture[340:390, 20:70] += 40
    assert choose_crop(scene, best='best') == Crop(300, 200, 50)


def test_with_the_baseline_alone_its_error_or_else_the_texture_decides() -> None:
    scene = textured_scene((slice(200, 250), slice(300, 350)), flat=(slice(0, 120), slice(0, 120)))
    alone = {'base': scene.pictures['base']}
    assert choose_crop(Scene('000', '00', alone, scene.gt), best='base') == Crop(300, 200, 50)
    picture = np.full((400, 400, 1), 90, np.uint8)
    picture[150:200, 40:90] = np.random.default_rng(5).choice([0, 255], (50, 50, 1))
    assert choose_crop(Scene('000', '00', {'base': picture}, None), best='base') == Crop(40, 150, 50)


def test_a_crop_of_a_picture_smaller_than_a_crop_is_the_whole() -> None:
    picture = np.zeros((30, 20, 3), np.uint8)
    assert choose_crop(Scene('000', '00', {'base': picture}, None), best='base').size == 20


@pytest.mark.parametrize('crop', [Crop(-1, 0, 8), Crop(0, 0, 0), Crop(73, 0, 8), Crop(0, 57, 8)])
def test_a_crop_outside_the_picture(crop: Crop) -> None:
    with pytest.raises(OptionError, match='not inside the picture of 80x64 pixels'):
        crop.check(draw_gt('000', '00'))
    Crop(72, 56, 8).check(draw_gt('000', '00'))


def test_every_crop_is_enlarged_pixel_by_pixel_beside_the_whole_frame() -> None:
    gt = draw_gt('000', '00')
    scene = Scene('000', '00', {'base': cv2.blur(gt, (3, 3)), 'net': gt // 2}, gt)
    crop = Crop(30, 20, 40)
    figure = draw_figure(scene, crop)
    tile = 8 * 40  # the factor that brings 40 pixels to 320
    whole = (tile * 80 // 64, tile)  # as high as a tile
    assert figure.shape == (tile + 2 * LINE + 2 * GAP, whole[0] + 3 * tile + 5 * GAP, 3)
    for number, picture in enumerate([*scene.pictures.values(), gt]):
        x = GAP + whole[0] + GAP + number * (tile + GAP)
        shown = figure[GAP : GAP + tile, x : x + tile]
        np.testing.assert_array_equal(shown[4::8, 4::8], crop.of(picture))
        np.testing.assert_array_equal(shown[::8, ::8], shown[7::8, 7::8])
    outline = np.all(figure == (230, 30, 30), axis=2)
    rows, columns = np.flatnonzero(outline.any(axis=1)), np.flatnonzero(outline.any(axis=0))
    edges = [(rows[0] + 1, 20), (rows[-1] - 1, 59), (columns[0] + 1, 30), (columns[-1] - 1, 69)]  # 2 pixels thick
    assert [round((edge - GAP) / 5) for edge, _ in edges] == [expected for _, expected in edges]


def test_more_than_three_tiles_take_two_rows() -> None:
    gt = draw_gt('000', '00')
    scene = Scene('000', '00', {name: gt for name in 'abcd'}, gt)
    figure = draw_figure(scene, Crop(0, 0, 64))
    tile, caption = 5 * 64, 2 * LINE
    height = 2 * (tile + caption) + GAP
    whole = round(80 * (height - caption) / 64)
    assert figure.shape == (height + 2 * GAP, whole + GAP + 3 * tile + 2 * GAP + 2 * GAP, 3)


def test_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(cv2, 'putText', lambda _canvas, text, *_rest: drawn.append(text))
    gt = np.full((64, 64, 3), 100, np.uint8)
    red_is_wrong = gt.copy()
    red_is_wrong[..., 0] += 10  # Y moves by 10 * 65.481 / 255
    draw_figure(Scene('007', '31', {'base': red_is_wrong, 'net': gt}, gt), Crop(0, 0, 32))
    assert [text for text in drawn if text] == [
        'base', '39.94 dB', 'net', 'inf dB', 'GT', 'clip 007, frame 31', 'dB: PSNR (Y) of the whole frame',
    ]  # fmt: skip
    drawn.clear()
    draw_figure(Scene('007', '31', {'base': red_is_wrong, 'net': gt}, None), Crop(0, 0, 32))
    assert [text for text in drawn if text] == ['base', 'net', 'clip 007, frame 31']


@pytest.mark.parametrize('bands', [1, 2, 5])
def test_any_number_of_bands_and_sixteen_bit(bands: int) -> None:
    """12 bit data fill the figure's range, by the reference's maximum; two bands show the first as grey."""
    gt = np.random.default_rng(1).integers(0, 4096, (64, 64, bands), dtype=np.uint16)
    gt[0, 0] = 4095
    figure = draw_figure(Scene('000', '00', {'base': gt}, gt), Crop(0, 0, 64))
    shown = figure[GAP : GAP + 320, -GAP - 320 : -GAP][2::5, 2::5]
    expected = gt[..., :3] if bands == 5 else gt[..., [0, 0, 0]]
    assert np.abs(shown - expected / 4095 * 255).max() <= 0.5
