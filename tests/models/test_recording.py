"""What a test writes down: values of every field, and what is said about files that are no records."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models.model_options import make_opt

from satvsr_plugin.archs import Bicubic
from satvsr_plugin.data import Jilin189TestDataset
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.errors import DataError
from satvsr_plugin.metrics import satvsr_psnr
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.test_record import read_record, record_path, recorded_datasets


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for clip, length in (('000', 3), ('001', 2)):
        for frame in range(length):
            write_image(tmp_path / f'data/GT/{clip}/{frame}.png', rng.integers(0, 256, (32, 48, 3), np.uint8))
            write_image(tmp_path / f'data/LR4x/{clip}/{frame}.png', rng.integers(0, 256, (8, 12, 3), np.uint8))
    return tmp_path / 'data'


def test_model(folder: Path, weights: Path | None = None, **val) -> SatVSRModel:
    opt = make_opt(folder, is_train=False, val=val) | {'network_g': {'type': 'Bicubic', 'scale': 4}, 'scale': 4}
    return SatVSRModel(opt)


test_model.__test__ = False


def run(model: SatVSRModel, root: Path, save_img: bool = False, **roots) -> None:
    dataset = Jilin189TestDataset(dict(name='clips', type='Jilin189TestDataset', scale=4, num_frame=1,
                                       num_worker_per_gpu=0, **(roots or {'dataroot': str(root)})))
    model.validation(SimpleNamespace(dataset=dataset), 'tiny', None, save_img)


def test_everything_is_written_down(clips, tmp_path):
    run(test_model(tmp_path), clips, save_img=True)
    assert recorded_datasets(tmp_path) == ['clips']
    record = read_record(record_path(tmp_path, 'clips'))
    assert (record.name, record.scale, record.weights) == ('tiny', 4, None)
    assert record.network == {'type': 'Bicubic', 'scale': 4}
    assert record.dataset.model_dump() == {'name': 'clips', 'backend': 'disk', 'lq': str(clips / 'LR4x'),
                                           'gt': str(clips / 'GT')}
    assert record.metrics == {'psnr': {'type': 'satvsr_psnr', 'color': 'rgb', 'crop_border': 0, 'quantize': True,
                                       'data_range': None, 'better': 'higher'}}
    assert record.settings == {'num_frame': 1, 'padding': 'center', 'flow_root': None, 'segment_length': None,
                               'segment_overlap': 5}
    clip = record.clips['001']
    assert (clip.height, clip.width, clip.bands, clip.bit_depth, clip.frames) == (32, 48, 3, 8, ['0', '1'])
    lq, gt = (read_image(clips / side / '001/1.png') for side in ('LR4x', 'GT'))
    assert (clip.lq_crc32[1], clip.gt_crc32[1]) == (zlib.crc32(lq.tobytes()), zlib.crc32(gt.tobytes()))
    result = Bicubic(4)(torch.from_numpy(lq / 255).float().permute(2, 0, 1)[None, None])[0].permute(1, 2, 0).numpy()
    assert clip.scores['psnr'][1] == pytest.approx(satvsr_psnr(result, gt, color='rgb'), abs=1e-4)
    assert record.average('psnr') == pytest.approx((record.clips['000'].mean('psnr') + clip.mean('psnr')) / 2)
    assert np.array_equal(read_image(record.picture(tmp_path, '001', '1')), (result.clip(0, 1) * 255 + 0.5).astype(int))


def test_without_gt_and_pictures(clips, tmp_path):
    run(test_model(tmp_path), clips, dataroot_lq=str(clips / 'LR4x'))
    record = read_record(record_path(tmp_path, 'clips'))
    assert record.metrics == {} and record.dataset.gt is None
    assert record.clips['000'].scores == {} and record.clips['000'].gt_crc32 == []
    assert record.picture(tmp_path, '000', '0') is None


def test_names_with_braces_do_no_harm(clips, tmp_path):
    run(test_model(tmp_path, suffix='{x}'), clips, save_img=True)
    assert read_record(record_path(tmp_path, 'clips')).picture(tmp_path, '000', '2').name == '2_{x}.png'


def test_validation_during_training_writes_no_record(clips, tmp_path):
    opt = make_opt(tmp_path)
    model = SatVSRModel(opt | {'network_g': opt['network_g'] | {'scale': 4, 'num_frame': 3}, 'scale': 4})
    dataset = Jilin189TestDataset(dict(name='clips', type='Jilin189TestDataset', scale=4, num_frame=3, clips=['000'],
                                       num_worker_per_gpu=0, dataroot=str(clips)))
    model.validation(SimpleNamespace(dataset=dataset), 1, None)
    assert recorded_datasets(tmp_path) == []


@pytest.mark.parametrize('change, message', [
    (lambda text: text[:100], 'is damaged'),
    (lambda text: '[]', 'is no test record of this version'),
    (lambda text: text.replace('"format": 1', '"format": 2'), 'is no test record of this version .format'),
    (lambda text: text.replace('"frames": [', '"frames": ["extra",', 1), 'columns differ in length'),
])
def test_what_is_no_record_is_named(clips, tmp_path, change, message):
    run(test_model(tmp_path), clips)
    path = record_path(tmp_path, 'clips')
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=f'test_clips.json: {message}' if 'columns' not in message else message):
        read_record(path)


def test_a_record_is_plain_json(clips, tmp_path):
    run(test_model(tmp_path), clips)
    assert json.loads(record_path(tmp_path, 'clips').read_text())['clips']['000']['frames'] == ['0', '1', '2']
