"""Validation: scores of clips, CSV, pictures, several sets, sets without GT, and the best checkpoint."""

from __future__ import annotations

import csv
import multiprocessing
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models.model_options import make_opt

from satvsr_plugin.archs import Bicubic
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.metrics import satvsr_psnr
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.models.pictures import to_integers
from satvsr_plugin.models.scores import Scores


class Clips:
    """A data set in memory: ``frames`` maps a clip to its number of frames."""

    def __init__(self, name: str, frames: dict[str, int], with_gt: bool = True, bit_depth: int = 8) -> None:
        self.opt = {'name': name}
        self.places = [(clip, frame) for clip, count in frames.items() for frame in range(count)]
        self.data_info = {'folder': [clip for clip, _ in self.places], 'gt_path': ['x'] if with_gt else []}
        self.with_gt, self.bit_depth = with_gt, bit_depth

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict:
        g = torch.Generator().manual_seed(index)
        clip, frame = self.places[index]
        peak = 2**self.bit_depth - 1
        lq = (torch.rand(3, 3, 8, 8, generator=g) * peak).round() / peak
        gt = (torch.rand(3, 16, 16, generator=g) * peak).round() / peak
        sample = {'lq': lq, 'folder': clip, 'lq_path': f'{clip}/{frame:03d}.png', 'bit_depth': self.bit_depth}
        return sample | ({'gt': gt} if self.with_gt else {})


@pytest.fixture
def model(tmp_path) -> SatVSRModel:
    return SatVSRModel(make_opt(tmp_path, val={'best_metric': 'psnr', 'metrics': {
        'psnr': {'type': 'satvsr_psnr', 'color': 'rgb'}, 'toolbox': {'type': 'calculate_psnr', 'crop_border': 0}}}))


def validate(model: SatVSRModel, dataset: Clips, iteration: int | str = 1, save_img: bool = False) -> None:
    model.validation(SimpleNamespace(dataset=dataset), iteration, None, save_img)


def expected_psnr(dataset: Clips, index: int) -> float:
    """An untrained network with the bicubic residual is bicubic."""
    sample = dataset[index]
    result = Bicubic(2)(sample['lq'][None])[0].permute(1, 2, 0).numpy()
    gt = to_integers(sample['gt'].permute(1, 2, 0).numpy(), dataset.bit_depth)
    return satvsr_psnr(result, gt, color='rgb')


