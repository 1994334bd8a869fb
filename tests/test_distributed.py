"""Two processes on the CPU give what one gives."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from basicsr.archs import build_network

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.data.simulation import SimulationOptions, simulate_dataset
from satvsr_plugin.test_record import read_record, record_path

DEMO = Path(__file__).parents[1] / 'options/demo'
NO_GPU = not torch.cuda.is_available()
ONE = [sys.executable, '-m', 'satvsr_plugin']
TWO = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', '-m', 'satvsr_plugin']


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('workplace')
    simulate_dataset(folder / 'data', SimulationOptions(clips=2, test_clips=2, frames=5, size=64))
    for side in ('GT', 'LR4x'):
        write_lmdb(ClipFolder(folder / 'data/train' / side), folder / f'data/train/{side}.lmdb')
    return folder


def run(command: list[str], workplace: Path, *arguments: str, **overrides: object) -> None:
    launcher = ['--launcher', 'pytorch'] if command is TWO else []
    entries = [f'{key.replace("__", ":")}={value}' for key, value in overrides.items()]
    done = subprocess.run([*command, *arguments, *launcher, '--force_yml', *entries], cwd=workplace,
                          capture_output=True, text=True, env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]


def scores(folder: Path) -> list[list[str]]:
    with (folder / 'metrics_held_out.csv').open() as file:
        return [row[1:] for row in csv.reader(file)]


@pytest.mark.skipif(not NO_GPU, reason='needs a machine without a GPU: processes talk by gloo there')
def test_training_and_testing_in_two_processes(workplace):
    train = ['train', '-opt', str(DEMO / 'train_MSDTGP_small_x4_demo.yml')]
    steps = dict(train__total_iter=2, train__scheduler__periods='[2]', datasets__train__gt_size=32, val__val_freq=2,
                 datasets__train__batch_size_per_gpu=2)
    run(TWO, workplace, *train, name='two', **steps)
    experiment = workplace / 'experiments/two'
    test = ['test', '-opt', str(DEMO / 'test_MSDTGP_small_x4_demo.yml')]
    weights = experiment / 'models/net_g_latest.pth'
    run(ONE, workplace, *test, name='by_one', path__pretrain_network_g=weights)
    run(TWO, workplace, *test, name='by_two', path__pretrain_network_g=weights)

    alone = scores(workplace / 'results/by_one')
    assert [row[0] for row in alone] == ['clip', '000', '001', 'average']
    assert scores(workplace / 'results/by_two') == alone
    assert scores(experiment) == alone  # the validation while training, in two processes
    pictures = sorted(p.parent.name for p in (workplace / 'results/by_two').rglob('*.png'))
    assert pictures == ['000'] * 5 + ['001'] * 5


@pytest.mark.skipif(not NO_GPU, reason='needs a machine without a GPU: processes talk by gloo there')
def test_whole_clips_are_shared_among_processes(workplace):
    """Two clips in two segments each: a process answers for one clip, and the scores are those of one process."""
    network = {'type': 'BasicVSR', 'num_feat': 8, 'num_block': 1}
    torch.manual_seed(0)
    torch.save({'params_ema': build_network(dict(network)).state_dict()}, workplace / 'basicvsr.pth')
    test = ['test', '-opt', str(DEMO / 'comparison/test_BasicVSR_x4_demo.yml')]
    changes = dict(network_g__num_feat=8, network_g__num_block=1, path__pretrain_network_g=workplace / 'basicvsr.pth',
                   val__segment_length=3, val__segment_overlap=1)
    run(ONE, workplace, *test, name='clips_by_one', **changes)
    run(TWO, workplace, *test, name='clips_by_two', **changes)
    alone, shared = (read_record(record_path(workplace / f'results/clips_by_{count}', 'held_out'))
                     for count in ('one', 'two'))
    assert alone.clips == shared.clips
    assert list(alone.clips) == ['000', '001'] and len(alone.clips['000'].frames) == 5
