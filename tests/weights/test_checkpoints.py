"""The files of a checkpoint: which belong together, what is found damaged, what goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.checkpoints import Checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    made = Checkpoints(tmp_path / 'models', tmp_path / 'training_states')
    for iteration in (4, 8, 12, 100):
        save(made, iteration)
    return made


def save(checkpoints: Checkpoints, iteration: int) -> None:
    state = {'epoch': 0, 'iter': iteration, 'optimizers': [], 'schedulers': []}
    checkpoints.save(iteration, {'net_g': {'params': {'w': torch.full((3,), float(iteration))}}}, state)


def files(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for folder in (checkpoints.models, checkpoints.states) for path in folder.iterdir())


def test_they_are_found_in_the_order_of_their_numbers(checkpoints: Checkpoints) -> None:
    (checkpoints.states / 'mine.state').touch()
    assert checkpoints.iterations() == [4, 8, 12, 100]
    assert checkpoints.load(100)['iter'] == 100


def test_the_last_ones_stay_and_so_do_other_files(checkpoints: Checkpoints) -> None:
    for name in ('net_g_best.pth', 'net_g_latest.pth'):
        (checkpoints.models / name).touch()
    checkpoints.keep_last(2)
    assert files(checkpoints) == ['100.json', '100.state', '12.json', '12.state', 'net_g_100.pth', 'net_g_12.pth',
                                  'net_g_best.pth', 'net_g_latest.pth']


@pytest.mark.parametrize('gone', [['4.state'], ['4.state', 'net_g_4.pth']])
def test_what_a_kill_left_of_one_that_was_going_goes_too(checkpoints: Checkpoints, gone: list[str]) -> None:
    for name in gone:
        next(path for path in (checkpoints.states / name, checkpoints.models / name) if path.exists()).unlink()
    checkpoints.keep_last(3)
    assert [name for name in files(checkpoints) if name.startswith(('4.', 'net_g_4.'))] == []
    assert checkpoints.iterations() == [8, 12, 100]


def test_a_state_that_is_replaced_keeps_its_weights(checkpoints: Checkpoints) -> None:
    state = checkpoints.load(8)
    checkpoints.replace_state(8, state | {'best': 31.5})
    assert checkpoints.load(8)['best'] == 31.5
    record = json.loads((checkpoints.states / '8.json').read_text())
    assert sorted(record['crc32']) == ['8.state', 'net_g_8.pth']


@pytest.mark.parametrize('content', [b'', b'{', b'[]', b'{"crc32": 5}', b'{"crc32": {"8.state": "x"}}', b'[' * 100_000])
def test_a_record_that_is_damaged_is_named(checkpoints: Checkpoints, content: bytes) -> None:
    (checkpoints.states / '8.json').write_bytes(content)
    with pytest.raises(WeightsError, match=r'8\.json: is damaged'):
        checkpoints.load(8)


def test_a_record_reads_no_file_elsewhere(checkpoints: Checkpoints) -> None:
    (checkpoints.states / '8.json').write_text(json.dumps({'crc32': {'../../../dev/zero': 1}}))
    with pytest.raises(WeightsError, match=r'training_states/zero: cannot be read'):
        checkpoints.load(8)


def test_a_checkpoint_without_a_record_is_taken_as_it_is(checkpoints: Checkpoints) -> None:
    """The toolbox's own models write none."""
    (checkpoints.states / '8.json').unlink()
    assert checkpoints.load(8)['iter'] == 8
