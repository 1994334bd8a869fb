"""A run that is killed, stopped or starved, and resumed, ends as the one that nothing happened to."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from training.conftest import training_options, write_options
from training.forked_runs import Runs

KILLS = 10


def final_weights(runs: Runs, name: str) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(runs.folder / f'experiments/{name}/models/net_g_latest.pth', weights_only=True)
    return {f'{key}.{k}': v for key in ('params', 'params_ema') for k, v in checkpoint[key].items()}


def losses(runs: Runs, name: str) -> dict[int, str]:
    """Iteration: the loss as printed; of steps that were made twice, both have to be equal."""
    found: dict[int, str] = {}
    for log in (runs.folder / 'experiments' / name).glob('train_*.log'):
        for iteration, loss in re.findall(r'iter: +([\d,]+),.* l_pix: (\S+)', log.read_text()):
            number = int(iteration.replace(',', ''))
            assert found.setdefault(number, loss) == loss
    return found


def scores(runs: Runs, name: str) -> str:
    return (runs.folder / f'experiments/{name}/metrics_held_out.csv').read_text()


def assert_ended_alike(runs: Runs, name: str, expected: str) -> None:
    ours, theirs = final_weights(runs, name), final_weights(runs, expected)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    assert losses(runs, name) == losses(runs, expected)
    assert scores(runs, name) == scores(runs, expected)
    best = [torch.load(runs.folder / f'experiments/{run}/models/net_g_best.pth', weights_only=True)['params']
            for run in (name, expected)]
    assert all(torch.equal(best[0][key], best[1][key]) for key in best[1])


@pytest.fixture(scope='module')
def undisturbed(runs: Runs, small_data: Path) -> str:
    """The name of a run that nothing happened to."""
    done = runs.run('train', '-opt', write_options(runs.folder, training_options(small_data, name='undisturbed')))
    assert done.code == 0, done.output
    assert sorted(losses(runs, 'undisturbed')) == list(range(1, 41))
    return 'undisturbed'


def test_killed_at_random_moments_it_ends_with_the_same_bits(runs: Runs, small_data: Path, undisturbed: str) -> None:
    file = write_options(runs.folder, training_options(small_data, name='killed', logger__keep_checkpoints=2))
    rng, starts = random.Random(9), []  # four of ten kills come after a checkpoint
    while len(starts) < KILLS:
        process = runs.start('train', '-opt', file, '--auto_resume')
        output = runs.wait_for('Start training')
        starts.append(int(re.search(r'Start training from epoch: \d+, iter: (\d+)', output)[1]))
        steps = rng.randrange(8)
        if steps:
            runs.wait_for(f'iter:{starts[-1] + steps:8d}')
        time.sleep(rng.uniform(0, 0.06))
        os.killpg(process, signal.SIGKILL)
        assert runs.wait().code == -signal.SIGKILL
    assert len(set(starts)) >= 3  # it went on from several checkpoints
    assert runs.run('train', '-opt', file, '--auto_resume').code == 0
    assert_ended_alike(runs, 'killed', undisturbed)
    folder = runs.folder / 'experiments/killed'
    assert sorted(path.name for path in (folder / 'training_states').iterdir()) == [
        '36.json', '36.state', '40.json', '40.state']
    assert sorted(path.name for path in (folder / 'models').iterdir()) == [
        'net_g_36.pth', 'net_g_40.pth', 'net_g_best.pth', 'net_g_latest.pth']


KILL_IN_SAVE = """
import os, signal, torch
save, count = torch.save, [0]
def half(content, file):
    count[0] += 1
    save(content, file)
    if count[0] == {number}:
        os.ftruncate(file.fileno(), file.tell() // 2)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = half
"""


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_killed_within_a_save(runs: Runs, small_data: Path, undisturbed: str, number: int) -> None:
    """The first two files are the checkpoint of iteration 4, the next two that of iteration 8."""
    name = f'in_save_{number}'
    file = write_options(runs.folder, training_options(small_data, name=name))
    assert runs.run('train', '-opt', file, patch=KILL_IN_SAVE.format(number=number)).code == -signal.SIGKILL
    done = runs.run('train', '-opt', file, '--auto_resume')
    assert done.code == 0, done.output
    assert ('Resuming training from epoch: 0, iter: 4' in done.output) == (number > 2)
    assert_ended_alike(runs, name, undisturbed)


KILL_BEFORE_VALIDATION = """
import os, signal
from satvsr_plugin.models import satvsr_model
run = satvsr_model.Validation.run
satvsr_model.Validation.run = lambda self: (
    os.kill(os.getpid(), signal.SIGKILL) if self.current_iter == 16 else run(self))
"""


def test_a_validation_that_a_kill_prevented_is_made_up_for(runs: Runs, small_data: Path, undisturbed: str) -> None:
    file = write_options(runs.folder, training_options(small_data, name='unvalidated'))
    assert runs.run('train', '-opt', file, patch=KILL_BEFORE_VALIDATION).code == -signal.SIGKILL
    assert ',16,' not in scores(runs, 'unvalidated').replace('\n', ',')
    assert runs.run('train', '-opt', file, '--auto_resume').code == 0
    assert_ended_alike(runs, 'unvalidated', undisturbed)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(runs: Runs, small_data: Path, undisturbed: str, number: signal.Signals) -> None:
    """As schedulers and terminals do, to all processes of the run: the workers too."""
    file = write_options(runs.folder, training_options(small_data, name=number.name))
    process = runs.start('train', '-opt', file)
    runs.wait_for('iter:      10')
    os.killpg(process, number)
    done = runs.wait()
    assert done.code == 128 + number, done.output
    told = re.search(rf'{number.name}: training ends after iteration (\d+), which is saved in', done.output)
    assert told is not None and int(told[1]) >= 10
    assert 'Traceback' not in done.output
    resumed = runs.run('train', '-opt', file, '--auto_resume')
    assert f'iter: {told[1]}.' in resumed.output
    assert_ended_alike(runs, number.name, undisturbed)


def test_a_signal_during_a_validation(runs: Runs, small_data: Path, undisturbed: str) -> None:
    slow = 'import time\nfrom satvsr_plugin.models import validation\nscore = validation.score\n' \
           'validation.score = lambda *arguments: (time.sleep(0.3), score(*arguments))[1]'
    file = write_options(runs.folder, training_options(small_data, name='in_validation'))
    process = runs.start('train', '-opt', file, patch=slow)
    runs.wait_for('iter:       8')
    time.sleep(0.5)
    os.killpg(process, signal.SIGTERM)
    done = runs.wait()
    assert 'SIGTERM: training ends after iteration 8' in done.output, done.output
    assert not (runs.folder / 'experiments/in_validation/metrics_held_out.csv').exists()
    assert runs.run('train', '-opt', file, '--auto_resume').code == 0
    assert_ended_alike(runs, 'in_validation', undisturbed)


def damage(path: Path, how: str) -> None:
    if how == 'cut short':
        os.truncate(path, path.stat().st_size // 2)
    elif how == 'altered':
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()


@pytest.mark.parametrize('file, how', [
    ('training_states/40.state', 'cut short'), ('training_states/40.json', 'altered'),
    ('models/net_g_40.pth', 'altered'), ('models/net_g_40.pth', 'gone')])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(runs: Runs, small_data: Path, undisturbed: str,
                                                                   file: str, how: str) -> None:
    damaged = runs.folder / 'experiments' / undisturbed / file
    whole = damaged.read_bytes()
    options = write_options(runs.folder, training_options(small_data, name=undisturbed))
    damage(damaged, how)
    try:
        done = runs.run('train', '-opt', options, '--auto_resume')
    finally:
        damaged.write_bytes(whole)
    assert done.code == 0
    assert str(damaged) in done.output and 'the checkpoint before it is taken' in done.output
    assert 'Resuming training from epoch: 7, iter: 36' in done.output
    assert_ended_alike(runs, undisturbed, undisturbed)


def test_without_a_whole_checkpoint_nothing_starts_anew(runs: Runs, small_data: Path) -> None:
    states = runs.folder / 'experiments/lost/training_states'
    states.mkdir(parents=True)
    (states / '4.state').write_bytes(b'no state')
    options = write_options(runs.folder, training_options(small_data, name='lost'))
    done = runs.run('train', '-opt', options, '--auto_resume')
    assert done.code == 2
    assert f'{states}: no checkpoint there is whole' in done.output


def changed(runs: Runs, small_data: Path, name: str, **changes: Any) -> str:
    return write_options(runs.folder, training_options(small_data, name=name, **changes))


def test_a_run_of_four_workers_is_that_of_none(runs: Runs, small_data: Path, undisturbed: str) -> None:
    for workers in (0, 4):
        done = runs.run('train', '-opt', changed(runs, small_data, f'workers_{workers}',
                                                 datasets__train__num_worker_per_gpu=workers))
        assert done.code == 0
        assert_ended_alike(runs, f'workers_{workers}', undisturbed)


def test_other_circumstances_are_told(runs: Runs, small_data: Path) -> None:
    half = changed(runs, small_data, 'other', train__total_iter=12)
    assert runs.run('train', '-opt', half).code == 0
    other = changed(runs, small_data, 'other', datasets__train__batch_size_per_gpu=1)
    done = runs.run('train', '-opt', other, '--auto_resume')
    assert done.code == 0
    assert 'Resumed under other circumstances (batch_size_per_gpu 2 -> 1)' in done.output
    assert max(losses(runs, 'other')) == 40
