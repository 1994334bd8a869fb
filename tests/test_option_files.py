"""Every shipped option file passes the check on a data set of the right layout, and runs."""

from __future__ import annotations

import csv
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from basicsr.archs import build_network

from satvsr_plugin import cli
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.models import compilation
from satvsr_plugin.option_check import check_options
from satvsr_plugin.options import load_options
from satvsr_plugin.test_record import read_record, record_path

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'options').rglob('*.yml'))
TRAIN, TEST = ([file for file in FILES if file.stem.startswith(kind)] for kind in ('train', 'test'))
GT_SIZE = 256  # the largest gt_size of all files
NUM_FRAME = 64  # enough windows for the largest batch
# Networks are the files' own; only what they are shown is smaller: gt_size, and frames where there are many.
PATCHES = {'BasicVSRPlusPlus': {'gt_size': 256, 'num_frame': 2}, 'BasicVSR': {'gt_size': 32, 'num_frame': 3},
           'IconVSR': {'gt_size': 32, 'num_frame': 5}}


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all relative paths of the option files lead to small data and to a flow network."""
    folder = tmp_path_factory.mktemp('workplace')
    for root, size, length in (('trainset/train', GT_SIZE, NUM_FRAME), ('testset/eval', 32, 7)):
        write_clip(folder / 'datasets/Jilin-189' / root, size, length)
    for part, root in (('train', 'trainset/train'), ('eval', 'testset/eval')):
        shutil.copytree(folder / 'datasets/Jilin-189' / root, folder / 'data' / part)
    for side in ('GT', 'LR4x'):
        write_lmdb(ClipFolder(folder / 'data/train' / side), folder / f'data/train/{side}.lmdb')
    (folder / 'datasets/simulated').symlink_to(folder / 'data')
    spynet = folder / 'experiments/pretrained_models/flownet/spynet_sintel_final-3d2a1287.pth'
    spynet.parent.mkdir(parents=True)
    flow_network = build_network({'type': 'SpyNet'}).state_dict()
    torch.save({'params': {key: value for key, value in flow_network.items() if key not in ('mean', 'std')}}, spynet)
    return folder


def write_clip(folder: Path, size: int, length: int) -> None:
    """A clip ``002`` whose frames are all alike: encoding noise takes longer than training on it."""
    gt = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    write_image(folder / 'GT/002/000.png', gt)
    write_image(folder / 'LR4x/002/000.png', downsample(gt, 4))
    for side in ('GT', 'LR4x'):
        for index in range(1, length):
            shutil.copy(folder / side / '002/000.png', folder / side / f'002/{index:03d}.png')


@pytest.fixture
def here(workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of its own for each file, from where the relative paths lead to the workplace."""
    for name in ('datasets', 'data'):
        (tmp_path / name).symlink_to(workplace / name)
    shutil.copytree(workplace / 'experiments', tmp_path / 'experiments')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compilation, 'BACKEND', 'aot_eager')  # to generate code of the full network takes minutes
    monkeypatch.setattr('sys.argv', sys.argv)  # restored after the test: the command sets it
    yield tmp_path
    shutil.rmtree(tmp_path / 'experiments')  # checkpoints of 160 MB


def save_untrained(opt: dict) -> None:
    """Weights where ``pretrain_network_g`` expects them."""
    weights = opt['path']['pretrain_network_g']
    if weights:
        state = build_network(opt['network_g']).state_dict()
        Path(weights).parent.mkdir(parents=True, exist_ok=True)
        torch.save({'params': state, 'params_ema': state}, weights)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return end.value.code


def test_there_are_files_for_every_system():
    found = {kind: {load_options(file)['network_g']['type'] for file in files if 'demo' not in file.parts}
             for kind, files in (('train', TRAIN), ('test', TEST))}
    systems = {'TDAN', 'RBPN', 'SOFVSR', 'DUF', 'EDVR', 'BasicVSR', 'IconVSR', 'BasicVSRPlusPlus', 'MSDTGP'}
    assert found == {'train': systems, 'test': systems | {'Bicubic', 'LinearFilter'}}


