"""``basicsr infer`` from the command line to the finished output."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small_outputs import noise

from satvsr_plugin import cli
from satvsr_plugin.archs import MSDTGP
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.inference.upscaler import VideoUpscaler
from satvsr_plugin.weights import save_checkpoint

NETWORK = {'type': 'MSDTGP', 'num_feat': 4, 'num_base_feat': 8, 'num_extract_block': 1, 'num_reconstruct_block': 1,
           'num_stage': 1, 'deformable_groups': 2, 'residual': 'bicubic'}
ONE = [sys.executable, '-m', 'satvsr_plugin', 'infer']
TWO = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', '-m', 'satvsr_plugin',
       'infer']


@pytest.fixture(scope='module')
def net() -> MSDTGP:
    torch.manual_seed(0)
    network = MSDTGP(**{key: value for key, value in NETWORK.items() if key != 'type'})
    torch.nn.init.normal_(network.output.conv.weight, std=0.05)
    return network.eval()


@pytest.fixture(scope='module')
def weights(net: MSDTGP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'net.pth'
    save_checkpoint(path, {'params': net.state_dict(), 'network': NETWORK})
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Nine frames whose names do not begin at 0."""
    for index in range(9):
        write_image(tmp_path / 'in' / f'shot_{index + 5}.png', noise(20, 24, 3, seed=index))
    return tmp_path / 'in'


def infer(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(['infer', *map(str, arguments)])
    return end.value.code


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: read_image(path) for path in sorted(folder.iterdir())}


def expected(net: MSDTGP, frames: Path) -> dict[str, np.ndarray]:
    paths = [frames / f'shot_{index + 5}.png' for index in range(9)]
    return {path.name: result for path, result in
            zip(paths, VideoUpscaler(net)(read_image(path) for path in paths), strict=True)}


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, picture in wanted.items():
        np.testing.assert_array_equal(found[name], picture, name)


def test_a_folder_by_weights_alone(net, weights, frames, tmp_path):
    assert infer('-i', frames, '-o', tmp_path / 'out', '--weights', weights) == 0
    assert_same(pictures(tmp_path / 'out'), expected(net, frames))


def test_a_stretch_is_a_video_of_its_own(net, weights, frames, tmp_path):
    assert infer('-i', frames, '-o', tmp_path / 'out', '--weights', weights, '--start', 2, '--end', 5) == 0
    paths = [frames / f'shot_{index}.png' for index in (7, 8, 9)]
    results = list(VideoUpscaler(net)(map(read_image, paths)))
    assert_same(pictures(tmp_path / 'out'), {path.name: result for path, result in zip(paths, results, strict=True)})


def test_preview_and_scores(weights, frames, tmp_path, capsys):
    assert infer('-i', frames, '-o', tmp_path / 'gt', '--weights', weights) == 0
    last = read_image(tmp_path / 'gt/shot_13.png')
    write_image(tmp_path / 'gt/shot_13.png', np.where(last < 128, last + 16, last - 16).astype(np.uint8))
    assert infer('-i', frames, '-o', tmp_path / 'out', '--weights', weights, '--preview', 3, '--compare',
                 tmp_path / 'gt') == 0
    printed = capsys.readouterr()
    assert f'{tmp_path}/out_preview.png' in printed.err
    assert read_image(tmp_path / 'out_preview.png').shape[1] == 2 * 80 + 12  # two crops of the whole height, a gap
    lines = printed.out.splitlines()
    assert lines[1].split() == ['0', 'inf', '1.0000']
    assert 20 < float(lines[9].split()[1]) < 30  # all bands are 16 levels off, Y is up to 0.86 * 16: 25.3 dB or so


