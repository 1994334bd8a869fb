"""The script, and the tests that it makes of option files: one real ``basicsr test`` serves them all."""

from __future__ import annotations

import argparse
import runpy
import sys
import zlib
from contextlib import redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from small_results import CLIPS, FRAMES, draw_gt

from satvsr_plugin.comparison import testing
from satvsr_plugin.comparison.earlier_test import why_test_again
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.test_record import WeightsRecord, read_record, record_path, write_record

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'compare_models.py'


def run(*arguments: object) -> None:
    runpy.run_path(str(SCRIPT))['main']([str(argument) for argument in arguments])


def make_options(root: Path) -> dict[str, Any]:
    return {
        'name': 'tested', 'model_type': 'SatVSRModel', 'scale': 4, 'num_gpu': 0, 'manual_seed': 0,
        'datasets': {'test': {'name': 'Drawn', 'type': 'Jilin189TestDataset', 'num_frame': 1, 'num_worker_per_gpu': 0,
                              'dataroot_gt': str(root / 'GT'), 'dataroot_lq': str(root / 'LR4x'),
                              'io_backend': {'type': 'disk'}}},
        'network_g': {'type': 'Bicubic', 'scale': 4}, 'path': {'pretrain_network_g': None},
        'val': {'save_img': True, 'metrics': {'psnr': {'type': 'satvsr_psnr'}, 'ssim': {'type': 'satvsr_ssim'}}},
    }


