"""Whole runs with all that makes training faster: compiled, in several processes, killed and resumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from training.conftest import training_options, write_options
from training.forked_runs import Runs
from training.test_kill_and_resume import assert_ended_alike, final_weights, losses

# Code is generated for a minute and more; all that comes before is the same with this.
WITHOUT_CODE = "from satvsr_plugin.models import compilation\ncompilation.BACKEND = 'aot_eager'"
TOGETHER = ('--launcher', 'pytorch')
FAST = {'train__channels_last': True, 'train__checkpointing': True, 'train__kept_memory': False,
        'train__optim_g': {'type': 'Adam', 'lr': 1e-3, 'fused': True}}


def options_file(runs: Runs, data: Path, name: str, **changes: Any) -> str:
    return write_options(runs.folder, training_options(data, name=name, **changes))


def test_a_killed_run_with_a_fused_optimizer_ends_with_the_same_bits(runs: Runs, small_data: Path) -> None:
    file = options_file(runs, small_data, 'fused', **FAST)
    whole = runs.run('train', '-opt', file)
    assert whole.code == 0, whole.output
    assert whole.output.count('fast paths: channels_last, checkpointing, fused Adam') == 1
    file = options_file(runs, small_data, 'killed', **FAST)
    process = runs.start('train', '-opt', file)
    runs.wait_for('iter:      14')
    os.killpg(process, signal.SIGKILL)
    assert runs.wait().code == -signal.SIGKILL
    assert runs.run('train', '-opt', file, '--auto_resume').code == 0
    assert_ended_alike(runs, 'killed', 'fused')


def test_a_run_whose_batches_a_thread_fetches_ends(runs: Runs, small_data: Path) -> None:
    file = options_file(runs, small_data, 'fetched', train__total_iter=4, datasets__train__prefetch_mode='cpu',
                        datasets__train__num_worker_per_gpu=1)
    done = runs.run('train', '-opt', file)
    assert done.code == 0 and 'Save the latest model' in done.output


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='processes talk by gloo where there is no GPU only')
def test_two_compiled_processes_learn_what_one_plain_one_does(runs: Runs, small_data: Path) -> None:
    few = {'train__total_iter': 8, 'val__val_freq': 4}
    plain = runs.run('train', '-opt', options_file(runs, small_data, 'plain', **few))
    assert plain.code == 0, plain.output
    file = options_file(runs, small_data, 'compiled', datasets__train__batch_size_per_gpu=1, train__compile=True, **few,
                        **FAST)
    done = runs.run('train', '-opt', file, *TOGETHER, patch=WITHOUT_CODE, processes=2)
    assert done.code == 0, done.output
    assert 'fast paths: channels_last, compiled, checkpointing, fused Adam' in done.output
    one, two = losses(runs, 'plain'), losses(runs, 'compiled')
    assert list(map(float, two.values())) == pytest.approx(list(map(float, one.values())), rel=1e-3)
    weights = final_weights(runs, 'plain')
    for key, value in final_weights(runs, 'compiled').items():
        torch.testing.assert_close(value, weights[key], atol=2e-4, rtol=0)


# The loss of the second process alone is no number, at two steps.
ONE_FAULT = """
import os
from satvsr_plugin.models import losses
judge = losses.Losses.__call__
steps = []
def spoilt(self, *arguments):
    steps.append(1)
    found = judge(self, *arguments)
    wrong = os.environ['RANK'] == '1' and len(steps) in (3, 4)
    return {key: value * float('nan') if wrong else value for key, value in found.items()}
losses.Losses.__call__ = spoilt
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason='processes talk by gloo where there is no GPU only')
def test_a_fault_of_one_process_is_left_out_by_all(runs: Runs, small_data: Path) -> None:
    file = options_file(runs, small_data, 'fault', datasets__train__batch_size_per_gpu=1, train__total_iter=8, **FAST)
    done = runs.run('train', '-opt', file, *TOGETHER, patch=ONE_FAULT, processes=2)
    assert done.code == 0, done.output
    assert 'at iteration 3; this step is left out (1 in a row, 1 in all)' in done.output
    assert 'steps_left_out: 2' in done.output
    assert all(value.isfinite().all() for value in final_weights(runs, 'fault').values())
