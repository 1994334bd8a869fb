"""Finding the pictures of systems, ground truth and LR, and what is said where they are missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from comparison.figures.drawn_systems import draw_gt, make_systems

from satvsr_plugin.comparison.figures.gallery import Gallery
from satvsr_plugin.comparison.results import System
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError, OptionError


@pytest.fixture
def systems(tmp_path: Path) -> list[System]:
    return make_systems(tmp_path, {'Bicubic': lambda gt: gt // 2, 'Net': lambda gt: gt})


def test_the_first_clips_middle_frame_is_the_default(systems: list[System]) -> None:
    gallery = Gallery(systems)
    assert gallery.choose(None, None) == ('000', '01')
    assert gallery.choose('001', None) == ('001', '01')
    assert gallery.choose(None, '02') == ('000', '02')
    scene = gallery.scene('001', '02')
    assert list(scene.with_gt()) == ['Bicubic', 'Net', 'GT']
    np.testing.assert_array_equal(scene.pictures['Bicubic'], draw_gt('001', '02') // 2)
    np.testing.assert_array_equal(scene.gt, draw_gt('001', '02'))
    np.testing.assert_array_equal(gallery.low('001', '02'), downsample(draw_gt('001', '02'), 4))
    assert gallery.notes == []


def test_a_clip_or_frame_that_was_not_tested(systems: list[System]) -> None:
    with pytest.raises(OptionError, match="--clip '7': was not tested; there are 000, 001"):
        Gallery(systems).choose('7', None)
    with pytest.raises(OptionError, match="--frame, clip 001: '3': was not tested; there are 00, 01, 02"):
        Gallery(systems).choose('001', '3')


def test_a_row_of_all_frames_is_that_of_the_files(systems: list[System]) -> None:
    gallery = Gallery(systems)
    for name, divisor in (('Bicubic', 2), ('GT', 1)):
        row = gallery.row(name, '001', 40, slice(30, 70))
        expected = [draw_gt('001', frame)[40, 30:70] // divisor for frame in ('00', '01', '02')]
        np.testing.assert_array_equal(row, expected)


def test_systems_without_pictures_are_named_with_the_remedy(tmp_path: Path) -> None:
    systems = make_systems(tmp_path, {'Bicubic': None, 'Net': lambda gt: gt, 'Other': lambda gt: gt})
    lost = systems[2].folder / 'visualization' / 'Drawn' / '001' / '00_x.png'
    lost.unlink()
    gallery = Gallery(systems)
    assert list(gallery.systems) == ['Net']
    assert gallery.notes == [
        'not in the pictures: Bicubic saved none; test it again with val.save_img: true',
        f'not in the pictures: Other lacks {lost}; test it again with val.save_img: true']


def test_ground_truth_that_was_moved_away(systems: list[System], tmp_path: Path) -> None:
    moved = (tmp_path / 'GT').rename(tmp_path / 'elsewhere')
    gallery = Gallery(systems)
    assert gallery.gt is None
    assert gallery.scene('000', '00').gt is None
    assert 'add it by --gt FOLDER' in gallery.notes[0]
    assert list(gallery.scene('000', '00').with_gt()) == ['Bicubic', 'Net']
    found = Gallery(systems, moved)
    assert found.notes == []
    np.testing.assert_array_equal(found.scene('000', '00').gt, draw_gt('000', '00'))


def test_a_wrong_folder_of_ground_truth_is_an_error(systems: list[System], tmp_path: Path) -> None:
    with pytest.raises(DataError, match='none'):
        Gallery(systems, tmp_path / 'none')
    write_image(tmp_path / 'other' / '000' / '77.png', draw_gt('000', '00'))
    with pytest.raises(DataError, match=r'other: no frame 000/00.png and 5 others; give the folder that holds'):
        Gallery(systems, tmp_path / 'other')


def test_lr_that_was_moved_away(systems: list[System], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / 'LR4x')
    gallery = Gallery(systems)
    assert gallery.low('000', '00') is None
    assert 'the page does not show the LR frames' in gallery.notes[0]


def test_pictures_of_different_size_or_depth(systems: list[System]) -> None:
    picture = systems[1].folder / 'visualization' / 'Drawn' / '000' / '01_x.png'
    write_image(picture, draw_gt('000', '01')[:, :-4])
    gallery = Gallery(systems)
    with pytest.raises(DataError, match=r'clip 000, frame 01: Net has \(64, 76, 3\) uint8, Bicubic has \(64, 80, 3\)'):
        gallery.scene('000', '01')
    with pytest.raises(DataError, match='Net: clip 000, frame 01: its picture is smaller'):
        gallery.row('Net', '000', 40, slice(30, 80))
    picture.write_bytes(b'not a picture')
    with pytest.raises(DataError, match='01_x.png: not a readable image'):
        gallery.scene('000', '01')


def test_white_is_the_same_in_all_frames_of_a_clip(tmp_path: Path) -> None:
    def dim(clip: str, frame: str) -> np.ndarray:
        return np.full((16, 16, 1), 1000 * (int(clip) + 1) + int(frame), np.uint16)

    gallery = Gallery(make_systems(tmp_path, {'Net': lambda gt: gt}, gt=dim))
    assert (gallery.peak('000'), gallery.peak('001')) == (1001, 2001)  # the middle frame's maximum
