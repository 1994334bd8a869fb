"""Training where the disk is full, data go away, the folder is another one, and what a run writes down."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from training.conftest import training_options, write_options
from training.forked_runs import Done, Runs

# Until a step of training files may grow to a small size only; the system answers EFBIG, much as on a full disk.
SMALL_FILES = """
import resource, signal
from satvsr_plugin.models import satvsr_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
step = satvsr_model.SatVSRModel.optimize_parameters
def again(self, iteration):
    if iteration == {until}:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    step(self, iteration)
satvsr_model.SatVSRModel.optimize_parameters = again
"""


def on_a_small_disk(runs: Runs, small_data: Path, name: str, size: int, until: int) -> Done:
    """A run of 12 steps; without workers, whose memory is made of files too."""
    options = training_options(small_data, name=name, train__total_iter=12, datasets__train__num_worker_per_gpu=0,
                               datasets__val__num_worker_per_gpu=0)
    patch = SMALL_FILES.format(size=size, until=until)
    return runs.run('train', '-opt', write_options(runs.folder, options), patch=patch)


def experiment(runs: Runs, name: str) -> Path:
    return runs.folder / 'experiments' / name


def test_a_full_disk_does_not_end_training_before_its_end(runs: Runs, small_data: Path) -> None:
    """Weights of 70 kB do not fit."""
    done = on_a_small_disk(runs, small_data, 'full', size=20_000, until=-1)
    assert done.code == 2
    assert 'Traceback' not in done.output
    failed = re.findall(r'net_g_(\d+)\.pth: cannot be written \(.*\); training goes on, the next checkpoint is due at '
                        r'iteration (\d+)', done.output)
    assert failed == [('4', '8'), ('8', '12'), ('12', '16')]
    assert 'net_g_best.pth: cannot be written' in done.output
    assert re.search(r'error: \S*net_g_latest\.pth: cannot be written', done.output)
    assert list(experiment(runs, 'full').glob('models/*')) == []
    assert list(experiment(runs, 'full').glob('training_states/*')) == []


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full, a file that is always full')
def test_a_log_that_cannot_be_written_is_reported_once(runs: Runs, small_data: Path) -> None:
    file = write_options(runs.folder, training_options(small_data, name='full_log', train__total_iter=12))
    done = runs.run('train', '-opt', file, patch="import logging\n"
                                                 "logging.FileHandler._open = lambda self: open('/dev/full', 'w')")
    assert done.code == 0, done.output
    assert done.output.count('the log cannot be written') == 1
    assert 'Logging error' not in done.output
    assert 'iter:      12' in done.output


def test_a_later_save_finds_room_again(runs: Runs, small_data: Path) -> None:
    done = on_a_small_disk(runs, small_data, 'room', size=20_000, until=6)
    assert done.code == 0, done.output
    assert 'the next checkpoint is due at iteration 8' in done.output
    states = [path.name for path in experiment(runs, 'room').glob('training_states/*.state')]
    assert sorted(states) == ['12.state', '8.state']


@pytest.mark.parametrize('workers', [0, 1])
def test_data_that_go_away_end_training_with_a_checkpoint(runs: Runs, small_data: Path, workers: int) -> None:
    data, name = runs.folder / f'data_{workers}', f'gone_{workers}'
    shutil.copytree(small_data, data)
    options = training_options(data, name=name, datasets__train__num_worker_per_gpu=workers,
                               datasets__train__retry_seconds=0, logger__save_checkpoint_freq=1000,
                               val__val_freq=1000)
    file = write_options(runs.folder, options)
    runs.start('train', '-opt', file)
    runs.wait_for('iter:       9')
    (data / 'train').rename(data / 'elsewhere')
    done = runs.wait()
    assert done.code == 2, done.output
    assert 'Traceback' not in done.output
    assert re.search(rf'error: .*{data}/train', done.output)
    saved = re.search(r'training ends after iteration (\d+), which is saved in', done.output)
    assert saved is not None
    (data / 'elsewhere').rename(data / 'train')
    again = runs.run('train', '-opt', file, '--auto_resume')
    assert again.code == 0
    assert f'iter: {saved[1]}.' in again.output


KILL_WORKER = """
import os, signal
from torch.utils.data import get_worker_info
from satvsr_plugin.data.jilin189_dataset import Jilin189Dataset
read = Jilin189Dataset.__getitem__
def killed(self, index):
    if get_worker_info() and index == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, index)
