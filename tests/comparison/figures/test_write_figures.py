"""All figures of a comparison, from result folders to files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from comparison.figures.drawn_systems import draw_gt, make_systems

from satvsr_plugin.comparison.cost import Cost
from satvsr_plugin.comparison.figures import Crop, FigureChoice, write_figures
from satvsr_plugin.comparison.figures.canvas import GAP, LINE
from satvsr_plugin.comparison.results import System
from satvsr_plugin.data.clips import open_clips
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError, OptionError

COSTS = {'Bicubic': Cost(0, 0, 0, None, 2.0, None, (16, 20), 'a machine'),
         'Net': Cost(2_000_000, 2_000_000, 0, None, 30.0, None, (16, 20), 'a machine')}
NAMES = ['comparison.png', 'comparison_slice.png', 'comparison_frames.png', 'comparison_cost.png']


@pytest.fixture
def systems(tmp_path: Path) -> list[System]:
    return make_systems(tmp_path, {'Bicubic': lambda gt: cv2.blur(gt, (5, 5)), 'Net': lambda gt: gt})


def test_all_figures_are_written(systems: list[System], tmp_path: Path) -> None:
    output = tmp_path / 'new' / 'out'
    figures = write_figures(systems, COSTS, output, FigureChoice())
    assert [path.name for path in figures.files] == NAMES
    assert sorted(output.iterdir()) == sorted(figures.files)
    assert all(read_image(path).shape[2] >= 3 for path in figures.files)
    assert figures.notes == []
    assert [drawing.svg is None for drawing in figures.drawings] == [True, True, False, False]
    assert figures.drawings[0].caption.startswith('Clip 000, frame 01: the 48x48 pixels')
    assert 'measured on a machine' in figures.drawings[3].caption


def test_frame_crop_and_row_can_be_chosen(systems: list[System], tmp_path: Path) -> None:
    choice = FigureChoice('001', '02', Crop(8, 4, 40), row=50)
    figures = write_figures(systems, COSTS, tmp_path, choice)
    crops = read_image(figures.files[0])
    gt = crops[GAP:GAP + 240, -GAP - 240:-GAP]
    np.testing.assert_array_equal(gt[::6, ::6], Crop(8, 4, 40).of(draw_gt('001', '02')))
    slices = read_image(figures.files[1])
    left = slices.shape[1] - GAP - 960  # 80 columns, 12 times
    strip = slices[GAP + LINE + GAP:][:48, left:-GAP]  # three frames, 16 times
    expected = [cv2.blur(draw_gt('001', frame), (5, 5))[50] for frame in ('00', '01', '02')]
    np.testing.assert_array_equal(strip[8::16, 6::12], expected)
    assert 'Clip 001: row 50 of all 3 frames' in figures.drawings[1].caption


def test_without_pictures_there_are_plots_only(tmp_path: Path) -> None:
    systems = make_systems(tmp_path, {'Bicubic': None, 'Net': None})
    figures = write_figures(systems, COSTS, tmp_path / 'out', FigureChoice())
    assert [path.name for path in figures.files] == NAMES[2:]
    assert figures.notes[-1] == 'no figure of crops and none of x-t slices: no system has saved pictures'
    with pytest.raises(DataError, match='no system has saved pictures to show a clip'):
        write_figures(systems, COSTS, tmp_path / 'chosen', FigureChoice(clip='000'))
    assert not (tmp_path / 'chosen').exists()


def test_without_ground_truth_and_costs(systems: list[System], tmp_path: Path) -> None:
    (tmp_path / 'GT').rename(tmp_path / 'elsewhere')
    figures = write_figures(systems, {}, tmp_path / 'out', FigureChoice())
    assert [path.name for path in figures.files] == NAMES[:3]
    assert 'no ground truth' in figures.notes[0]
    assert figures.notes[1] == 'no plot of PSNR against cost: the cost of no system is known'


def test_systems_without_cost_or_time_are_named(systems: list[System], tmp_path: Path) -> None:
    others = [System(name, systems[1].folder, systems[1].record) for name in ('Other', 'Third')]
    costs = {**COSTS, 'Third': Cost(1, 1, 0, None, None, None, (16, 20), '')}
    figures = write_figures([*systems, *others], costs, tmp_path / 'out', FigureChoice())
    assert figures.notes == ['not in the plot of PSNR against parameters, since the cost is not known: Other',
                             'not in the plot of PSNR against time, since it was not measured: Third']


@pytest.mark.parametrize(('choice', 'message'), [
    (FigureChoice(crop=Crop(70, 0, 40)), '--crop 70,0,40: not inside the picture of 80x64'),
    (FigureChoice(row=64), '--row 64: the pictures have the rows 0 to 63'),
    (FigureChoice(row=-1), '--row -1'),
    (FigureChoice(clip='9'), "--clip '9': was not tested"),
])  # fmt: skip
def test_a_choice_that_does_not_fit_writes_nothing(
    choice: FigureChoice, message: str, systems: list[System], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=message):
        write_figures(systems, COSTS, tmp_path / 'out', choice)
    assert not (tmp_path / 'out').exists()


def test_an_output_that_cannot_be_a_folder(systems: list[System], tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(DataError, match='cannot write'):
        write_figures(systems, COSTS, tmp_path / 'file', FigureChoice())


@pytest.mark.parametrize(('bands', 'dtype'), [(1, np.uint8), (4, np.uint16)])
def test_grey_and_four_bands_of_sixteen_bit(bands: int, dtype: type, tmp_path: Path) -> None:
    def gt(clip: str, frame: str) -> np.ndarray:
        rng = np.random.default_rng(int(frame))
        return rng.integers(0, 256 if dtype is np.uint8 else 4096, (64, 80, bands)).astype(dtype)

    systems = make_systems(tmp_path, {'Net': lambda picture: picture}, gt=gt)
    figures = write_figures(systems, {}, tmp_path / 'out', FigureChoice(crop=Crop(0, 0, 40)))
    shown = read_image(figures.files[0])[GAP:GAP + 240, -GAP - 240:-GAP][::6, ::6]
    source = gt('000', '01')
    expected = source[..., :3] if bands == 4 else source[..., [0, 0, 0]]
    peak = 255 if bands == 1 else source.max()
    assert np.abs(shown - expected[:40, :40] / peak * 255).max() <= 0.5


def test_real_frames(shared_dir: Path, tmp_path: Path) -> None:
    """The x-t slice of a real clip holds the real pixels."""
    folder = shared_dir / 'data' / 'jilin1_clip' / 'GT'
    source = open_clips(folder)
    frames = [Path(file).stem for file in source.clips['000'][:4]]
    systems = make_systems(tmp_path, {'Net': lambda gt: gt}, clips=['000'], frames=frames,
                           gt=lambda clip, frame: source.read(clip, f'{frame}.png'))
    figures = write_figures(systems, {}, tmp_path / 'out', FigureChoice(crop=Crop(300, 200, 80), row=230))
    slices = read_image(figures.files[1])
    left = slices.shape[1] - GAP - 960
    strip = slices[GAP + LINE + GAP:][:64, left:-GAP][8::16, 2::4]
    expected = [source.read('000', f'{frame}.png')[230, 220:460] for frame in frames]
    np.testing.assert_array_equal(strip, expected)
