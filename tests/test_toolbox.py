"""The mends of the toolbox: training states, kept option files, errors in loaders that prefetch."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from satvsr_plugin.errors import DataError, OptionError, WeightsError
from satvsr_plugin.toolbox import training
from satvsr_plugin.toolbox.training import load_resume_state

prefetch = importlib.import_module('basicsr.data.prefetch_dataloader')  # only now: satvsr_plugin mends the import
toolbox_train = importlib.import_module('basicsr.train')

STATE = {'epoch': 0, 'iter': 200, 'optimizers': [], 'schedulers': []}


def resume_options(folder: Path, auto_resume: bool = True, **path: Any) -> dict[str, Any]:
    return {'auto_resume': auto_resume, 'network_g': {},
            'path': {'training_states': str(folder), 'models': str(folder / 'models'), **path}}


def test_auto_resume_takes_the_newest_state_by_its_number(tmp_path: Path) -> None:
    for iteration in (200, 1000):
        torch.save(STATE | {'iter': iteration}, tmp_path / f'{iteration}.state')
    (tmp_path / 'backup.state').write_bytes(b'')  # a user's own copy
    opt = resume_options(tmp_path)
    assert load_resume_state(opt)['iter'] == 1000
    assert opt['path']['resume_state'] == str(tmp_path / '1000.state')
    assert opt['path']['pretrain_network_g'] == str(tmp_path.parent / 'models/net_g_1000.pth')  # beside the states


def test_auto_resume_without_a_state_starts_anew(tmp_path: Path) -> None:
    assert load_resume_state(resume_options(tmp_path / 'not there')) is None


def test_what_is_no_training_state_is_named_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / '400.state'
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:300])
    opt = resume_options(tmp_path, auto_resume=False, resume_state=str(path))
    with pytest.raises(WeightsError, match=r'400\.state: cannot read this training state .*; choose another one with'):
        load_resume_state(opt)
    torch.save({'params': {}, 'iter': 400}, path)
    with pytest.raises(WeightsError, match=r'400\.state: .* it lacks epoch, optimizers, schedulers; choose another'):
        load_resume_state(opt)


def test_starts_within_one_second_rename_what_was_there_to_different_names(tmp_path: Path) -> None:
    for number in range(4):
        toolbox_train.mkdir_and_rename(str(tmp_path / 'run'))
        (tmp_path / 'run' / f'{number}.txt').touch()
    assert sorted(path.name for path in tmp_path.rglob('*.txt')) == ['0.txt', '1.txt', '2.txt', '3.txt']
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['3.txt']


def test_starts_within_one_second_keep_logs_of_their_own(tmp_path: Path) -> None:
    asked = []
    for _ in range(3):
        training._get_root_logger(lambda log_file: (asked.append(log_file), Path(log_file).touch(),
                                                    logging.getLogger('unused'))[-1],
                                  log_file=str(tmp_path / 'train_run.log'))
    assert [Path(name).name for name in asked] == ['train_run.log', 'train_run_2.log', 'train_run_3.log']


def test_the_option_file_that_an_experiment_keeps_may_be_given_again(tmp_path: Path) -> None:
    (tmp_path / 'run').mkdir()
    (tmp_path / 'options.yml').write_text('name: run\n')
    toolbox_train.copy_opt_file(str(tmp_path / 'options.yml'), str(tmp_path / 'run'))
    kept = tmp_path / 'run/options.yml'
    content = kept.read_text()
    assert content.endswith('name: run\n')
    toolbox_train.copy_opt_file(str(kept), str(tmp_path / 'run'))
    assert kept.read_text() == content


@pytest.mark.parametrize('windows, batch, iterations', [(12, 8, 10), (16, 8, 10), (300, 8, 1000)])
def test_epochs_last_to_the_last_iteration(monkeypatch: pytest.MonkeyPatch, windows: int, batch: int,
                                           iterations: int) -> None:
    """The loader drops the incomplete batch; the toolbox counts it."""
    opt = {'datasets': {'train': {'name': 'x', 'phase': 'train', 'batch_size_per_gpu': batch, 'num_worker_per_gpu': 0}},
           'train': {'total_iter': iterations}, 'world_size': 1, 'rank': 0, 'num_gpu': 0, 'dist': False,
           'manual_seed': 0}
    monkeypatch.setattr(toolbox_train, 'build_dataset', lambda _opt: list(range(windows)))
    loader, _, _, epochs, total = toolbox_train.create_train_val_dataloader(opt, logging.getLogger('test'))
    assert total == iterations
    assert epochs * len(loader) < iterations <= (epochs + 1) * len(loader)  # the last epoch counts from 0


def test_no_batch_for_every_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    opt = {'datasets': {'train': {'name': 'x', 'phase': 'train', 'batch_size_per_gpu': 8, 'num_worker_per_gpu': 0}},
           'train': {'total_iter': 5}, 'world_size': 4, 'rank': 0, 'num_gpu': 0, 'dist': True, 'manual_seed': 0}
    monkeypatch.setattr(toolbox_train, 'build_dataset', lambda _opt: list(range(12)))
    with pytest.raises(OptionError, match='12 windows make no batch for each of 4 processes'):
        toolbox_train.create_train_val_dataloader(opt, logging.getLogger('test'))


class _Frames(Dataset):
    """Four samples; the last is damaged."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if index == 3:
            raise DataError('003/017.png: not a readable image')
        return index


@pytest.mark.parametrize('workers', [0, 1])
def test_an_error_reaches_the_training_that_prefetches_on_the_cpu(workers: int) -> None:
    loader = prefetch.PrefetchDataLoader(num_prefetch_queue=1, dataset=_Frames(), num_workers=workers)
    prefetcher = prefetch.CPUPrefetcher(loader)
    assert [prefetcher.next().item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match='003/017.png: not a readable image'):
        prefetcher.next()
