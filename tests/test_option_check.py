"""Every rule of the option check: one edit of a sound option file, and what the user is told."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.errors import OptionError
from satvsr_plugin.option_check import check_options
from satvsr_plugin.options import load_options

REMOVED = object()
NO_GPU = not torch.cuda.is_available()

TRAIN = """
name: small
model_type: SatVSRModel
scale: 4
num_gpu: 0
manual_seed: 0
datasets:
  train:
    name: clips
    type: Jilin189Dataset
    dataroot: DATA
    io_backend: {type: disk}
    num_frame: 3
    gt_size: 16
    batch_size_per_gpu: 2
    num_worker_per_gpu: 0
  val_real:
    name: real
    type: Jilin189TestDataset
    dataroot: DATA
    num_frame: 3
network_g: {type: MSDTGP, num_feat: 8, num_base_feat: 8, num_frame: 3, deformable_groups: 2}
path: {pretrain_network_g: ~, strict_load_g: true, resume_state: ~}
train:
  ema_decay: 0.999
  optim_g: {type: Adam, lr: 1e-4, weight_decay: 0, betas: [0.9, 0.99]}
  scheduler: {type: CosineAnnealingRestartLR, periods: [10], restart_weights: [1], eta_min: 1e-7}
  total_iter: 10
  warmup_iter: -1
  pixel_opt: {type: CharbonnierLoss, loss_weight: 1.0, reduction: mean}
val:
  val_freq: !!float 5e0
  save_img: false
  metrics:
    psnr: {type: satvsr_psnr, color: y, better: higher}
    ssim: {type: satvsr_ssim}
logger: {print_freq: 1, save_checkpoint_freq: 5e3, use_tb_logger: false, wandb: {project: ~, resume_id: ~}}
dist_params: {backend: nccl, port: 29500}
"""

FOREIGN = """
name: edsr
model_type: SRModel
scale: 4
num_gpu: 0
datasets:
  train: {name: a, type: PairedImageDataset, dataroot_gt: DATA/GT, dataroot_lq: DATA/LR4x, io_backend: {type: disk},
          gt_size: 16, use_hflip: true, batch_size_per_gpu: 2, num_worker_per_gpu: 1, prefetch_mode: ~}
  val: {name: b, type: PairedImageDataset, dataroot_gt: DATA/GT, dataroot_lq: DATA/LR4x, io_backend: {type: disk}}
network_g: {type: EDSR, num_in_ch: 3, num_out_ch: 3, num_feat: 8, num_block: 1, upscale: 4, rgb_mean: [0.4, 0.4, 0.4]}
path: {pretrain_network_g: ~}
train:
  ema_decay: 0.999
  optim_g: {type: Adam, lr: !!float 1e-4}
  scheduler: {type: MultiStepLR, milestones: [5], gamma: 0.5}
  total_iter: 10
  pixel_opt: {type: L1Loss}
val: {val_freq: 5, save_img: false, metrics: {psnr: {type: calculate_psnr, crop_border: 4, anything: 1}}}
logger: {print_freq: 1, save_checkpoint_freq: 5, use_tb_logger: false}
queue_size: 180
"""


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of three frames, LR 8x8 and GT 32x32."""
    root, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    for folder, size in (('GT', 32), ('LR4x', 8)):
        for name in (f'{clip}/{frame:03d}.png' for clip in ('000', '001') for frame in range(3)):
            write_image(root / folder / name, rng.integers(0, 256, (size, size, 3), np.uint8))
    return root


