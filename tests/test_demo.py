"""The demo's commands, at a tiny size: simulate, LMDB, train, resume, test, compare, infer."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import read_image, write_image

ROOT = Path(__file__).parents[1]
NAMES = ['002', '003', '004', '005', '006']  # frames of the user's clip need not start at 0

pytestmark = pytest.mark.timeout(1500)  # some twenty programs, one after the other, each of which loads torch

needs_own_environment = pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / '.venv').resolve(), reason='needs the environment of scripts/setup_env.sh')


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True,
                          env=os.environ | {'OMP_NUM_THREADS': '1'})


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def real_clip(tmp_path_factory) -> Path:
    """A clip of the user's own, GT only, whose sides are no multiples of 4."""
    folder = tmp_path_factory.mktemp('own') / 'my clip'
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (70, 61, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    for shift, name in enumerate(NAMES):
        write_image(folder / f'GT/harbour/{name}.png', scene[shift:shift + 97, shift:shift + 98])
    return folder


@pytest.fixture(scope='module')
def demo(tmp_path_factory, real_clip) -> tuple[Path, str]:
    output = tmp_path_factory.mktemp('demo')
    done = run('bash', 'scripts/demo.sh', '--output', output, '--iterations', 4, '--clips', 3, '--test-clips', 2,
               '--frames', 5, '--size', 96, '--clip', real_clip, '--no-cost')
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return output, done.stdout


@needs_own_environment
def test_demo_trains_tests_and_compares(demo):
    output, stdout = demo
    assert len(list((output / 'data/train/GT').iterdir())) == 3
    assert (output / 'data/train/GT.lmdb/data.mdb').stat().st_size > 0
    assert (output / 'experiments/demo_MSDTGP_small/models/net_g_latest.pth').exists()
    for name, clips in (('held_out', 2), ('real_clip', 1)):
        rows = read_csv(output / f'results/MSDTGP_small_{name}/metrics_{name}.csv')
        assert [row['frames'] for row in rows] == ['5'] * clips + [str(5 * clips)]
        assert 10 < float(rows[0]['psnr']) < 60
        picture = read_image(output / f'comparison_{name}/comparison.png')
        assert picture.shape[0] > 100 and picture.std() > 10
        assert f'comparison_{name}/comparison.png' in stdout
    assert 'harbour' in stdout


@needs_own_environment
def test_demo_degrades_a_clip_that_has_only_gt(demo, real_clip):
    output, _ = demo
    gt = read_image(real_clip / 'GT/harbour/004.png')[:96, :96]
    assert np.array_equal(read_image(output / 'data/real/LR4x/harbour/004.png'), downsample(gt, 4))
    assert np.array_equal(read_image(output / 'data/real/GT/harbour/004.png'), gt)


@needs_own_environment
def test_demo_ends_with_a_clip_by_the_weights_that_come_along(demo):
    output, stdout = demo
    assert sorted(path.name for path in (output / 'own_video').iterdir()) == [f'{name}.png' for name in NAMES]
    mean = [line.split() for line in stdout.splitlines() if line.split()[:1] == ['mean']][-1]  # after the tables'
    assert 10 < float(mean[1]) < 60
    assert read_image(output / 'own_video_preview.png').std() > 10


@needs_own_environment
def test_training_resumes_where_it_stopped(demo):
    """From the demo's folder: two more iterations, from its last state, as a user would ask for."""
    output, _ = demo
    option_file = ROOT / 'options/demo/train_MSDTGP_small_x4_demo.yml'
    overrides = ['train:scheduler:periods=[8]', 'logger:save_checkpoint_freq=2', 'logger:print_freq=1',
                 'val:val_freq=2']
    first = run(sys.executable, '-m', 'satvsr_plugin', 'train', '-opt', option_file, '--force_yml',
                'name=resumed', 'train:total_iter=2', *overrides, cwd=output)
    assert first.returncode == 0, first.stderr[-3000:]
    second = run(sys.executable, '-m', 'satvsr_plugin', 'train', '-opt', option_file, '--auto_resume', '--force_yml',
                 'name=resumed', 'train:total_iter=4', *overrides, cwd=output)
    assert second.returncode == 0, second.stderr[-3000:]
    log = second.stderr + second.stdout
    assert 'Resuming training from epoch: 0, iter: 2' in log and 'iter:       3' in log and 'iter:       1' not in log
    folder = output / 'experiments/resumed'
    assert sorted(p.name for p in (folder / 'training_states').glob('*.state')) == ['2.state', '4.state']
    assert [row['iter'] for row in read_csv(folder / 'metrics_held_out.csv')] == ['2'] * 3 + ['4'] * 3
    assert (folder / 'models/net_g_best.pth').exists()


@pytest.mark.parametrize('arguments, phrase', [
    (['--stills', 'nowhere'], '--stills nowhere: no such folder'),
    (['--clip', 'scripts'], '--clip scripts: has no folder GT'),
    (['--iterations', 'many'], '--iterations many: not a positive number'),
    (['--fast'], 'unknown option --fast'),
    (['--seed'], '--seed needs a value')])
def test_wrong_arguments_end_before_anything_is_done(arguments, phrase, tmp_path):
    done = run('bash', 'scripts/demo.sh', *arguments)
    assert done.returncode == 2
    assert phrase in done.stderr and len(done.stderr.splitlines()) == 1
