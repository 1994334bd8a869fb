"""Finding one frame in the pictures of several systems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_results import draw_gt

from satvsr_plugin.comparison.results import read_systems
from satvsr_plugin.comparison.scene import Pictures, find_pictures, load_scene
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError


@pytest.fixture
def pictures(results: list[Path]) -> dict[str, Pictures]:
    dataset, systems = read_systems(results)
    return {system.name: find_pictures(system, dataset) for system in systems}


def test_frames_are_named_without_the_experiment_or_the_suffix(pictures: dict[str, Pictures]) -> None:
    for name, label in (('Bicubic', 'Bicubic'), ('Net', 'x4')):
        found = {clip: {frame: path.name for frame, path in files.items()} for clip, files in pictures[name].items()}
        expected = {frame: f'{frame}_{label}.png' for frame in ('00', '01', '02')}
        assert found == {'000': expected, '001': expected}


def test_frames_whose_own_names_have_underscores(results: list[Path]) -> None:
    for path in (results[1] / 'visualization' / 'Drawn' / '000').iterdir():
        path.rename(path.with_name(f'img_{path.name}'))
    dataset, systems = read_systems(results)
    assert list(find_pictures(systems[1], dataset)['000']) == ['img_00', 'img_01', 'img_02']


def test_a_single_picture_is_named_without_the_experiment(results: list[Path]) -> None:
    first, *others = sorted((results[0] / 'visualization' / 'Drawn' / '000').iterdir())
    first.rename(first.with_name('img_00_Bicubic.png'))
    for path in others:
        path.unlink()
    dataset, systems = read_systems(results)
    assert list(find_pictures(systems[0], dataset)['000']) == ['img_00']


def test_the_first_clips_middle_frame_is_the_default(pictures: dict[str, Pictures], gt_folder: Path) -> None:
    scene = load_scene(pictures, gt_folder)
    assert (scene.clip, scene.frame) == ('000', '01')
    assert list(scene.pictures) == ['Bicubic', 'Net']
    np.testing.assert_array_equal(scene.gt, draw_gt('000', '01'))
    np.testing.assert_array_equal(scene.pictures['Net'], scene.gt)


def test_only_what_all_systems_have_is_shown(pictures: dict[str, Pictures]) -> None:
    del pictures['Bicubic']['000'], pictures['Net']['001']['00'], pictures['Net']['001']['01']
    scene = load_scene(pictures)
    assert (scene.clip, scene.frame, scene.gt) == ('001', '02', None)
    with pytest.raises(DataError, match="clip '000': not every system has a picture of it; they share 001"):
        load_scene(pictures, clip='000')
    with pytest.raises(DataError, match="clip 001: frame '00': not every system .* they share 02"):
        load_scene(pictures, clip='001', frame='00')
    del pictures['Net']['001']['02']
    with pytest.raises(DataError, match='clip 001: frame: there is none that every system has'):
        load_scene(pictures)


def test_a_clip_and_a_frame_can_be_chosen(pictures: dict[str, Pictures]) -> None:
    scene = load_scene(pictures, clip='001', frame='00')
    np.testing.assert_array_equal(scene.pictures['Net'], draw_gt('001', '00'))


def test_missing_ground_truth(pictures: dict[str, Pictures], gt_folder: Path) -> None:
    (gt_folder / '000' / '01.png').unlink()
    with pytest.raises(DataError, match='GT: no ground truth 000/01.png; --gt takes the folder that holds the clips'):
        load_scene(pictures, gt_folder)


def test_pictures_of_different_size_or_depth(pictures: dict[str, Pictures], gt_folder: Path) -> None:
    write_image(pictures['Net']['000']['01'], draw_gt('000', '01')[:, :-4])
    with pytest.raises(DataError, match=r'clip 000, frame 01: Net has \(64, 76, 3\) uint8, Bicubic has \(64, 80, 3\)'):
        load_scene(pictures)
    write_image(gt_folder / '001' / '01.png', draw_gt('001', '01').astype(np.uint16) * 257)
    with pytest.raises(DataError, match='clip 001, frame 01: Bicubic has .* uint8, GT has .* uint16'):
        load_scene(pictures, gt_folder, clip='001')


def test_an_unreadable_picture(pictures: dict[str, Pictures]) -> None:
    pictures['Net']['000']['01'].write_bytes(b'not a picture')
    with pytest.raises(DataError, match='01_x4.png: not a readable image'):
        load_scene(pictures)