def test_a_run_goes_on_at_the_first_missing_frame(net, weights, frames, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    original, calls = VideoUpscaler.run, []

    def stopping(self, *arguments, **keywords):
        calls.append(keywords['first'])
        for index, result in enumerate(original(self, *arguments, **keywords)):
            if len(calls) == 1 and index == 4:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(VideoUpscaler, 'run', stopping)
    assert infer('-i', frames, '-o', out, '--weights', weights) == 130
    assert len(list(out.glob('shot_*.png'))) == 4
    stamps = {path: path.stat().st_mtime_ns for path in out.glob('shot_*.png')}
    assert infer('-i', frames, '-o', out, '--weights', weights) == 0
    assert calls == [0, 4] and '4 of 9 frames are finished already' in capsys.readouterr().err
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert_same(pictures(out), expected(net, frames))


def test_killed_at_random_moments(net, weights, frames, tmp_path):
    out, rng, kills = tmp_path / 'out', random.Random(0), 0
    slow = ('import time; from satvsr_plugin import cli; from satvsr_plugin.inference.feed import Feed; '
            'take = Feed.take; Feed.take = lambda self, index: (time.sleep(0.2), take(self, index))[1]; cli.main()')
    command = [sys.executable, '-c', slow, 'infer', '-i', str(frames), '-o', str(out), '--weights', str(weights)]
    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        before = len(list(out.glob('shot_*.png')))
        while process.poll() is None and len(list(out.glob('shot_*.png'))) == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills == 2
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    found, wanted = pictures(out), expected(net, frames)
    assert sorted(found) == sorted(wanted)
    for name, picture in wanted.items():  # sums differ in their last bit with the number of threads
        assert np.abs(found[name].astype(int) - picture).max() <= 1, name


def test_two_processes_give_what_one_gives(weights, frames, tmp_path):
    for name, command in (('one', ONE), ('two', TWO)):
        done = subprocess.run([*command, '-i', frames, '-o', tmp_path / name, '--weights', weights],
                              capture_output=True, text=True, env=os.environ | {'OMP_NUM_THREADS': '1'})
        assert done.returncode == 0, done.stderr[-3000:]
    assert_same(pictures(tmp_path / 'two'), pictures(tmp_path / 'one'))


def test_an_option_file_says_what_old_weights_do_not(net, weights, frames, tmp_path, capsys):
    old, opt = tmp_path / 'old.pth', tmp_path / 'opt.yml'
    save_checkpoint(old, {'params': net.state_dict()})
    assert infer('-i', frames, '-o', tmp_path / 'out', '--weights', old) == 2
    assert '--opt' in capsys.readouterr().err and not (tmp_path / 'out').exists()
    lines = [f'  {key}: {value}' for key, value in NETWORK.items()]
    opt.write_text('\n'.join(['name: own', 'scale: 4', 'network_g:', *lines, 'path:', f'  pretrain_network_g: {old}']))
    assert infer('-i', frames, '-o', tmp_path / 'out', '--opt', opt) == 0
    assert_same(pictures(tmp_path / 'out'), expected(net, frames))


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--start', '9'], r'--start 9: .*in has 9 frames, numbered from 0'),
    (['--start', '4', '--end', '4'], 'no frames lie between'),
    (['--bands', '1', 'frames'], '--bands: either numbers, or "frames" alone'),
    (['--bands', '7'], 'there is no band 7'),
    (['--weights', 'missing.pth'], 'missing.pth: no such file'),
    (['--force_yml', 'scale=2'], '--force_yml changes an option file; add --opt FILE'),
    (['--opt', 'missing.yml'], 'missing.yml'),
])
def test_wrong_arguments_are_refused_before_anything_is_written(weights, frames, tmp_path, capsys, arguments, message):
    given = arguments if '--weights' in arguments else [*arguments, '--weights', weights]
    assert infer('-i', frames, '-o', tmp_path / 'out', *given) == 2
    error = capsys.readouterr().err
    assert re.search(message, error) and 'Traceback' not in error
    assert not (tmp_path / 'out').exists()


def test_several_videos_at_once_are_refused(weights, frames, tmp_path, capsys):
    write_image(tmp_path / 'other' / '0.png', noise(12, 16, 3))
    assert infer('-i', frames, tmp_path / 'other', '-o', tmp_path / 'out', '--weights', weights) == 2
    assert 'super-resolve one at a time' in capsys.readouterr().err


def test_a_frame_of_another_size_ends_the_run_and_keeps_what_is_done(weights, frames, tmp_path, capsys):
    write_image(frames / 'shot_12.png', noise(20, 20, 3))
    assert infer('-i', frames, '-o', tmp_path / 'out', '--weights', weights) == 2
    assert 'shot_12.png: is 20x20' in capsys.readouterr().err
    assert len(list((tmp_path / 'out').glob('shot_*.png'))) == 5  # those whose windows end before it
