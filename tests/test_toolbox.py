"""The mends of the toolbox: training states, kept option files, errors in loaders that prefetch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from satvsr_plugin.errors import DataError, WeightsError
from satvsr_plugin.toolbox import load_resume_state

prefetch = importlib.import_module('basicsr.data.prefetch_dataloader')  # only now: satvsr_plugin mends the import
toolbox_train = importlib.import_module('basicsr.train')

STATE = {'epoch': 0, 'iter': 200, 'optimizers': [], 'schedulers': []}


def resume_options(folder: Path, auto_resume: bool = True, **path: Any) -> dict[str, Any]:
    return {'auto_resume': auto_resume, 'network_g': {},
            'path': {'training_states': str(folder), 'models': 'models', **path}}


def test_auto_resume_takes_the_newest_state_by_its_number(tmp_path: Path) -> None:
    for iteration in (200, 1000):
        torch.save(STATE | {'iter': iteration}, tmp_path / f'{iteration}.state')
    (tmp_path / 'backup.state').write_bytes(b'')  # a user's own copy
    opt = resume_options(tmp_path)
    assert load_resume_state(opt)['iter'] == 1000
    assert opt['path']['resume_state'] == str(tmp_path / '1000.state')
    assert opt['path']['pretrain_network_g'] == 'models/net_g_1000.pth'


def test_auto_resume_without_a_state_starts_anew(tmp_path: Path) -> None:
    assert load_resume_state(resume_options(tmp_path / 'not there')) is None


@pytest.mark.parametrize('auto_resume, remedy', [
    (True, 'delete it, and --auto_resume takes the one before'),
    (False, 'choose another one with path.resume_state'),
])
def test_what_is_no_training_state_is_named_with_a_remedy(tmp_path: Path, auto_resume: bool, remedy: str) -> None:
    path = tmp_path / '400.state'
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:300])
    opt = resume_options(tmp_path, auto_resume, resume_state=str(path))
    with pytest.raises(WeightsError, match=rf'400\.state: cannot read this training state .*; {remedy}$'):
        load_resume_state(opt)
    torch.save({'params': {}, 'iter': 400}, path)
    with pytest.raises(WeightsError, match=rf'400\.state: .* it lacks epoch, optimizers, schedulers; {remedy}$'):
        load_resume_state(opt)


def test_the_option_file_that_an_experiment_keeps_may_be_given_again(tmp_path: Path) -> None:
    (tmp_path / 'run').mkdir()
    (tmp_path / 'options.yml').write_text('name: run\n')
    toolbox_train.copy_opt_file(str(tmp_path / 'options.yml'), str(tmp_path / 'run'))
    kept = tmp_path / 'run/options.yml'
    content = kept.read_text()
    assert content.endswith('name: run\n')
    toolbox_train.copy_opt_file(str(kept), str(tmp_path / 'run'))
    assert kept.read_text() == content


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