@pytest.mark.parametrize('file', TRAIN, ids=lambda file: file.stem)
def test_file_trains(file: Path, here: Path) -> None:
    opt = load_options(file)
    save_untrained(opt)
    check_options(opt, is_train=True, file=str(file))  # as it is
    patches = PATCHES.get(opt['network_g']['type'], {'gt_size': 32})
    changes = [f'datasets:train:{key}={value}' for key, value in patches.items()]
    code = run('train', '-opt', file, '--force_yml', 'num_gpu=0', 'train:total_iter=2', 'logger:print_freq=1',
               'logger:use_tb_logger=false', 'datasets:train:num_worker_per_gpu=0',
               'datasets:train:batch_size_per_gpu=1', 'datasets:val:num_worker_per_gpu=0', *changes)
    assert code == 0
    folder = here / 'experiments' / opt['name']
    trained = torch.load(folder / 'models/net_g_latest.pth', weights_only=True)
    assert ('params_ema' in trained) == (opt['train']['ema_decay'] > 0)
    assert all(tensor.isfinite().all() for tensor in trained['params'].values())
    scores = list(csv.DictReader(next(folder.glob('metrics_*.csv')).open()))
    assert [row['clip'] for row in scores] == ['002', 'average'] and math.isfinite(float(scores[0]['psnr']))


@pytest.mark.parametrize('file', TEST, ids=lambda file: file.stem)
def test_file_tests(file: Path, here: Path) -> None:
    opt = load_options(file)
    save_untrained(opt)
    assert run('test', '-opt', file, '--force_yml', 'num_gpu=0', 'datasets:test:num_worker_per_gpu=0') == 0
    folder = here / 'results' / opt['name']
    record = read_record(record_path(folder, opt['datasets']['test']['name']))
    assert record.network == opt['network_g'] and len(record.clips['002'].frames) == 7
    assert math.isfinite(record.average('psnr'))
    assert all(record.picture(folder, '002', frame).is_file() for frame in ('000', '006'))


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_file_means_the_same_to_every_yaml_reader(file):
    """``lr: 1e-4`` is a number to our loader, but text to PyYAML's own."""
    assert yaml.safe_load(file.read_text()) == load_options(file)


def test_the_common_recipe_is_common():
    """All systems see the same patches and learn by the same rule; only their inputs and own losses differ."""
    recipes = []
    for file in TRAIN:
        if '_common_' not in file.stem:
            continue
        opt = load_options(file)
        data = {key: value for key, value in opt['datasets']['train'].items()
                if key not in ('type', 'num_frame', 'batch_size_per_gpu', 'padding')}
        recipes.append((data, {key: value for key, value in opt['train'].items() if key != 'aux_opt'}, opt['val']))
    assert len(recipes) == 10 and all(recipe == recipes[0] for recipe in recipes)


def test_the_paper_recipe_is_the_papers():
    opt = load_options(ROOT / 'options/train/MSDTGP/train_MSDTGP_x4_Jilin189.yml')
    train, data = opt['train'], opt['datasets']['train']
    frames, epochs = 189 * 100, 50
    assert train['total_iter'] == frames * epochs == 945_000
    assert train['scheduler'] == {'type': 'MultiStepLR', 'milestones': [24 * frames, 49 * frames], 'gamma': 0.1}
    assert train['optim_g'] == {'type': 'Adam', 'lr': 8e-5, 'weight_decay': 0, 'betas': [0.9, 0.999], 'eps': 1e-8}
    assert (data['batch_size_per_gpu'], data['gt_size'], data['use_flip'], data['use_rot']) == (1, 128, True, False)
    assert not data['random_reverse'] and data['padding'] == 'center' and data['num_frame'] == 5
    assert train['pixel_opt'] == {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'}
    assert train['ema_decay'] == 0 and 'grad_clip_norm' not in train and opt['manual_seed'] == 123
    assert opt['network_g']['residual'] == 'none' and opt['network_g']['init'] == 'reference'


@pytest.mark.parametrize('name, count', [
    ('MSDTGP/test_MSDTGP_x4', 14_174_083), ('TDAN/test_TDAN_x4', 1_970_819), ('RBPN/test_RBPN_x4', 12_771_943),
    ('SOFVSR/test_SOFVSR_x4', 1_047_617), ('DUF/test_DUF_52L_x4', 5_821_952), ('EDVR/test_EDVR_L_x4', 20_633_827),
    ('EDVR/test_EDVR_M_x4', 3_300_131)])
def test_networks_are_the_published_ones(name: str, count: int) -> None:
    net = build_network(load_options(ROOT / f'options/test/{name}_Jilin189.yml')['network_g'])
    assert sum(parameter.numel() for parameter in net.parameters()) == count
