"""The data sets: layouts, lists, options, and every kind of bad input."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_clips import SCALE, MakePairs, eval_set, lr_frame, to_float, train_set

from satvsr_plugin.data import Jilin189Dataset, Jilin189TestDataset
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError, OptionError

# --- layouts and lists


@pytest.mark.parametrize(('make', 'folder'), [
    (train_set, '.'), (train_set, 'train'), (train_set, 'training_set'),
    (train_set, 'trainset/training_set'), (eval_set, '.'), (eval_set, 'eval'), (eval_set, 'test_set'),
    (eval_set, 'testset/eval'),
])
def test_layouts_of_the_release(make_pairs: MakePairs, tmp_path: Path, make: Any, folder: str) -> None:
    make_pairs(folder=folder)
    make_pairs((5,), folder='eval' if make is train_set else 'train')  # the other split is not taken
    assert len(make(tmp_path)) == 13


def test_home_folder(make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pairs(folder='data/train')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert len(train_set(Path('~/data'))) == 13


def test_dataroot_without_clips_of_the_scale(make_pairs: MakePairs) -> None:
    root = make_pairs()
    with pytest.raises(DataError, match=r'no LR2x in any of .*training_set; .*degrade_clips.py') as caught:
        train_set(root, scale=2)
    assert 'data set small' in str(caught.value)
    with pytest.raises(DataError, match=r'no LR4x.lmdb in any of .*prepare_lmdb.py'):
        train_set(root, io_backend={'type': 'lmdb'})


def test_list_of_frames(make_pairs: MakePairs, tmp_path: Path) -> None:
    root = make_pairs((7, 6, 5))
    (tmp_path / 'list.txt').write_text('\n  002 \r\n\n000/004.png  \n\t000/001\n', encoding='utf-8-sig')
    data = eval_set(root, meta_info_file=str(tmp_path / 'list.txt'))
    assert data.data_info['lq_path'][:5] == [f'002/{frame:03d}.png' for frame in range(5)]
    assert data.data_info['lq_path'][5:] == ['000/001.png', '000/004.png']
    assert data.data_info['idx'][5:] == ['0/2', '1/2']
    # neighbours come from the whole clip
    assert torch.equal(data[6]['lq'], torch.stack([to_float(lr_frame(0, frame)) for frame in (2, 3, 4, 5, 6)]))


def test_chosen_clips(make_pairs: MakePairs, tmp_path: Path) -> None:
    root = make_pairs((7, 6, 5))
    assert eval_set(root, clips=['002', '000']).data_info['folder'] == ['002'] * 5 + ['000'] * 7
    with pytest.raises(DataError, match='clip 007: there is none'):
        eval_set(root, clips=['000', '007'])
    with pytest.raises(OptionError, match='either clips or meta_info_file'):
        eval_set(root, clips=['000'], meta_info_file=str(tmp_path / 'list.txt'))


def test_list_that_names_what_is_not_there(make_pairs: MakePairs, tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text('000/001.png\n\n000/777.png\n009\n000/001.png\n000\n')
    with pytest.raises(DataError) as caught:
        train_set(make_pairs(), meta_info_file=str(tmp_path / 'list.txt'))
    message = str(caught.value)
    assert 'list.txt: 4 problems' in message
    for line in ('line 3: 000/777.png is not in', 'line 4: 009 is not in', 'line 5: 000/001.png was listed before',
                 'line 6: 000 was listed before'):
        assert line in message
    (tmp_path / 'list.txt').write_text('\n\n')
    with pytest.raises(DataError, match='names no frame'):
        train_set(tmp_path, meta_info_file=str(tmp_path / 'list.txt'))
    with pytest.raises(DataError, match='none.txt: cannot read the file'):
        train_set(tmp_path, meta_info_file=str(tmp_path / 'none.txt'))


def test_clips_that_a_list_leaves_out_may_be_faulty(make_pairs: MakePairs, tmp_path: Path) -> None:
    root = make_pairs((7, 2))
    (tmp_path / 'list.txt').write_text('000')
    assert len(train_set(root, meta_info_file=str(tmp_path / 'list.txt'))) == 7


# --- bad input


def _remove(*places: str) -> Any:
    def spoil(root: Path) -> None:
        for place in places:
            target = root / place
            shutil.rmtree(target) if target.is_dir() else target.unlink()
    return spoil


def _write(place: str, **kind: Any) -> Any:
    def spoil(root: Path) -> None:
        for path in sorted((root / place).parent.glob(Path(place).name)):
            write_image(path, lr_frame(1, 1, **kind))
    return spoil


def _cut_short(place: str) -> Any:
    return lambda root: (root / place).write_bytes((root / place).read_bytes()[:30])


@pytest.mark.parametrize(('spoil', 'message'), [
    (_remove('LR4x/001/003.png'), '001/003: LR frame missing'),
    (_remove('GT/001/003.png'), '001/003: GT frame missing'),
    (_remove('LR4x/001'), 'clip 001: no LR clip of this name in .*LR4x'),
    (_remove('GT/001'), 'clip 001: no GT clip of this name in .*GT'),
    (_write('GT/001/*.png', width=60, height=48),
     '001/000.png: LR is 16x12 and GT 60x48; at scale 4 GT should be 64x48'),
    (_cut_short('GT/001/000.png'), 'GT: 001/000.png: not a readable image'),
    (_remove(*(f'{side}/001/{frame:03d}.png' for side in ('GT', 'LR4x') for frame in range(6))),
     'clip 001: no images in it'),
    (_remove(*(f'{side}/001/{frame:03d}.png' for side in ('GT', 'LR4x') for frame in range(2))),
     'clip 001: 4 frames, but the window spans 5'),
    (_write('LR4x/001/*.png', channels=1), '001/000.png: LR is 16x12, 1 channel, 8 bit, but GT 64x48, 3 channels'),
    (_write('LR4x/001/*.png', dtype=np.uint16), '001/000.png: LR is 16x12, 3 channels, 16 bit, but GT .* 8 bit'),
])
def test_bad_input_is_refused_at_once(make_pairs: MakePairs, spoil: Any, message: str) -> None:
    root = make_pairs()
    spoil(root)
    for make in (train_set, eval_set):
        with pytest.raises(DataError, match=message):
            make(root)


def test_all_problems_are_listed_together(make_pairs: MakePairs) -> None:
    root = make_pairs((7, 6, 5))
    _remove('LR4x/000/001.png', 'GT/000/002.png', 'LR4x/002')(root)
    with pytest.raises(DataError, match='(?s)3 problems.*000/001: LR frame.*000/002: GT frame.*clip 002: no LR'):
        eval_set(root)


def test_clips_with_unlike_channels(make_pairs: MakePairs) -> None:
    root = make_pairs((5,))
    grey = make_pairs((5,), folder='grey', channels=1)
    for side in ('GT', 'LR4x'):
        shutil.move(grey / side / '000', root / side / '001')
    with pytest.raises(DataError, match='differ in their number of channels: 3 in clip 000, 1 in clip 001'):
        train_set(root)


def test_patch_larger_than_the_frames(make_pairs: MakePairs) -> None:
    with pytest.raises(DataError, match='000/000.png: GT is 64x48, smaller than gt_size 52'):
        train_set(make_pairs(), gt_size=52)


def test_interval_longer_than_the_clip(make_pairs: MakePairs) -> None:
    root = make_pairs((9,))
    assert len(train_set(root, interval_list=[1, 2])) == 9
    with pytest.raises(DataError, match='clip 000: 9 frames, but the window spans 13'):
        train_set(root, interval_list=[1, 3])


@pytest.mark.parametrize(('spoil', 'message'), [
    (_cut_short('LR4x/001/003.png'), 'LR4x: 001/003.png: not a readable image'),
    (_write('LR4x/001/003.png', width=20), 'LR4x: 001/003.png: is 20x12, .*first frame of the clip is 16x12'),
    (_write('GT/001/003.png', width=64, height=48, channels=1), 'GT: 001/003.png: is 64x48, 1 channel'),
])
def test_bad_frames_are_named_when_read(make_pairs: MakePairs, spoil: Any, message: str) -> None:
    root = make_pairs()
    spoil(root)
    for make in (train_set, eval_set):
        data = make(root)
        with pytest.raises(DataError, match=message):
            data[10]


# --- options


@pytest.mark.parametrize(('options', 'message'), [
    ({'num_frame': 4}, 'num_frame: 4 is even'),
    ({'gt_size': 30}, 'gt_size: 30 is not a multiple of scale 4; use 28'),
    ({'gt_sise': 32}, 'gt_sise: unknown option; did you mean gt_size'),
    ({'gt_size': None}, 'gt_size: must be a whole number, not empty'),
    ({'interval_list': []}, 'interval_list: must be at least 1 long'),
    ({'padding': 'centre'}, "padding: must be 'center', 'replicate'"),
    ({'dataroot_lq': 'LR4x'}, 'give either dataroot, or dataroot_gt and dataroot_lq, not both'),
    ({'dataroot': None}, 'no clips; give dataroot'),
    ({'dataroot': None, 'dataroot_lq': 'LR4x'}, 'no GT; training needs dataroot_gt'),
    ({'io_backend': {'type': 'memcached'}}, "io_backend.type: must be 'disk' or 'lmdb', not the text 'memcached'"),
])
def test_wrong_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=f'(?s)data set small:.*{message}'):
        train_set(tmp_path, **options)


def test_all_wrong_options_are_listed(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match='(?s)num_frame: .*use_flip: .*shuffle: '):
        train_set(tmp_path, num_frame=4, use_flip='yes', shuffle=True)


def test_missing_options() -> None:
    missing = '(?s)data set without name:.* name: is missing; add.* gt_size: is missing; add'
    with pytest.raises(OptionError, match=missing):
        Jilin189Dataset({})


def test_the_toolboxs_own_keys_are_accepted(make_pairs: MakePairs) -> None:
    data = train_set(make_pairs(), num_worker_per_gpu=2, batch_size_per_gpu=4, use_shuffle=True,
                     dataset_enlarge_ratio=10, prefetch_mode='cpu', num_prefetch_queue=2, pin_memory=True,
                     persistent_workers=True, io_backend={'type': 'disk'}, meta_info_file=None)
    assert len(data) == 13


def test_the_toolbox_builds_them(make_pairs: MakePairs) -> None:
    from basicsr.data import build_dataset

    built = build_dataset({'name': 'small', 'type': 'Jilin189TestDataset', 'phase': 'val', 'scale': SCALE,
                           'dataroot': str(make_pairs()), 'io_backend': {'type': 'disk'}})
    assert isinstance(built, Jilin189TestDataset) and len(built) == 13
