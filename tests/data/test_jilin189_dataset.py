"""The data sets: values of their items."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_clips import SCALE, MakePairs, eval_set, gt_frame, gt_of, lr_frame, places_of, to_float, train_set
from torch.utils.data import DataLoader

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.errors import DataError


def turns_of(patch: torch.Tensor, clip: int, frame: int) -> list[str]:
    """The turns (vertical flip, horizontal flip, transposition) that make a patch of an LR frame of ``patch``."""
    found = []
    for vertical, horizontal, transposed in itertools.product((0, 1), repeat=3):
        turned = patch.transpose(1, 2) if transposed else patch
        turned = turned.flip([axis for axis, flip in ((1, vertical), (2, horizontal)) if flip])
        if places_of(turned, clip, frame):
            found.append('v' * vertical + 'h' * horizontal + 't' * transposed)
    return found


# --- training samples


def test_training_sample_is_a_matching_patch_of_its_window(make_pairs: MakePairs) -> None:
    data = train_set(make_pairs(), use_flip=False)
    assert len(data) == 13
    sample = data[9]
    assert sample['key'] == '001/002'
    assert sample['lq'].shape == (5, 3, 8, 8) and sample['gt'].shape == (3, 32, 32)
    for tensor in (sample['lq'], sample['gt']):
        assert tensor.dtype == torch.float32 and tensor.is_contiguous()
    assert torch.equal(gt_of(sample['lq'][2]), sample['gt'])
    places = [places_of(lq, clip=1, frame=frame) for frame, lq in enumerate(sample['lq'])]
    assert len(places[0]) == 1 and places == [places[0]] * 5


@pytest.mark.parametrize(('options', 'states'), [
    ({}, {'', 'v', 'h', 'vh'}),
    ({'use_rot': True}, {'', 'v', 'h', 'vh', 't', 'vt', 'ht', 'vht'}),
    ({'use_flip': False, 'use_rot': True}, {'', 't'}),
])
def test_flips_turn_lr_and_gt_alike(make_pairs: MakePairs, options: dict[str, bool], states: set[str]) -> None:
    data = train_set(make_pairs(), **options)
    torch.manual_seed(0)
    found = []
    for _ in range(64):
        sample = data[3]
        assert torch.equal(gt_of(sample['lq'][2]), sample['gt'])
        found += turns_of(sample['lq'][2], clip=0, frame=3)
    assert len(found) == 64 and set(found) == states


def test_patches_reach_every_place(make_pairs: MakePairs) -> None:
    data = train_set(make_pairs(), use_flip=False, gt_size=40)  # LR 10x10 in 12x16: 3 x 7 places
    torch.manual_seed(0)
    places = {place for _ in range(300) for place in places_of(data[3]['lq'][2], clip=0, frame=3)}
    assert places == set(itertools.product(range(3), range(7)))


def test_clip_ends_repeat_the_centre_frame(make_pairs: MakePairs) -> None:
    lq = train_set(make_pairs())[0]['lq']
    assert torch.equal(lq[0], lq[2]) and torch.equal(lq[1], lq[2]) and not torch.equal(lq[3], lq[2])


def test_interval_and_reversal(make_pairs: MakePairs) -> None:
    data = train_set(make_pairs((7,)), num_frame=3, interval_list=[1, 3], random_reverse=True, use_flip=False)
    torch.manual_seed(0)
    windows = set()
    for _ in range(40):
        windows.add(tuple(frame for lq in data[3]['lq'] for frame in range(7) if places_of(lq, 0, frame)))
    assert windows == {(2, 3, 4), (4, 3, 2), (0, 3, 6), (6, 3, 0)}


def test_torch_seed_decides_the_patch(make_pairs: MakePairs) -> None:
    data = train_set(make_pairs())
    torch.manual_seed(3)
    first, second = data[4]['gt'], data[4]['gt']
    torch.manual_seed(3)
    np.random.seed(1)  # what the toolbox seeds its workers with must not matter
    assert torch.equal(data[4]['gt'], first)
    assert not torch.equal(first, second)


def test_epochs_differ_under_the_toolboxs_worker_seeds(make_pairs: MakePairs) -> None:
    from basicsr.data import build_dataloader

    torch.manual_seed(0)
    options = {'phase': 'train', 'batch_size_per_gpu': 13, 'num_worker_per_gpu': 1}
    data = train_set(make_pairs())
    loader = build_dataloader(data, options, num_gpu=0, sampler=torch.utils.data.SequentialSampler(data), seed=0)
    epochs = [next(iter(loader)) for _ in range(2)]
    assert epochs[0]['key'] == epochs[1]['key']
    assert not torch.equal(epochs[0]['gt'], epochs[1]['gt'])


def test_unequal_sizes_and_bands(make_pairs: MakePairs) -> None:
    root = make_pairs((5,), channels=1, dtype=np.uint16)
    wide = make_pairs((5,), folder='wide', channels=1, dtype=np.uint16, width=40, height=9)
    for side in ('GT', 'LR4x'):
        shutil.move(wide / side / '000', root / side / '001')
    shapes = [item['gt'].shape for item in eval_set(root)]
    assert shapes == [(1, 48, 64)] * 5 + [(1, 36, 160)] * 5
    batch = next(iter(DataLoader(train_set(root), batch_size=10)))
    assert batch['lq'].shape == (10, 5, 1, 8, 8)
    item = eval_set(root)[0]
    assert item['bit_depth'] == 16
    expected = lr_frame(0, 0, channels=1, dtype=np.uint16)[..., 0].astype(np.float64) / 65535
    np.testing.assert_allclose(item['lq'][0, 0].numpy(), expected, atol=1e-7)


# --- test items


def test_items_are_whole_frames_with_the_toolboxs_fields(make_pairs: MakePairs) -> None:
    data = eval_set(make_pairs())
    assert data.opt['name'] == 'small'  # the toolbox's loops read it
    assert data.data_info['folder'] == ['000'] * 7 + ['001'] * 6
    assert data.data_info['gt_path'][7] == '001/000.png'
    item = data[8]
    assert {key: item[key] for key in ('folder', 'idx', 'border', 'lq_path', 'bit_depth')} == {
        'folder': '001', 'idx': '1/6', 'border': 1, 'lq_path': '001/001.png', 'bit_depth': 8}
    expected = torch.stack([to_float(lr_frame(1, frame)) for frame in (1, 0, 1, 2, 3)])
    assert torch.equal(item['lq'], expected) and item['lq'].is_contiguous()
    assert torch.equal(item['gt'], to_float(gt_frame(lr_frame(1, 1))))
    assert [item['border'] for item in data] == [1, 1, 0, 0, 0, 1, 1] + [1, 1, 0, 0, 1, 1]


def test_items_equal_the_toolboxs_reader(make_pairs: MakePairs) -> None:
    from basicsr.data.data_util import generate_frame_indices, read_img_seq

    root = make_pairs((6,))
    paths = sorted(str(path) for path in (root / 'LR4x' / '000').iterdir())
    for index, item in enumerate(eval_set(root, padding='reflection_circle')):
        window = generate_frame_indices(index, 6, 5, 'reflection_circle')
        assert torch.equal(item['lq'], read_img_seq([paths[i] for i in window]))


def test_each_frame_is_decoded_once(make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_pairs()
    data = eval_set(root)
    reads, read = [], ClipFolder.read
    monkeypatch.setattr(ClipFolder, 'read', lambda self, clip, frame: (
        reads.append(f'{self.root.name}/{clip}/{frame}'), read(self, clip, frame))[1])
    windows = [item['lq'] for item in data]
    assert sorted(reads) == sorted(f'{side}/{path}' for side in ('GT', 'LR4x') for path in data.data_info['lq_path'])
    for index in (12, 0, 7, 3):  # in any order, the same
        assert torch.equal(data[index]['lq'], windows[index])


def test_gt_is_optional_for_testing(make_pairs: MakePairs, caplog: pytest.LogCaptureFixture) -> None:
    root = make_pairs()
    data = eval_set(None, dataroot_lq=str(root / 'LR4x'))
    assert 'gt' not in data[0] and 'gt_path' not in data.data_info
    shutil.rmtree(root / 'GT')
    assert 'gt' not in eval_set(root)[0]
    assert 'Data set small has no GT' in caplog.text
    with pytest.raises(DataError, match='LR4x is here, but no GT; training needs GT'):
        train_set(root)


def test_real_clip(shared_dir: Path) -> None:
    from basicsr.data.data_util import read_img_seq

    root = shared_dir / 'data' / 'jilin1_clip'
    data = eval_set(root)
    assert len(data) == 7
    paths = sorted(str(path) for path in (root / 'LR4x' / '000').iterdir())
    assert data[3]['lq_path'] == '000/00000003.png' and data[3]['idx'] == '3/7'
    assert data[3]['gt'].shape == (3, 640, 640)
    assert torch.equal(data[3]['lq'], read_img_seq(paths[1:6]))
    torch.manual_seed(0)
    sample = train_set(root, gt_size=256)[3]
    # LR is the anti-aliased bicubic of GT: the mean over 4x4 pixels comes close only if the patches agree
    mean = torch.nn.functional.avg_pool2d(sample['gt'], SCALE)
    assert (mean - sample['lq'][2]).abs().mean() < 0.01
