"""The whole comparison, through the script."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path

import pytest
from small_results import FRAMES

from satvsr_plugin.comparison import Crop
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError, OptionError

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'compare_models.py'


def run(*arguments: object) -> None:
    runpy.run_path(str(SCRIPT))['main']([str(argument) for argument in arguments])


def test_table_page_and_figure(
    results: list[Path], gt_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / 'new' / 'comparison'
    run(*results, '--names', 'Bicubic', 'Network', '--gt', gt_folder, '--output', output)
    printed = capsys.readouterr().out.splitlines()
    assert printed[4].split() == ['average', '6', '30.75', '0.8906', '31.69', '+0.94', '0.9150']
    files = [output / f'comparison.{suffix}' for suffix in ('md', 'csv', 'png')]
    assert printed[-3:] == [f'written: {path}' for path in files]
    assert sorted(output.iterdir()) == sorted(files)

    page = files[0].read_text()
    assert page.startswith('# Comparison on Drawn\n\n| clip | frames | Bicubic psnr |')
    assert 'gain: psnr over Bicubic.' in page
    assert page.endswith('![clip 000, frame 01](comparison.png)\n')
    assert next(csv.DictReader(files[1].open()))['Network gain'] == '2.125000'
    assert read_image(files[2]).shape[2] == 3


def test_the_figures_frame_and_crop_can_be_chosen(results: list[Path], gt_folder: Path, tmp_path: Path) -> None:
    options = ['--gt', gt_folder, '--clip', '001', '--frame', '02', '--crop', '8,4,40']
    run(*results, *options, '--output', tmp_path)
    gt = read_image(gt_folder / '001' / '02.png')
    figure = read_image(tmp_path / 'comparison.png')
    last_tile = figure[12 : 12 + 320, -12 - 320 : -12]
    assert (last_tile[::8, ::8] == Crop(8, 4, 40).of(gt)).all()


def test_without_ground_truth_the_figure_says_so(
    results: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*results, '--output', tmp_path)
    assert 'note: the figure has no ground truth and no PSNR; add it by --gt FOLDER' in capsys.readouterr().out
    assert (tmp_path / 'comparison.png').is_file()


def test_a_system_without_pictures_is_left_out_of_the_figure(
    results: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results[1] / 'visualization').rename(tmp_path / 'elsewhere')
    run(*results, '--output', tmp_path)
    assert 'note: not in the figure: Net has saved no pictures of Drawn' in capsys.readouterr().out
    assert (tmp_path / 'comparison.png').is_file()


def test_without_pictures_there_is_a_table_and_no_figure(
    results: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in results:
        (folder / 'visualization').rename(tmp_path / folder.name)
    run(*results, '--output', tmp_path / 'out')
    assert 'note: no figure: no system has saved pictures of Drawn' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['comparison.csv', 'comparison.md']
    assert 'comparison.png' not in (tmp_path / 'out' / 'comparison.md').read_text()
    with pytest.raises(DataError, match='no system has saved pictures of Drawn to draw the figure from'):
        run(*results, '--output', tmp_path / 'out', '--clip', '000')


def test_wrong_input_writes_nothing(results: list[Path], tmp_path: Path) -> None:
    output = tmp_path / 'out'
    with pytest.raises(OptionError, match='--crop 70,0,40: not inside the picture of 80x64'):
        run(*results, '--output', output, '--crop', '70,0,40')
    for frame in FRAMES:
        (results[1] / 'visualization' / 'Drawn' / '000' / f'{frame}_x4.png').write_bytes(b'')
    with pytest.raises(DataError, match='not a readable image'):
        run(*results, '--output', output)
    assert not output.exists()


def test_an_output_that_cannot_be_a_folder(results: list[Path], tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(DataError, match='cannot write'):
        run(*results, '--output', tmp_path / 'file')


def test_wrong_input_ends_the_script_with_one_line_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), str(tmp_path / 'none'), '--output', str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name='__main__')
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path / "none"}: no such result folder')


@pytest.mark.parametrize('crop', ['1,2', 'a,b,c', '1,2,3,4'])
def test_a_crop_that_is_no_crop(crop: str, results: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*results, '--output', 'unused', '--crop', crop)
    assert stop.value.code == 2
    assert 'is not X,Y,SIZE' in capsys.readouterr().err