def rows_of(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_average_counts_every_clip_the_same():
    scores = Scores(['a', 'a', 'a', 'b'], ['psnr', 'ssim'], torch.device('cpu'))
    for frame, values in enumerate([(30, 0.9), (32, 0.8), (34, 0.7), (20, 0.5)]):
        scores.put(frame, values)
    assert scores.per_clip() == {'a': pytest.approx({'psnr': 32, 'ssim': 0.8}), 'b': {'psnr': 20, 'ssim': 0.5}}
    assert scores.average() == pytest.approx({'psnr': 26, 'ssim': 0.65})


class CountedClips(Clips):
    """Counts, across processes, how many samples were read, and refuses to read in the process of the network."""

    def __init__(self, frames: dict[str, int], readers: int | None) -> None:
        super().__init__('counted', frames)
        self.opt['num_worker_per_gpu'] = readers
        self.home, self.read = os.getpid(), multiprocessing.get_context('fork').Value('i', 0)

    def __getitem__(self, index: int) -> dict:
        assert (os.getpid() == self.home) == (self.opt['num_worker_per_gpu'] == 0)
        with self.read.get_lock():
            self.read.value += 1
        return super().__getitem__(index)


@pytest.mark.parametrize('readers', [None, 1, 3])
def test_frames_are_read_ahead_while_the_network_works(model, readers, monkeypatch):
    dataset = CountedClips({'a': 4, 'b': 4}, readers)
    test, order = model.test, []

    def test_once_others_are_read() -> None:
        """The network takes its time: it ends when the readers have read what comes next."""
        order.append(len(order))
        waited = time.monotonic()
        while dataset.read.value < min(order[-1] + 2, 8):
            assert time.monotonic() - waited < 60, 'nothing is read while the network works'
            time.sleep(0.001)
        test()

    monkeypatch.setattr(model, 'test', test_once_others_are_read)
    validate(model, dataset)
    assert len(order) == dataset.read.value == 8
    monkeypatch.undo()
    ahead = model.best_metric_results['counted']['psnr']['val']
    validate(model, CountedClips({'a': 4, 'b': 4}, 0), iteration=2)
    assert model.best_metric_results['counted']['psnr'] == {'better': 'higher', 'val': ahead, 'iter': 2}


def test_scores_go_to_the_csv_and_equal_the_metric(model, tmp_path):
    dataset = Clips('set', {'000': 2, '001': 1})
    validate(model, dataset)
    rows = rows_of(tmp_path / 'metrics_set.csv')
    assert [(row['iter'], row['clip'], row['frames']) for row in rows] == \
        [('1', '000', '2'), ('1', '001', '1'), ('1', 'average', '3')]
    psnr = [expected_psnr(dataset, index) for index in range(3)]
    means = [(psnr[0] + psnr[1]) / 2, psnr[2]]
    assert [float(row['psnr']) for row in rows] == pytest.approx([*means, sum(means) / 2], abs=1e-4)
    # The toolbox's own metric sees the same 8-bit pictures.
    assert [float(row['toolbox']) for row in rows] == pytest.approx([float(row['psnr']) for row in rows], abs=0.02)


def test_sixteen_bit_data_are_scored_and_saved_in_sixteen_bit(model, tmp_path):
    dataset = Clips('deep', {'000': 1}, bit_depth=16)
    validate(model, dataset, save_img=True)
    psnr = float(rows_of(tmp_path / 'metrics_deep.csv')[0]['psnr'])
    assert psnr == pytest.approx(expected_psnr(dataset, 0), abs=1e-4)
    picture = read_image(tmp_path / 'visualization/deep/000/000_1.png')
    expected = to_integers(Bicubic(2)(dataset[0]['lq'][None])[0].permute(1, 2, 0).numpy(), 16)
    assert picture.dtype == np.uint16
    assert np.abs(picture.astype(int) - expected).max() <= 1


def test_pictures_are_saved_during_training_and_named_after_the_experiment_in_a_test(model, tmp_path):
    dataset = Clips('set', {'000': 1, '001': 1})
    validate(model, dataset, iteration=5, save_img=True)
    tester = SatVSRModel(make_opt(tmp_path, is_train=False))
    validate(tester, dataset, iteration='tiny', save_img=True)
    names = sorted(str(p.relative_to(tmp_path / 'visualization')) for p in tmp_path.rglob('*.png'))
    assert names == ['set/000/000_5.png', 'set/000/000_tiny.png', 'set/001/000_5.png', 'set/001/000_tiny.png']


def test_a_set_without_gt_is_super_resolved_but_not_scored(model, tmp_path):
    validate(model, Clips('own', {'000': 1}, with_gt=False), save_img=True)
    assert (tmp_path / 'visualization/own/000/000_1.png').exists()
    assert not (tmp_path / 'metrics_own.csv').exists()
    assert not (tmp_path / 'models/net_g_best.pth').exists()


def test_several_sets_are_kept_apart_and_the_first_chooses_the_best(model, tmp_path):
    first, second = Clips('first', {'000': 2}), Clips('second', {'000': 1, '001': 3})
    best = tmp_path / 'models/net_g_best.pth'
    validate(model, first, 1)
    validate(model, second, 1)
    assert [len(rows_of(tmp_path / f'metrics_{name}.csv')) for name in ('first', 'second')] == [2, 3]
    good = torch.load(best, weights_only=True)['params']['output.conv.bias']

    torch.nn.init.constant_(model.net_g.output.conv.bias, 0.5)  # much worse than bicubic
    validate(model, first, 2)
    validate(model, second, 2)
    torch.testing.assert_close(torch.load(best, weights_only=True)['params']['output.conv.bias'], good)
    assert model.best_metric_results['first']['psnr']['iter'] == 1
    assert [row['iter'] for row in rows_of(tmp_path / 'metrics_first.csv')] == ['1', '1', '2', '2']


def test_scores_go_to_tensorboard(model):
    scalars: dict[str, tuple[float, int]] = {}
    board = SimpleNamespace(add_scalar=lambda name, value, step: scalars.update({name: (value, step)}))
    dataset = Clips('set', {'000': 1, '001': 1})
    model.validation(SimpleNamespace(dataset=dataset), 7, board, False)
    assert {name for name in scalars if 'psnr' in name} == {
        'metrics/set/psnr', 'metrics/set/psnr/000', 'metrics/set/psnr/001'}
    assert scalars['metrics/set/psnr/001'] == (pytest.approx(expected_psnr(dataset, 1), abs=1e-4), 7)


def test_the_last_validation_is_not_repeated(model, tmp_path):
    validate(model, Clips('set', {'000': 1}), 10)
    validate(model, Clips('set', {'000': 1}), 11)  # how the toolbox's loop counts after its end
    assert [row['iter'] for row in rows_of(tmp_path / 'metrics_set.csv')] == ['10', '10']


@pytest.mark.parametrize('value, integer', [(-0.1, 0), (0.0, 0), (0.5 / 255, 1), (0.49 / 255, 0), (1.0, 255), (2, 255)])
def test_pixels_are_clipped_and_rounded_half_up(value, integer):
    assert to_integers(np.float64([[[value]]]), 8).item() == integer


def test_a_frame_that_a_metric_cannot_score_is_named(tmp_path):
    metrics = {'tight': {'type': 'satvsr_psnr', 'crop_border': 8}, 'niqe': {'type': 'calculate_niqe', 'crop_border': 0}}
    for name, error in (('tight', OptionError), ('niqe', DataError)):
        model = SatVSRModel(make_opt(tmp_path, val={'metrics': {name: metrics[name]}}))
        with pytest.raises(error, match=f'metric {name} cannot score 007/000.png: '):
            validate(model, Clips('set', {'007': 1}))
