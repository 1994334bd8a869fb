"""A small data set to train on, and a process that starts trainings quickly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from models.model_options import NETWORK
from training.forked_runs import Runs

from satvsr_plugin.data.simulation import SimulationOptions, simulate_dataset


@pytest.fixture(scope='session')
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of five frames to train on, and two to validate."""
    folder = tmp_path_factory.mktemp('small') / 'data'
    simulate_dataset(folder, SimulationOptions(clips=2, test_clips=2, frames=5, size=64))
    return folder


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    runs = Runs(tmp_path_factory.mktemp('runs'))
    yield runs
    runs.close()


def training_options(data: Path, **changes: Any) -> dict[str, Any]:
    """Options of a run of 40 steps, eight epochs; ``changes`` like ``train__total_iter`` change single ones."""
    options = {
        'name': 'run', 'model_type': 'SatVSRModel', 'scale': 4, 'num_gpu': 0, 'manual_seed': 5,
        'datasets': {
            'train': {'name': 'train', 'type': 'Jilin189Dataset', 'dataroot': str(data / 'train'), 'gt_size': 32,
                      'num_frame': 3, 'batch_size_per_gpu': 2, 'num_worker_per_gpu': 1},
            'val': {'name': 'held_out', 'type': 'Jilin189TestDataset', 'dataroot': str(data / 'eval'), 'num_frame': 3}},
        'network_g': NETWORK | {'scale': 4},
        'path': {},
        'train': {'total_iter': 40, 'ema_decay': 0.9, 'optim_g': {'type': 'Adam', 'lr': 1e-3},
                  'scheduler': {'type': 'CosineAnnealingRestartLR', 'periods': [40]}, 'pixel_opt': {'type': 'L1Loss'}},
        'val': {'val_freq': 8, 'save_img': False, 'metrics': {'psnr': {'type': 'satvsr_psnr'}}},
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 4, 'use_tb_logger': False}}
    for key, value in changes.items():
        *sections, last = key.split('__')
        place: dict[str, Any] = options
        for section in sections:
            place = place[section]
        place[last] = value
    return options


def write_options(folder: Path, options: dict[str, Any]) -> str:
    """Returns the file's name."""
    path = folder / f'{options["name"]}.yml'
    path.write_text(yaml.safe_dump(options))
    return str(path)