@pytest.fixture(scope='module')
def tested(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A folder to stand in, where the script was given an option file that had not been tested."""
    root = tmp_path_factory.mktemp('tested')
    for clip in CLIPS:
        for frame in FRAMES:
            write_image(root / 'GT' / clip / f'{frame}.png', draw_gt(clip, frame))
            write_image(root / 'LR4x' / clip / f'{frame}.png', downsample(draw_gt(clip, frame), 4))
    (root / 'bicubic.yml').write_text(yaml.safe_dump(make_options(root)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv('OMP_NUM_THREADS', '1')
        with redirect_stdout(StringIO()) as printed:
            run('bicubic.yml', '--no-cost', '--output', 'out')
    return SimpleNamespace(root=root, printed=printed.getvalue(),
                           record=record_path(root / 'results' / 'tested', 'Drawn'))


@pytest.fixture
def standing(tested: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.chdir(tested.root)
    return tested


def test_an_option_file_is_tested_and_compared(tested: SimpleNamespace) -> None:
    lines = tested.printed.splitlines()
    assert lines[0] == ('testing bicubic.yml (no results on Drawn yet); its output goes to results/tested.log')
    assert lines[1].startswith('tested bicubic.yml in ')
    record = read_record(tested.record)
    assert f'mean  {record.average("psnr"):.2f}/' in tested.printed
    assert 'written: out/comparison.md' in lines and 'written: out/report.html' in lines
    assert 'Testing Drawn' in (tested.root / 'results' / 'tested.log').read_text()


def test_what_was_tested_is_taken_as_it_is(
    standing: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(testing.subprocess, 'run', lambda *_, **__: pytest.fail('it is tested again'))
    run('bicubic.yml', '--no-cost', '--output', 'out2', '--names', 'B')
    assert ('note: bicubic.yml: tested before with the same network, weights, data and metrics; the results in '
            'results/tested are taken as they are') in capsys.readouterr().out


OTHERS = {
    'is of another network': lambda o: o['network_g'].update(scale=2),
    'is of other metrics': lambda o: o['val']['metrics']['psnr'].update(color='rgb'),
    'is of other weights': lambda o: o['path'].update(pretrain_network_g='weights.pth'),
    'is of other frames': lambda o: o['datasets']['test'].update(clips=['001']),
    'no results on Other yet': lambda o: o['datasets']['test'].update(name='Other'),
}


@pytest.mark.parametrize('reason', OTHERS)
def test_anything_else_than_before_is_tested_again(standing: SimpleNamespace, reason: str) -> None:
    options = make_options(standing.root)
    assert why_test_again(options, standing.record.parent) is None
    options['val']['metrics']['psnr'] |= {'crop_border': 0, 'better': 'higher'}  # the defaults, written out
    assert why_test_again(options, standing.record.parent) is None
    OTHERS[reason](options)
    assert reason in why_test_again(options, standing.record.parent)


def test_paths_pictures_and_damage_matter_too(standing: SimpleNamespace, tmp_path: Path) -> None:
    options = make_options(standing.root)
    moved = deepcopy(options)
    moved['datasets']['test']['dataroot_lq'] = str(tmp_path / 'LR4x')
    (tmp_path / 'LR4x').symlink_to(standing.root / 'LR4x')
    assert why_test_again(moved, standing.record.parent) is None  # another name of the same folder
    moved['datasets']['test']['dataroot_gt'] = str(standing.root / 'copy')
    (standing.root / 'copy').mkdir(exist_ok=True)
    for clip in CLIPS:
        (standing.root / 'copy' / clip).symlink_to(standing.root / 'GT' / clip)
    assert 'is of other frames' in why_test_again(moved, standing.record.parent)

    record = read_record(standing.record)
    write_record(tmp_path, record.model_copy(update={'pictures': None}))
    assert 'is of a test that saved no pictures' in why_test_again(options, tmp_path)
    options['val']['save_img'] = False
    assert why_test_again(options, tmp_path) is None
    assert why_test_again(options, tmp_path, dataset='Other') is None  # no data set of the file is wanted
    record_path(tmp_path, 'Drawn').write_text('{')
    assert 'cannot be read' in why_test_again(options, tmp_path)


def test_weights_are_known_by_their_path_key_and_content(standing: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / 'net.pth'
    torch.save({'params': {'w': torch.ones(1)}, 'params_ema': {'w': torch.zeros(1)}}, file)
    crc32 = zlib.crc32(file.read_bytes())
    options = make_options(standing.root)
    options['path'] = {'pretrain_network_g': str(file), 'param_key_g': 'params'}

    def reason(key: str, crc32: int, path: Path = file) -> str | None:
        weights = WeightsRecord(path=str(path), param_key=key, crc32=crc32)
        write_record(tmp_path, read_record(standing.record).model_copy(update={'weights': weights}))
        return why_test_again(options, tmp_path)

    assert reason('params', crc32) is None
    for unlike in (('params', crc32 + 1), ('params', crc32, tmp_path / 'x.pth'), ('params_ema', crc32)):
        assert 'is of other weights' in reason(*unlike)
    options['path']['param_key_g'] = 'params_ema'
    assert 'is of other weights' in reason('params', crc32)  # the file has both
    options['path']['param_key_g'] = 'no_such_key'
    assert reason('params', crc32) is None  # the model falls back to it
    options['path']['pretrain_network_g'] = None
    assert 'is of other weights' in reason('params', crc32)


def test_a_failed_test_shows_the_end_of_its_log(standing: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], stdout: Any, **_: Any) -> SimpleNamespace:
        assert command[1:] == ['-m', 'satvsr_plugin', 'test', '-opt', 'bicubic.yml', '--force_yml', 'name=broken']
        stdout.write('\n'.join(f'line {number}' for number in range(40)) + '\nerror: no GPU\n')
        return SimpleNamespace(returncode=2)

    monkeypatch.setattr(testing.subprocess, 'run', fail)
    with pytest.raises(DataError) as error:
        run('bicubic.yml', '--force_yml', 'name=broken', '--no-cost', '--output', 'failed')
    lines = str(error.value).splitlines()
    assert lines[0] == 'bicubic.yml: the test failed; the end of results/broken.log:'
    assert (len(lines), lines[-1]) == (16, '  error: no GPU')
    assert not (standing.root / 'failed').exists()


def test_wrong_options_are_found_before_anything_is_tested(
    standing: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing.subprocess, 'run', lambda *_, **__: pytest.fail('something is tested'))
    Path('new.yml').write_text(yaml.safe_dump(make_options(standing.root) | {'name': 'new'}))
    Path('wrong.yml').write_text(yaml.safe_dump(make_options(standing.root) | {'name': 'wrong', 'scale': 3}))
    Path('nameless.yml').write_text('scale: 4\n')
    for message, arguments in {
        r'wrong.yml: network_g.scale: is 4, but scale is 3': ['new.yml', 'wrong.yml'],
        r'nameless.yml: name: is missing': ['nameless.yml'],
        r'nowhere.yml: cannot read the option file': ['new.yml', 'nowhere.yml'],
        r'new.yml and bicubic.yml: both stand for the results in .*/results/same':
            ['new.yml', 'bicubic.yml', '--force_yml', 'name=same'],
        r'results/tested and bicubic.yml: both stand for the results in': ['results/tested', 'bicubic.yml'],
        r'--dataset Other: new.yml tests on Drawn only': ['new.yml', '--dataset', 'Other'],
        r'--names: 1 names for 2 systems; give one each': ['new.yml', 'bicubic.yml', '--names', 'a'],
        r'--report-frames 0: give at least 1': ['new.yml', '--report-frames', '0'],
        r'--force_yml changes option files, but only result folders': ['results/tested', '--force_yml', 'name=x'],
    }.items():
        with pytest.raises(OptionError, match=message):
            run(*arguments, '--output', 'failed')


def test_wrong_input_ends_the_script_with_one_line_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), str(tmp_path / 'none'), '--output', str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name='__main__')
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path / "none"}: no such result folder')


def test_arguments_reach_the_comparison() -> None:
    parser: argparse.ArgumentParser = runpy.run_path(str(SCRIPT))['build_parser']()
    args = parser.parse_args(['a', 'b.yml', '--output', 'o', '--crop', '320,128,80', '--force_yml', 'x=1', 'y=2',
                              '--force_yml', 'z=3', '--published', 'always', '--no-cost', '--report-frames', '5'])
    assert (args.crop.x, args.crop.y, args.crop.size) == (320, 128, 80)
    assert args.force_yml == ['x=1', 'y=2', 'z=3']
    assert (args.published, args.cost, args.report_frames) == ('always', False, 5)
    with pytest.raises(SystemExit):
        parser.parse_args(['a', '--output', 'o', '--crop', '1,2'])
