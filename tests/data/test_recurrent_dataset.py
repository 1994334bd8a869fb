"""Segments for recurrent networks: values of their items, and training a network of the toolbox with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils import MessageLogger
from small_clips import MakePairs, gt_of, places_of, recurrent_set

from satvsr_plugin import cli
from satvsr_plugin.errors import DataError, OptionError


def frames_of(lq: torch.Tensor, clip: int, length: int) -> tuple[int, ...]:
    """The frames that the patches (t, c, h, w) of a segment are from; they must lie at one place."""
    found = [(frame, places_of(patch, clip, frame)) for patch in lq for frame in range(length)
             if places_of(patch, clip, frame)]
    assert len({tuple(places) for _, places in found}) == 1
    return tuple(frame for frame, _ in found)


def test_a_segment_has_gt_for_every_frame(make_pairs: MakePairs) -> None:
    data = recurrent_set(make_pairs(), use_flip=False)
    assert len(data) == 13
    sample = data[8]
    assert sample['key'] == '001/001' and sample['lq'].shape == (3, 3, 8, 8) and sample['gt'].shape == (3, 3, 32, 32)
    assert sample['lq'].dtype == sample['gt'].dtype == torch.float32
    assert frames_of(sample['lq'], clip=1, length=6) == (1, 2, 3)
    assert torch.equal(sample['gt'], gt_of(sample['lq']))


def test_turned_segments_still_match(make_pairs: MakePairs) -> None:
    data = recurrent_set(make_pairs(), use_rot=True, random_reverse=True)
    torch.manual_seed(0)
    samples = [data[2] for _ in range(16)]
    assert all(torch.equal(sample['gt'], gt_of(sample['lq'])) for sample in samples)
    assert len({float(sample['lq'][0, 0, 0, 0]) for sample in samples}) > 8


def test_late_segments_start_at_random(make_pairs: MakePairs) -> None:
    data = recurrent_set(make_pairs((7,)), num_frame=4, use_flip=False)
    torch.manual_seed(0)
    for index in range(4):
        assert frames_of(data[index]['lq'], 0, 7) == tuple(range(index, index + 4))
    starts = {frames_of(data[index]['lq'], 0, 7) for index in (4, 5, 6) for _ in range(20)}
    assert starts == {tuple(range(start, start + 4)) for start in range(4)}


def test_interval_and_reversal(make_pairs: MakePairs) -> None:
    data = recurrent_set(make_pairs((7,)), interval_list=[1, 3], random_reverse=True, use_flip=False)
    torch.manual_seed(0)
    found = {frames_of(data[0]['lq'], 0, 7) for _ in range(40)}
    assert found == {(0, 1, 2), (2, 1, 0), (0, 3, 6), (6, 3, 0)}


def test_options_and_clips_that_do_not_fit(make_pairs: MakePairs) -> None:
    root = make_pairs()
    assert len(recurrent_set(root, num_frame=2)) == 13  # a segment has no centre
    with pytest.raises(DataError, match='clip 001: 6 frames, but the window spans 7'):
        recurrent_set(root, interval_list=[1, 3])
    with pytest.raises(OptionError, match='padding'):
        recurrent_set(root, padding='center')
    with pytest.raises(OptionError, match='num_frame'):
        recurrent_set(root, num_frame=0)


def test_the_toolboxs_basicvsr_trains_on_it(make_pairs: MakePairs, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """Two iterations of ``basicsr train`` with ``VideoRecurrentModel``."""
    root = make_pairs((4, 4), height=64, width=64)
    options = {
        'name': 'basicvsr', 'model_type': 'VideoRecurrentModel', 'scale': 4, 'num_gpu': 0, 'manual_seed': 0,
        'datasets': {'train': {
            'name': 'small', 'type': 'Jilin189RecurrentDataset', 'dataroot': str(root), 'num_frame': 3, 'gt_size': 256,
            'random_reverse': True, 'num_worker_per_gpu': 1, 'batch_size_per_gpu': 1}},
        'network_g': {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1},
        'path': {'pretrain_network_g': None, 'strict_load_g': True, 'resume_state': None},
        'train': {
            'optim_g': {'type': 'Adam', 'lr': 1.0e-3}, 'total_iter': 2, 'warmup_iter': -1,
            'flow_lr_mul': 1,
            'scheduler': {'type': 'MultiStepLR', 'milestones': [1]},
            'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'}},
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 2, 'use_tb_logger': False},
    }
    losses = []
    monkeypatch.setattr(MessageLogger, '__call__', lambda self, log: losses.append(log['l_pix']))
    monkeypatch.chdir(tmp_path)
    Path('x.yml').write_text(yaml.safe_dump(options))
    with pytest.raises(SystemExit) as left:
        cli.main(['train', '-opt', 'x.yml'])
    assert left.value.code == 0
    state = torch.load('experiments/basicvsr/models/net_g_2.pth', weights_only=True)['params']
    assert all(torch.isfinite(value).all() for value in state.values())
    assert len(losses) == 2 and all(0.05 < loss < 1 for loss in losses)  # of noise against bilinear enlargement
