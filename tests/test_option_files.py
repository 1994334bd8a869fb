"""Every shipped option file passes the check on a data set of the right layout, and builds its model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from basicsr.archs import build_network
from basicsr.models import build_model

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.option_check import check_options
from satvsr_plugin.options import load_options

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'options').rglob('*.yml'))
GT_SIZE = 256  # the largest gt_size of all files


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all relative paths of the option files lead to small data."""
    folder = tmp_path_factory.mktemp('workplace')
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (GT_SIZE, GT_SIZE, 3), np.uint8) for _ in range(8)]  # a batch of the largest size
    for root in ('datasets/Jilin-189/trainset/train', 'datasets/Jilin-189/testset/eval', 'data/train', 'data/eval'):
        for index, gt in enumerate(frames):
            write_image(folder / root / f'GT/002/{index:03d}.png', gt)
            write_image(folder / root / f'LR4x/002/{index:03d}.png', downsample(gt, 4))
    for side in ('GT', 'LR4x'):
        write_lmdb(ClipFolder(folder / 'data/train' / side), folder / f'data/train/{side}.lmdb')
    return folder


def as_the_toolbox_completes(opt: dict, is_train: bool, folder: Path) -> dict:
    """What ``parse_options`` adds."""
    paths = {name: str(folder / name) for name in ('models', 'training_states', 'log', 'visualization')}
    return opt | {'is_train': is_train, 'num_gpu': 0, 'dist': False, 'path': opt['path'] | paths}


def test_there_are_files_for_training_testing_and_the_demo():
    assert {file.relative_to(ROOT / 'options').parts[0] for file in FILES} == {'train', 'test', 'demo'}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_file_is_sound_and_builds(file, workplace, tmp_path, monkeypatch):
    monkeypatch.chdir(workplace)
    is_train = file.stem.startswith('train')
    opt = load_options(file)
    weights = opt['path']['pretrain_network_g']
    if weights:
        state = build_network(opt['network_g']).state_dict()
        Path(weights).parent.mkdir(parents=True, exist_ok=True)
        torch.save({'params': state, 'params_ema': state}, weights)
    check_options(opt, is_train=is_train, file=str(file))
    model = build_model(as_the_toolbox_completes(opt, is_train, tmp_path))
    assert type(model.net_g).__name__ == opt['network_g']['type']
    assert (len(model.schedulers) == 1) == is_train


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_file_means_the_same_to_every_yaml_reader(file):
    """``lr: 1e-4`` is a number to our loader, but text to PyYAML's own."""
    assert yaml.safe_load(file.read_text()) == load_options(file)


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
    net = build_network(opt['network_g'])
    assert sum(p.numel() for p in net.parameters()) == 14_174_083
    assert opt['network_g']['residual'] == 'none' and opt['network_g']['init'] == 'reference'
