"""What the check of an option file says about networks, data sets and losses that do not fit one another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.utils.registry import DATASET_REGISTRY

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.jilin189_options import Jilin189RecurrentOptions
from satvsr_plugin.errors import OptionError
from satvsr_plugin.option_check import check_options

NETWORKS: dict[str, dict[str, Any]] = {
    'BasicVSR': {'num_feat': 8, 'num_block': 1},
    'BasicVSRPlusPlus': {'mid_channels': 16, 'num_blocks': 1},
    'EDVR': {'num_feat': 8, 'num_frame': 3, 'deformable_groups': 2, 'num_extract_block': 1, 'num_reconstruct_block': 1},
    'DUF': {'num_layer': 16},
    'SOFVSR': {'num_feat': 8, 'num_flow_block': 1, 'num_reconstruct_block': 1},
    'TDAN': {'num_feat': 8, 'num_frame': 3, 'deformable_groups': 2, 'num_extract_block': 1, 'num_reconstruct_block': 1},
    'RBPN': {'num_feat': 4, 'num_base_feat': 4, 'num_frame': 3, 'num_stage': 1, 'num_reconstruct_block': 1},
}
ALL_GT, CENTRE_GT = 'Jilin189RecurrentDataset', 'Jilin189Dataset'


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip of seven frames, GT 256x256."""
    folder = tmp_path_factory.mktemp('clips')
    for side, size in (('GT', 256), ('LR4x', 64)):
        write_image(folder / side / '000/0.png', np.zeros((size, size, 3), np.uint8))
        for index in range(1, 7):
            shutil.copy(folder / side / '000/0.png', folder / side / f'000/{index}.png')
    return folder


def problems(clips: Path, network: str, dataset: str = CENTRE_GT, num_frame: int = 3, gt_size: int = 64,
             arguments: dict[str, Any] | None = None, data: dict[str, Any] | None = None,
             **train: Any) -> list[str]:
    """What is wrong with an option file that trains a network."""
    opt = {
        'name': 'x', 'model_type': 'SatVSRModel', 'scale': 4, 'num_gpu': 0, 'path': {},
        'datasets': {'train': {'name': 'x', 'type': dataset, 'dataroot': str(clips), 'num_frame': num_frame,
                               'gt_size': gt_size, 'num_worker_per_gpu': 0, 'batch_size_per_gpu': 1} | (data or {})},
        'network_g': {'type': network} | NETWORKS[network] | (arguments or {}),
        'train': {'total_iter': 2, 'optim_g': {'type': 'Adam', 'lr': 1e-4},
                  'scheduler': {'type': 'MultiStepLR', 'milestones': [1]}, 'pixel_opt': {'type': 'L1Loss'}} | train,
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 1, 'use_tb_logger': False}}
    try:
        check_options(opt, is_train=True, file='f')
    except OptionError as error:
        return [line.removeprefix('f: ') for line in str(error).splitlines()]
    return []


@pytest.mark.parametrize('network, fitting', [
    ('BasicVSR', {'dataset': ALL_GT}), ('BasicVSRPlusPlus', {'dataset': ALL_GT, 'gt_size': 256}), ('EDVR', {}),
    ('DUF', {'num_frame': 7}), ('TDAN', {'aux_opt': {'type': 'AlignmentLoss'}}), ('RBPN', {}),
    ('SOFVSR', {'dataset': ALL_GT, 'aux_opt': {'type': 'FlowLoss'}})])
def test_what_fits_is_not_complained_about(clips, network, fitting):
    assert problems(clips, network, **fitting) == []


def test_a_data_set_of_others_need_not_say_which_gt_it_gives(clips, monkeypatch):
    class Theirs:
        options_type = Jilin189RecurrentOptions

        def __init__(self, opt: dict[str, Any]) -> None:
            self.options = self.options_type.model_validate(opt)

        def __len__(self) -> int:
            return 7

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {'lq': torch.zeros(3, 3, 16, 16), 'gt': torch.zeros(3, 3, 64, 64)}

    monkeypatch.setitem(DATASET_REGISTRY._obj_map, 'Theirs', Theirs)
    assert problems(clips, 'BasicVSR', 'Theirs') == []


@pytest.mark.parametrize('network, changes, expected', [
    ('BasicVSR', {}, 'datasets.train.type: Jilin189Dataset gives GT of the centre frame only, but network_g (BasicVSR) '
                     'makes all frames; use Jilin189RecurrentDataset'),
    ('BasicVSRPlusPlus', {'dataset': ALL_GT, 'gt_size': 128},
     'datasets.train.gt_size: is 128, so LR patches have 32 pixels a side, which network_g (BasicVSRPlusPlus) cannot '
     'take; use 256'),
    ('EDVR', {'gt_size': 72}, 'datasets.train.gt_size: is 72, so LR patches have 18 pixels a side, which network_g '
                              '(EDVR) cannot take; use 80'),
    ('EDVR', {'num_frame': 5}, 'datasets.train.num_frame: is 5, but network_g.num_frame is 3; make them equal'),
    ('DUF', {'num_frame': 5}, 'datasets.train.num_frame: is 5, but network_g (DUF) takes 7 frames; make them equal'),
    ('DUF', {'num_frame': 7, 'arguments': {'scale': 2}}, 'network_g.scale: is 2, but scale is 4; make them equal'),
    ('BasicVSR', {'dataset': ALL_GT, 'arguments': {'spynet_path': 'nowhere.pth'}},
     'network_g.spynet_path: there is no file nowhere.pth; download spynet_sintel_final-3d2a1287.pth of the model zoo '
     'of BasicSR, mend the path, or use ~ to train this part from scratch'),
    ('BasicVSR', {'dataset': ALL_GT, 'fix_flow': 5},
     'train.fix_flow: keeps the flow network from learning, but nothing says where its weights come from; give '
     'network_g.spynet_path, or remove fix_flow'),
    ('SOFVSR', {'aux_opt': {'type': 'FlowLoss'}},
     'datasets.train.type: Jilin189Dataset gives GT of the centre frame only, but FlowLoss needs it of all frames; use '
     'Jilin189RecurrentDataset'),
    ('SOFVSR', {'dataset': ALL_GT, 'aux_opt': {'type': 'FlowLoss', 'level_weights': [1, 2]}},
     'train.aux_opt: FlowLoss: level_weights: [1, 2] must be three numbers, for HR, LR and half LR size'),
    ('EDVR', {'aux_opt': {'type': 'AlignmentLoss'}},
     'train.aux_opt.type: AlignmentLoss needs aligned, which network_g does not give; remove aux_opt'),
    ('TDAN', {'aux_opt': {'type': 'L1Loss'}}, 'train.aux_opt.type: L1Loss compares results, not extra outputs of a '
                                              'network; use it as pixel_opt, and remove aux_opt'),
    ('RBPN', {'arguments': {'flow': 'precomputed'}},
     'datasets.train.flow_root: is missing, but network_g is given precomputed flow; make it with '
     'scripts/estimate_flow.py, or set network_g.flow: dis'),
    ('RBPN', {'arguments': {'flow': 'spynet'}},
     'network_g.spynet_path: is missing, and with it the weights of the flow network, which does not learn; download '
     'spynet_sintel_final-3d2a1287.pth of the model zoo of BasicSR, or use flow: dis'),
])
def test_what_does_not_fit_is_named(clips, network, changes, expected):
    assert problems(clips, network, **changes) == [expected]
