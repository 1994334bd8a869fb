"""Several processes on a CPU train as one does, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training.conftest import training_options, write_options
from training.forked_runs import Runs
from training.test_kill_and_resume import assert_ended_alike, final_weights, losses, scores

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='processes talk by gloo where there is no GPU only')
TOGETHER = ('--launcher', 'pytorch')
DISTANCE = 2e-4  # of weights after some steps of Adam, which magnifies the last bits of sums


def options_for_two(runs: Runs, data: Path, name: str) -> str:
    return write_options(runs.folder, training_options(data, name=name, datasets__train__batch_size_per_gpu=1))


@pytest.fixture(scope='module')
def by_two(runs: Runs, small_data: Path) -> str:
    """The name of a run of two processes that nothing happened to."""
    done = runs.run('train', '-opt', options_for_two(runs, small_data, 'by_two'), *TOGETHER, processes=2)
    assert done.code == 0, done.output
    return 'by_two'


def test_two_processes_with_half_the_batch_train_as_one(runs: Runs, small_data: Path, by_two: str) -> None:
    """The same samples in the same order, and gradients averaged over both."""
    assert runs.run('train', '-opt', write_options(runs.folder, training_options(small_data, name='by_one'))).code == 0
    one, two = losses(runs, 'by_one'), losses(runs, by_two)
    assert list(map(float, two.values())) == pytest.approx(list(map(float, one.values())), rel=1e-3)
    assert float(two[1]) == pytest.approx(float(one[1]), rel=1e-4)  # four digits are printed
    weights = final_weights(runs, 'by_one')
    for key, value in final_weights(runs, by_two).items():
        torch.testing.assert_close(value, weights[key], atol=DISTANCE, rtol=0)


def test_validation_scores_are_those_of_one_process(runs: Runs, small_data: Path, by_two: str) -> None:
    options = training_options(small_data, name='scored')
    options['datasets'] = {'test': options['datasets']['val']}
    options['path'] = {'pretrain_network_g': str(runs.folder / f'experiments/{by_two}/models/net_g_latest.pth'),
                       'param_key_g': 'params_ema'}
    options = {key: value for key, value in options.items() if key not in ('train', 'logger')}
    assert runs.run('test', '-opt', write_options(runs.folder, options)).code == 0
    table = (runs.folder / 'results/scored/metrics_held_out.csv').read_text().splitlines()
    alone = {row.split(',')[1]: float(row.split(',')[3]) for row in table[1:]}
    together = {row.split(',')[1]: float(row.split(',')[3]) for row in scores(runs, by_two).splitlines()
                if row.startswith('40,')}
    assert together == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_two_processes_that_are_stopped_go_on_exactly(runs: Runs, small_data: Path, by_two: str,
                                                      number: signal.Signals) -> None:
    name = f'two_{number.name}'
    file = options_for_two(runs, small_data, name)
    process = runs.start('train', '-opt', file, *TOGETHER, processes=2)
    runs.wait_for('iter:      10')
    os.killpg(process, number)
    done = runs.wait()
    assert done.code == (-number if number == signal.SIGKILL else 128 + number), done.output
    assert 'Traceback' not in done.output
    assert runs.run('train', '-opt', file, *TOGETHER, '--auto_resume', processes=2).code == 0
    assert_ended_alike(runs, name, by_two)


def test_another_number_of_processes_goes_on_and_says_what_differs(runs: Runs, small_data: Path) -> None:
    file = write_options(runs.folder, training_options(small_data, name='grown', train__total_iter=12))
    assert runs.run('train', '-opt', file).code == 0
    file = write_options(runs.folder, training_options(small_data, name='grown', train__total_iter=16))
    done = runs.run('train', '-opt', file, *TOGETHER, '--auto_resume', processes=2)
    assert done.code == 0, done.output
    assert 'Resumed under other circumstances (number of processes 1 -> 2)' in done.output
    assert max(losses(runs, 'grown')) == 16


# The second process fails at a step, while the first waits for its gradient.
FAILING = """
import os
from satvsr_plugin.cli import main
from satvsr_plugin.errors import DataError
from satvsr_plugin.models import satvsr_model
step = satvsr_model.SatVSRModel.optimize_parameters
def fail(self, iteration):
    if iteration == 6 and os.environ['RANK'] == '1':
        raise DataError('clip 003, frame 017: gone')
    step(self, iteration)
satvsr_model.SatVSRModel.optimize_parameters = fail
main()
"""


def test_a_process_that_fails_ends_all_with_its_error(runs: Runs, small_data: Path) -> None:
    script = runs.folder / 'failing.py'
    script.write_text(FAILING)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', str(script),
               'train', '-opt', options_for_two(runs, small_data, 'failing'), *TOGETHER]
    done = subprocess.run(command, cwd=runs.folder, capture_output=True, text=True, timeout=200,
                          env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert done.returncode != 0
    assert 'error: clip 003, frame 017: gone' in done.stderr
    log = next((runs.folder / 'experiments/failing').glob('train_*.log'))
    assert time.time() - log.stat().st_mtime < 60  # since the last step