@pytest.fixture
def check(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Edit a sound file and check it: the lines of the error, and nothing may have been created."""
    monkeypatch.chdir(tmp_path)

    def check_edited(edits: dict[str, Any], *, text: str = TRAIN, is_train: bool = True) -> list[str]:
        file = tmp_path / 'options.yml'
        file.write_text(text.replace('DATA', str(data)))
        opt = edit(load_options(file), edits)
        before = deepcopy(opt)
        try:
            check_options(opt, is_train=is_train, file='options.yml')
        except OptionError as error:
            return str(error).splitlines()
        finally:
            assert opt == before
            assert list(tmp_path.iterdir()) == [file]
        return []

    return check_edited


def edit(opt: dict[str, Any], edits: dict[str, Any]) -> dict[str, Any]:
    """Set options by their dotted names, or remove them."""
    for name, value in edits.items():
        *sections, key = name.split('.')
        section = opt
        for part in sections:
            section = section[part]
        if value is REMOVED:
            del section[key]
        else:
            section[key] = value
    return opt


def for_testing(edits: dict[str, Any]) -> dict[str, Any]:
    """The edits that make a training file one for testing, besides ``edits``."""
    removed = dict.fromkeys(('datasets.train', 'train', 'logger', 'val.val_freq'), REMOVED)
    return removed | edits


def test_sound_files_pass(check) -> None:
    assert check({}) == []
    assert check({}, text=FOREIGN) == []
    assert check({'val': REMOVED, 'datasets.val_real': REMOVED}) == []
    assert check(for_testing({}), is_train=False) == []
    assert check(for_testing({}), text=FOREIGN, is_train=False) == []


@pytest.mark.parametrize('edits, expected', [
    # the top level
    ({'name': REMOVED}, 'name: is missing; add it'),
    ({'name': 'a/b'}, "name: 'a/b' cannot be the name of a folder"),
    ({'name': ''}, "name: must be given, not the text ''"),
    ({'name': 7}, 'name: must be text, not 7; put it in quotes'),
    ({'nmae': 'x'}, 'nmae: unknown option; did you mean name?'),
    ({'root': 'x'}, 'root: unknown option; '),
    ({'model_type': 'SatVSR'}, 'model_type: there is no SatVSR; did you mean SatVSRModel?'),
    ({'model_type': REMOVED}, 'model_type: is missing'),
    ({'num_gpu': 'all'}, "num_gpu: must be a whole number or 'auto', not the text 'all'"),
    ({'num_gpu': -1}, "num_gpu: must be greater than or equal to 0 or 'auto', not -1"),
    ({'manual_seed': -1}, 'manual_seed: must be greater than or equal to 0, not -1'),
    ({'network_g': REMOVED}, 'network_g: is missing'),
    ({'path': REMOVED}, 'path: is missing'),
    ({'logger': REMOVED}, 'logger: is missing'),
    ({'train': REMOVED}, 'train: is missing'),
    ({'train': None}, 'train: must be a section of options, not empty'),
    ({'val': None}, 'val: is empty; fill it or remove the line'),
    ({'datasets': 5}, 'datasets: must be a section of options, not 5'),
    # data
    ({'datasets.train': REMOVED}, 'datasets.train: is missing; training needs it'),
    ({'datasets.test': {}}, 'datasets.test: is not used in training; call it train, val or val_NAME'),
    ({'datasets.val2': None}, 'datasets.val2: is not used in training'),
    ({'datasets.train.type': 'Jilin189'}, 'datasets.train.type: there is no Jilin189; did you mean Jilin189Dataset?'),
    ({'datasets.train.type': REMOVED}, 'datasets.train.type: is missing'),
    ({'datasets.val_real.name': REMOVED}, 'datasets.val_real.name: is missing'),
    ({'datasets.train.gt_sise': 1}, 'datasets.train.gt_sise: unknown option; did you mean gt_size?'),
    ({'datasets.train.gt_size': '16'}, "datasets.train.gt_size: must be a whole number, not the text '16'; "
                                       'write 16 without quotes'),
    ({'datasets.train.gt_size': 18}, 'datasets.train.gt_size: 18 is not a multiple of scale 4'),
    ({'datasets.train.padding': 'centre'}, 'datasets.train.padding: must be '),
    ({'datasets.train.io_backend.typ': 1}, 'datasets.train.io_backend.typ: unknown option; did you mean type?'),
    ({'datasets.train.dataroot': '/no/such'}, 'datasets.train: '),
    ({'datasets.train.batch_size_per_gpu': REMOVED}, 'datasets.train.batch_size_per_gpu: is missing'),
    ({'datasets.train.batch_size_per_gpu': 0}, 'datasets.train.batch_size_per_gpu: must be greater than'),
    ({'datasets.train.batch_size_per_gpu': 7}, 'datasets.train.batch_size_per_gpu: is 7, but the data set has 6 '),
    ({'datasets.train.num_worker_per_gpu': REMOVED}, 'datasets.train.num_worker_per_gpu: is missing'),
    ({'datasets.train.persistent_workers': True}, 'datasets.train.persistent_workers: is true, but there are no '),
    ({'datasets.val_real.persistent_workers': True}, 'datasets.val_real.persistent_workers: is true'),
    ({'datasets.train.prefetch_mode': 'gpu'}, "datasets.train.prefetch_mode: must be 'cpu' or 'cuda', not the text "),
    ({'datasets.train.prefetch_mode': 'cuda'}, 'datasets.train.pin_memory: must be true for prefetch_mode: cuda'),
    ({'datasets.train.num_frame': 5}, 'datasets.train.num_frame: is 5, but network_g.num_frame is 3'),
    ({'datasets.val_real.num_frame': REMOVED}, 'datasets.val_real.num_frame: is 5, but network_g.num_frame is 3'),
    ({'datasets.val_2': {'name': 'real'}}, "datasets.val_2.name: is real, like datasets.val_real's"),
    # network
    ({'network_g.type': 'MSDTPG'}, 'network_g.type: there is no MSDTPG; did you mean MSDTGP?'),
    ({'network_g.num_faet': 8}, 'network_g.num_faet: unknown option; did you mean num_feat?'),
    ({'network_g': {'type': 'MSDTGP', 1: 2}}, 'network_g.1: unknown option; known here: num_in_ch, '),
    ({'network_g.deformable_groups': 0}, 'network_g: MSDTGP'),
    ({'network_g.num_feat': 8.5}, 'network_g.num_feat: must be a whole number, not 8.5'),
    ({'network_g.dcn': 'tv'}, "network_g.dcn: must be 'auto', 'mmcv', 'torchvision' or 'triton', not "),
    ({'network_g.scale': 2}, 'network_g.scale: is 2, but scale is 4; make them equal'),
    ({'scale': 8}, 'network_g.scale: is 4, but scale is 8; make them equal'),
    ({'scale': REMOVED}, 'scale: is missing; add it'),
    ({'network_g.deformable_groups': 3}, 'network_g: MSDTGP: deformable_groups: 3 does not divide'),
    # paths
    ({'path.pretrain_network_g': 'no.pth'}, 'path.pretrain_network_g: there is no file no.pth'),
    ({'path.resume_state': 'no.state'}, 'path.resume_state: there is no file no.state'),
    ({'path.pretrain_network': 'x'}, 'path.pretrain_network: unknown option; did you mean pretrain_network_g?'),
    ({'path.strict_load_g': 'no'}, "path.strict_load_g: must be true or false, not the text 'no'"),
    ({'path.param_key_g': 1}, 'path.param_key_g: must be text like params or params_ema, not 1'),
    # training
    ({'train.total_iter': REMOVED}, 'train.total_iter: is missing; add it (number of training steps)'),
    ({'train.total_iter': 2.5}, 'train.total_iter: must be a whole number, not 2.5'),
    ({'train.total_iter': 0}, 'train.total_iter: must be greater than 0, not 0'),
    ({'train.amp': 'fp8'}, "train.amp: must be 'none', 'fp16' or 'bf16', not the text 'fp8'"),
    ({'train.grad_clip': 1}, 'train.grad_clip: unknown option; did you mean grad_clip_norm?'),
    ({'train.optim_g': REMOVED}, 'train.optim_g: is missing'),
    ({'train.optim_g.type': 'Adma'}, 'train.optim_g.type: Adma cannot be used; did you mean Adam?'),
    ({'train.optim_g.lr': '1e-4'}, "train.optim_g.lr: must be a number, not the text '1e-4'; write 1e-4 without "
                                   'quotes (after --force_yml: "!!float 1e-4")'),
    ({'train.optim_g.lr': float('inf')}, 'train.optim_g.lr: must be a finite number, not inf'),
    ({'train.optim_g.lr': REMOVED}, 'train.optim_g.lr: is missing'),
    ({'train.optim_g.beta': 1}, 'train.optim_g.beta: unknown option; did you mean betas?'),
    ({'train.optim_g.betas': [0.9]}, 'train.optim_g.betas: must be at least 2 long, not the list [0.9]'),
    ({'train.optim_g.betas': [0.9, 1]}, 'train.optim_g.betas.1: must be less than 1, not 1'),
    ({'train.scheduler': REMOVED}, 'train.scheduler: is missing'),
    ({'train.scheduler.type': 'StepLR'}, 'train.scheduler.type: there is no scheduler StepLR; did you mean '),
    ({'train.total_iter': 11}, 'train.scheduler.periods: cover 10 steps of 11 (train.total_iter)'),
    ({'train.scheduler.restart_weights': [1, 1]}, 'train.scheduler: periods has 1 entries and restart_weights 2'),
    ({'train.scheduler': {'type': 'MultiStepLR'}}, 'train.scheduler.milestones: is missing'),
    ({'train.scheduler': {'type': 'MultiStepLR', 'milestones': [5], 'restarts': [0, 5]}},
     'train.scheduler: restarts has 2 entries and restart_weights 1'),
    ({'train.pixel_opt': REMOVED}, 'train.pixel_opt: is missing; there is no loss to train with'),
    ({'train.pixel_opt.type': 'L1'}, 'train.pixel_opt.type: there is no L1; did you mean L1Loss?'),
    ({'train.pixel_opt.weight': 1}, 'train.pixel_opt.weight: unknown option; did you mean loss_weight?'),
    ({'train.pixel_opt.reduction': 'none'}, 'train.pixel_opt.reduction: must be mean or sum'),
    # validation
    ({'val.val_freq': REMOVED}, 'val.val_freq: is missing'),
    ({'val.save_img': REMOVED}, 'val.save_img: is missing'),
    ({'val.val_freq': 0}, 'val.val_freq: must be greater than 0, not 0'),
    ({'val.metrics.psnr.type': 'psnr'}, 'val.metrics.psnr.type: there is no psnr; did you mean calculate_psnr or '),
    ({'val.metrics.psnr.colour': 'y'}, 'val.metrics.psnr.colour: unknown option; did you mean color?'),
    ({'val.metrics.psnr.color': 'ycbcr'}, "val.metrics.psnr.color: must be 'y' or 'rgb', not the text 'ycbcr'"),
    ({'val.metrics.psnr.better': 'more'}, "val.metrics.psnr.better: must be higher or lower, not the text 'more'"),
    ({'val.metrics.psnr': 5}, 'val.metrics.psnr: must be a section of options, not 5'),
    ({'val.best_metric': 'psnt'}, 'val.best_metric: there is no metric psnt; did you mean psnr?'),
    # log
    ({'logger.print_freq': 0}, 'logger.print_freq: must be greater than 0, not 0'),
    ({'logger.save_checkpoint_freq': REMOVED}, 'logger.save_checkpoint_freq: is missing'),
    ({'logger.use_tb_logger': REMOVED}, 'logger.use_tb_logger: is missing'),
    ({'logger.wandb.project': 'x'}, 'logger.wandb: needs use_tb_logger: true'),
    ({'logger': {1: 2}}, 'logger.1: must be text, not 1; put it in quotes'),
    ({'logger.print': 1}, 'logger.print: unknown option; did you mean print_freq?'),
    ({'dist_params.prot': 1}, 'dist_params.prot: unknown option; did you mean port?'),
])
def test_one_mistake_gives_one_line(check, edits: dict[str, Any], expected: str) -> None:
    lines = check(edits)
    told = [line for line in lines if line.startswith(f'options.yml: {expected}')]
    assert len(told) == 1, lines


@pytest.mark.parametrize('edits, expected', [
    ({'val': REMOVED}, 'val: is missing'),
    ({'val.save_img': REMOVED}, 'val.save_img: is missing'),
    ({'datasets': {}}, 'datasets: is empty; testing needs at least one data set'),
    ({'datasets.train': {}}, 'datasets.train: is not used in testing'),
    ({'datasets.val_real.gt_size': 16}, 'datasets.val_real.gt_size: unknown option'),
])
def test_test_files(check, edits: dict[str, Any], expected: str) -> None:
    removed = for_testing({})
    if 'val' in edits:
        removed.pop('val.val_freq')
    lines = check(removed | edits, is_train=False)
    assert [line for line in lines if line.startswith(f'options.yml: {expected}')], lines


@pytest.mark.parametrize('edits, expected', [
    ({'scael': 4}, 'scael: unknown option; did you mean scale?'),
    ({'network_g.num_blok': 1}, 'network_g.num_blok: unknown option; did you mean num_block?'),
    ({'network_g.num_in_ch': REMOVED}, 'network_g.num_in_ch: is missing'),
    ({'network_g.upscale': 2}, 'network_g.scale: is 2, but scale is 4'),
    ({'datasets.train.dataroot_gt': '/no/such'}, 'datasets.train.dataroot_gt: there is no /no/such'),
    ({'datasets.train.batch_size_per_gpu': 2.0}, 'datasets.train.batch_size_per_gpu: must be a whole number'),
    ({'train.scheduler.milestones': 5}, 'train.scheduler.milestones: must be a list, not 5'),
    ({'train.total_iter': REMOVED}, 'train.total_iter: is missing'),
    ({'val.metrics.psnr.crop_border': REMOVED}, 'val.metrics.psnr.crop_border: is missing'),
    ({'model_type': 'VideoBaseModel', 'val.metrics': REMOVED}, 'val.metrics: is missing; VideoBaseModel reads it'),
    ({'model_type': 'VideoBaseModel', 'val.save_img': True}, 'val.save_img: VideoBaseModel cannot save pictures'),
])
def test_classes_of_the_toolbox(check, edits: dict[str, Any], expected: str) -> None:
    lines = check(edits, text=FOREIGN)
    assert len(lines) == 1 and lines[0].startswith(f'options.yml: {expected}'), lines


def test_suffix_of_saved_pictures(check) -> None:
    lines = check(for_testing({'val.save_img': True}), text=FOREIGN, is_train=False)
    assert lines == ['options.yml: val.suffix: is missing; SRModel reads it (~ for none)']


def test_all_mistakes_are_told_at_once(check) -> None:
    lines = check({'nmae': 'x', 'train.amp': 'fp8', 'network_g.dcn': 'tv', 'datasets.val_real.padding': 'x'})
    told = [line.split(': ')[1] for line in lines]
    assert told == ['nmae', 'network_g.dcn', 'datasets.val_real.padding', 'train.amp']


def test_broken_data_is_found(check, data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp('broken')
    shutil.copytree(data, root, dirs_exist_ok=True)
    (root / 'LR4x/001/002.png').unlink()
    text = '\n'.join(check({'datasets.train.dataroot': str(root)}))
    assert text.startswith('options.yml: datasets.train: ') and '001' in text and '002' in text


def test_too_little_shared_memory(check, monkeypatch: pytest.MonkeyPatch) -> None:
    """By pages: a training batch takes one for LR and two for GT, a test window one and three."""
    import satvsr_plugin.option_check.shared_memory as module

    edits = {'datasets.train.num_worker_per_gpu': 1, 'datasets.train.batch_size_per_gpu': 2}
    monkeypatch.setattr(module, 'free_shared_memory', lambda: 5 * 4 * 4096)  # of 2 processes for test windows
    assert check(edits) == []
    monkeypatch.setattr(module, 'free_shared_memory', lambda: 3 * 3 * 4096 - 1)
    line, = check({**edits, 'datasets.val_real.num_worker_per_gpu': 0})
    assert line == ('options.yml: datasets.train.num_worker_per_gpu: with 1 loader process, batches take up to 36.9 kB '
                    'of shared memory, but /dev/shm has 36.9 kB free; set it to 0 (or lower it, or batch_size_per_gpu '
                    'or gt_size), or give more memory: docker run --shm-size=SIZE or --ipc=host')
    line, = check({})
    assert line.startswith('options.yml: datasets.val_real.num_worker_per_gpu: with 2 loader processes, batches take '
                           'up to 81.9 kB')
    monkeypatch.setattr(module, 'free_shared_memory', lambda: None)
    assert check(edits) == []


@pytest.mark.skipif(not NO_GPU, reason='needs a machine without a GPU')
def test_missing_gpu(check) -> None:
    assert check({'num_gpu': 1}) == ['options.yml: num_gpu: is 1, but PyTorch sees no GPU; use auto, or 0 for the CPU']
    lines = check({'datasets.train.prefetch_mode': 'cuda', 'datasets.train.pin_memory': True})
    assert lines == ['options.yml: datasets.train.prefetch_mode: is cuda, but PyTorch sees no GPU; use ~ or cpu']


def test_data_with_other_channels(check, data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp('grey')
    for file in data.rglob('*.png'):
        write_image(root / file.relative_to(data), read_image(file)[..., :1])
    assert check({'datasets.train.dataroot': str(root)}) == [
        'options.yml: network_g.num_in_ch: is 3, but the frames of datasets.train have 1 channels; make them equal']


@pytest.mark.parametrize('metric, expected', [
    ({'type': 'satvsr_psnr', 'crop_border': 16},
     'crop_border: 16 leaves nothing of a picture of 32x32 pixels'),
    ({'type': 'satvsr_psnr', 'data_range': 2},
     'pixel value 255 is above data_range 2; set it to the true peak'),
    ({'type': 'satvsr_ssim', 'crop_border': 11},
     'SSIM needs at least 11x11 pixels, there are 10x10 (crop_border: 11); use larger pictures or a smaller '
     'crop_border'),
])
def test_metrics_that_cannot_score_the_pictures(check, metric: dict[str, Any], expected: str) -> None:
    start = 'options.yml: val.metrics.odd: metric odd cannot score 000/000.png: '
    assert check({'val.metrics.odd': metric}) == [start + expected]


def test_metric_of_the_toolbox_that_cannot_score_the_pictures(check) -> None:
    line, = check({'val.metrics.niqe': {'type': 'calculate_niqe', 'crop_border': 0, 'better': 'lower'}})
    assert line.startswith('options.yml: val.metrics.niqe: metric niqe cannot score 000/000.png: ')


def test_luma_of_four_bands(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, size in (('GT', 32), ('LR4x', 8)):
        for frame in range(3):
            write_image(tmp_path / 'bands' / folder / f'a/{frame}.png', rng.integers(0, 256, (size, size, 4), np.uint8))
    (tmp_path / 'options.yml').write_text(TRAIN.replace('DATA', str(tmp_path / 'bands')))
    bands = {'network_g.num_in_ch': 4, 'network_g.num_out_ch': 4}
    opt = edit(load_options(tmp_path / 'options.yml'), bands)
    with pytest.raises(OptionError) as caught:
        check_options(opt, is_train=True, file='options.yml')
    assert str(caught.value).splitlines() == [
        f"options.yml: val.metrics.{metric}: metric {metric} cannot score a/0.png: color: 'y' needs pictures of 3 "
        'bands or 1, these have 4; set color: rgb' for metric in ('psnr', 'ssim')]
    check_options(edit(opt, {f'val.metrics.{metric}.color': 'rgb' for metric in ('psnr', 'ssim')}), is_train=True,
                  file='options.yml')


def test_missing_gt_is_remarked_by_the_run_not_by_the_check(check, data: Path, caplog) -> None:
    without_gt = {'datasets.val_real.dataroot': REMOVED, 'datasets.val_real.dataroot_lq': str(data / 'LR4x')}
    assert check(without_gt) == []
    assert caplog.text == ''
