"""The automatic crop, and what stands where in the figure of crops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from comparison.figures.drawn_systems import draw_gt

from satvsr_plugin.comparison.figures import canvas
from satvsr_plugin.comparison.figures.crop import Crop, choose_crop
from satvsr_plugin.comparison.figures.crops import draw_crops
from satvsr_plugin.comparison.figures.palette import styles
from satvsr_plugin.comparison.figures.pixels import peak_of
from satvsr_plugin.comparison.figures.scene import Scene
from satvsr_plugin.errors import OptionError

GAP, LINE = canvas.GAP, canvas.LINE


def textured_scene(gains_at: tuple[slice, slice], flat: tuple[slice, slice]) -> Scene:
    """Two systems on a 400x400 noise picture with a flat part; the second is right where the first is wrong."""
    gt = np.random.default_rng(5).integers(60, 200, (400, 400, 1), dtype=np.uint8)
    gt[flat] = 120
    baseline = gt.copy()
    baseline[gains_at] += 10
    baseline[flat] += 50
    return Scene('000', '00', {'base': baseline, 'best': gt.copy()}, gt)


def draw(scene: Scene, crop: Crop, **captions: str) -> np.ndarray:
    return draw_crops(scene, crop, peak_of(scene.reference), captions, styles(list(scene.pictures)))


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
    figure = draw(scene, crop)
    tile = 6 * 40  # the factor that brings 40 pixels to 240
    left = figure.shape[1] - GAP - 3 * tile - 2 * GAP
    for number, picture in enumerate([*scene.pictures.values(), gt]):
        x = left + number * (tile + GAP)
        shown = figure[GAP:GAP + tile, x:x + tile]
        np.testing.assert_array_equal(shown[3::6, 3::6], crop.of(picture))
        np.testing.assert_array_equal(shown[::6, ::6], shown[5::6, 5::6])
    scale = (360 - 2 * LINE) / 64  # of the whole frame: the least height, less two lines of text
    outline = np.all(figure == (230, 30, 30), axis=2)
    for axis, first in ((1, 20), (0, 30)):
        places = np.flatnonzero(outline.any(axis=axis)) - GAP
        assert (places[0] + 1, places[-1] - 1) == (int(first * scale), int((first + 39) * scale))  # the line is 3 wide


@pytest.mark.parametrize(('systems', 'rows', 'columns'), [(2, 1, 3), (5, 2, 3), (10, 3, 4)])
def test_many_tiles_take_two_or_three_rows_and_gt_is_the_last(systems: int, rows: int, columns: int) -> None:
    gt = np.full((64, 64, 3), 200, np.uint8)
    scene = Scene('000', '00', {f's{i}': np.full((64, 64, 3), i, np.uint8) for i in range(systems)}, gt)
    figure = draw(scene, Crop(0, 0, 60))
    tile = 240
    left, step = figure.shape[1] - columns * (tile + GAP), tile + 2 * LINE + GAP
    for number, expected in enumerate([*range(systems), 200]):
        y, x = GAP + number // columns * step, left + number % columns * (tile + GAP)
        assert (figure[y:y + tile, x:x + tile] == expected).all()
    assert figure.shape[0] == max(rows * step - GAP, 360) + 2 * GAP


def test_captions_and_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(canvas, 'write', lambda _paper, text, *_rest: drawn.append(text))
    gt = np.full((64, 64, 3), 100, np.uint8)
    scene = Scene('007', '31', {'base': gt, 'net': gt}, gt)
    look = styles(['other', 'base', 'net'])
    figure = draw_crops(scene, Crop(0, 0, 40), 255, {'base': '39.94 dB', 'net': '40.00 dB'}, look, 'PSNR (Y)')
    assert [text for text in drawn if text] == ['base', '39.94 dB', 'net', '40.00 dB', 'GT', 'clip 007, frame 31',
                                                'PSNR (Y)']
    left = figure.shape[1] - 3 * (240 + GAP)
    assert [tuple(figure[GAP + 241, left + i * (240 + GAP)]) for i in range(3)] == [
        look['base'].rgb, look['net'].rgb, (255, 255, 255)]


@pytest.mark.parametrize('bands', [1, 2, 4])
def test_any_number_of_bands_and_sixteen_bit(bands: int) -> None:
    """12 bit data fill the figure's range, by the reference's maximum; two bands show the first as grey."""
    gt = np.random.default_rng(1).integers(0, 4096, (60, 60, bands), dtype=np.uint16)
    gt[0, 0] = 4095
    figure = draw(Scene('000', '00', {'base': gt}, gt), Crop(0, 0, 60))
    shown = figure[GAP:GAP + 240, -GAP - 240:-GAP][2::4, 2::4]
    expected = gt[..., :3] if bands == 4 else gt[..., [0, 0, 0]]
    assert np.abs(shown - expected / 4095 * 255).max() <= 0.5


def test_long_and_foreign_names_are_written_without_running_over() -> None:
    tile = np.zeros((20, 120, 3), np.uint8)
    for name in ('a name that is far too long for its tile', 'Größe_ω', 'x' * 200):
        caption = canvas.with_caption(tile, [name])[20:]
        dark = caption.min(axis=2) < 128
        assert dark.any()
        assert not dark[:, [0, -1]].any()


def test_the_overview_is_of_the_reference() -> None:
    gt, result = np.full((64, 64, 3), 50, np.uint8), np.full((64, 64, 3), 150, np.uint8)
    for scene, expected in ((Scene('0', '0', {'a': result}, gt), 50), (Scene('0', '0', {'a': result}, None), 150)):
        assert tuple(draw(scene, Crop(30, 30, 20))[GAP + 5, GAP + 5]) == (expected,) * 3