Jilin189Dataset.__getitem__ = killed
"""


def test_a_loader_process_that_the_system_kills(runs: Runs, small_data: Path) -> None:
    file = write_options(runs.folder, training_options(small_data, name='worker'))
    done = runs.run('train', '-opt', file, patch=KILL_WORKER)
    assert done.code == 2  # what torch's own loader says at its end depends on the moment
    assert re.search(r'error: DataLoader worker \(pid.*\) .*\. The system ends a loader process when', done.output)


def test_a_kept_option_file_resumes_from_any_folder(runs: Runs, small_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'work'
    folder.mkdir()
    shutil.copytree(small_data, folder / 'data')
    options = training_options(Path('data'), name='kept', train__total_iter=4)
    write_options(folder, options)
    here = runs.folder
    try:
        runs.folder = folder
        assert runs.run('train', '-opt', 'kept.yml').code == 0
    finally:
        runs.folder = here
    kept = folder / 'experiments/kept/kept.yml'
    kept.write_text(kept.read_text().replace('total_iter: 4', 'total_iter: 8'))
    done = runs.run('train', '-opt', str(kept), '--auto_resume')
    assert done.code == 0, done.output
    assert f'Working in {folder}, where this experiment is.' in done.output
    assert 'Resuming training from epoch: 0, iter: 4' in done.output
    assert (folder / 'experiments/kept/models/net_g_8.pth').exists()
    assert not (runs.folder / 'experiments/kept').exists()


def test_every_start_is_written_down(runs: Runs, small_data: Path) -> None:
    file = write_options(runs.folder, training_options(small_data, name='recorded', train__total_iter=4))
    arguments = ('train', '-opt', file, '--force_yml', 'manual_seed=11')
    for more in ((), ('--auto_resume',)):
        assert runs.run(*arguments, *more).code == 0
    records = [json.loads(path.read_text()) for path in sorted(experiment(runs, 'recorded').glob('runs/*.json'))]
    assert len(records) == 2
    assert [record['options']['manual_seed'] for record in records] == [11, 11]
    assert records[0]['options']['train']['scheduler']['type'] == 'CosineAnnealingRestartLR'
    assert [record['options']['auto_resume'] for record in records] == [False, True]
    assert records[0]['command'][:3] == ['basicsr train', '-opt', file]


# What a long run may not do: hold ever more files or ever more memory. Prints both at some steps.
MEASURE = """
import os
from satvsr_plugin.models import satvsr_model
step = satvsr_model.SatVSRModel.optimize_parameters
def measured(self, iteration):
    step(self, iteration)
    if iteration % {every} == 0:
        pages = int(open('/proc/self/statm').read().split()[1])
        print(f'\\nmeasured {{iteration}} {{len(os.listdir("/proc/self/fd"))}} {{pages * 4}}', flush=True)
satvsr_model.SatVSRModel.optimize_parameters = measured
"""


@pytest.mark.slow
def test_files_and_memory_do_not_grow_over_2000_steps_and_50_validations(runs: Runs, small_data: Path) -> None:
    options = training_options(
        small_data, name='long', train__total_iter=2000, train__scheduler__periods=[2000], val__val_freq=40,
        logger__print_freq=100, logger__save_checkpoint_freq=40, logger__keep_checkpoints=2,
        datasets__train__dataset_enlarge_ratio=10)
    done = runs.run('train', '-opt', write_options(runs.folder, options), patch=MEASURE.format(every=100))
    assert done.code == 0, done.output[-2000:]
    found = re.findall(r'measured (\d+) (\d+) (\d+)', done.output)
    print('iteration, open files, resident KiB:', *found, sep='\n')
    files, memory = [int(item[1]) for item in found], [int(item[2]) for item in found]
    assert len(found) == 20
    assert max(files[5:]) <= max(files[:5])
    assert max(memory[10:]) < 1.03 * max(memory[:10])
