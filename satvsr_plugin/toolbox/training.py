"""Faults of the toolbox's training loop (BasicSR 1.4.2), and the hooks by which a killed run goes on exactly."""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import multiprocessing
import shutil
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from basicsr import test, train
from basicsr.utils import check_resume, get_root_logger, get_time_str, misc
from torch.utils.data import DataLoader, Dataset

from satvsr_plugin.data.sampling import Place, ResumableSampler, SeededSamples
from satvsr_plugin.errors import OptionError, Stopped, TrainingError, WeightsError
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.run_record import write_run_record
from satvsr_plugin.stopping import ignore_stop_signals, note_stop_signals
from satvsr_plugin.toolbox.prefetching import CUDAPrefetcher
from satvsr_plugin.weights.checkpoints import Checkpoints, read_state


def mend() -> None:
    """Replace the faulty functions of the imported training loop."""
    misc.mkdir_and_rename = train.mkdir_and_rename = _make_anew
    train.get_root_logger = partial(_get_root_logger, train.get_root_logger)
    test.get_root_logger = partial(_get_root_logger, test.get_root_logger)
    train.load_resume_state = load_resume_state
    train.copy_opt_file = partial(_copy_opt_file, train.copy_opt_file)
    train.EnlargedSampler = ResumableSampler
    train.CUDAPrefetcher = CUDAPrefetcher
    train.build_dataloader = partial(_build_dataloader, train.build_dataloader)
    train.create_train_val_dataloader = partial(_create_dataloaders, train.create_train_val_dataloader)
    train.build_model = partial(_build_model, train.build_model)
    test.build_model = partial(_build_model_to_test, test.build_model)


class _Run:
    """What the hooks of one run tell one another.

    Attributes:
        resumed: the training state that it goes on from.
        val_loaders: of the validation sets.
        model: once it is built, if it is ours.
    """

    resumed: dict[str, Any] | None = None
    val_loaders: ClassVar[list[DataLoader]] = []
    model: SatVSRModel | None = None


def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """Read the training state that ``--auto_resume`` or ``path.resume_state`` asks for, onto the CPU.

    The toolbox's own function calls CUDA even when training runs on a CPU, runs code that a state may hold, ends at a
    state that is damaged, looks for the weights of another experiment's state in this one, and leaves folders out.

    Args:
        opt: the toolbox's options; ``path.resume_state`` and the network's path are set as the toolbox does.

    Returns:
        The state, or None when training starts anew. Optimizers move it to their own device.

    Raises:
        WeightsError: the file cannot be read, or, with ``--auto_resume``, no state can.
    """
    _Run.resumed, _Run.model = None, None
    path = opt['path']
    if opt['auto_resume']:
        state = _newest_state(path)
    else:
        state = _chosen_state(Path(path['resume_state'])) if path.get('resume_state') else None
    if state is None:
        return None
    own_models = path['models']
    path['models'] = str(Path(path['resume_state']).parents[1] / 'models')
    check_resume(opt, state['iter'])
    path['models'] = own_models
    for folder in ('experiments_root', 'models', 'training_states', 'log'):
        Path(path.get(folder, own_models)).mkdir(parents=True, exist_ok=True)
    _Run.resumed = state
    return state


def _newest_state(path: dict[str, Any]) -> dict[str, Any] | None:
    checkpoints = Checkpoints(path['models'], path['training_states'])
    path['resume_state'] = None
    checkpoints.remove_partials()
    iterations = checkpoints.iterations()
    for iteration in reversed(iterations):
        try:
            state = checkpoints.load(iteration)
        except WeightsError as error:
            print(f'{error}; the checkpoint before it is taken', file=sys.stderr, flush=True)
            continue
        path['resume_state'] = str(checkpoints.states / f'{iteration}.state')
        return state
    if iterations:
        raise WeightsError(f'{checkpoints.states}: no checkpoint there is whole; remove this folder to train anew, or '
                           'name a training state with path.resume_state')
    return None


def _chosen_state(path: Path) -> dict[str, Any]:
    try:
        if path.stem.isdecimal():
            return Checkpoints(path.parents[1] / 'models', path.parent).load(int(path.stem))
        return read_state(path)
    except WeightsError as error:
        raise WeightsError(f'{error}; choose another one with path.resume_state') from error


def _make_anew(path: str) -> None:
    """A folder of an earlier run is renamed; the toolbox fails at the second start within one second."""
    if Path(path).exists():
        archived = _unused(Path(f'{path}_archived_{get_time_str()}'))
        print(f'Path already exists. Rename it to {archived}', flush=True)
        Path(path).rename(archived)
    Path(path).mkdir(parents=True)


def _unused(path: Path) -> Path:
    """A name that is free; the toolbox's end with the second."""
    found, number = path, 1
    while found.exists():
        number += 1
        found = path.with_name(f'{path.stem}_{number}{path.suffix}')
    return found


def _copy_opt_file(copy: Callable[[str, str], None], opt_file: str, experiments_root: str) -> None:
    """The toolbox fails where the option file is the copy that the experiment keeps, which it would replace."""
    with contextlib.suppress(shutil.SameFileError):
        copy(opt_file, experiments_root)


def _build_dataloader(build: Callable[..., DataLoader], dataset: Dataset, dataset_opt: dict[str, Any],
                      sampler: Any = None, **arguments: Any) -> DataLoader:
    """Training samples draw what their place in the epoch says, not what the toolbox seeds their worker with.

    For a GPU batches are page-locked, unless the options say otherwise: copies of them do not wait.
    """
    if sampler is None:
        return build(dataset, dataset_opt, sampler=None, **arguments)
    dataset_opt = {'pin_memory': arguments.get('num_gpu', 1) != 0 and torch.cuda.is_available()} | dataset_opt
    loader = build(SeededSamples(dataset), dataset_opt, sampler=sampler, **arguments)
    loader.worker_init_fn = ignore_stop_signals
    _end_loader_processes_at_exit()
    loader.generator = torch.Generator()  # else a loader takes a number from the network's generator at every start
    return loader


@cache
def _end_loader_processes_at_exit() -> None:
    """With ``prefetch_mode: cpu`` they are still there at the end, and Python would wait for their end for ever.

    It ends them with a signal that they ignore; a thread of the toolbox's keeps their loader alive.
    """
    def end() -> None:
        for process in multiprocessing.active_children():
            process.kill()

    atexit.register(end)  # what is registered last is called first, before Python's own


def _create_dataloaders(create: Callable[..., tuple], opt: dict[str, Any], logger: logging.Logger) -> tuple:
    """Training lasts to its last iteration, whatever it goes on from.

    The toolbox counts epochs with the incomplete batch that the loader drops, and as if a resumed run had always had
    this number of batches an epoch: it would end too early.
    """
    train_loader, sampler, _Run.val_loaders, _, total_iters = create(opt, logger)
    batches = len(train_loader)
    if batches == 0:
        raise OptionError(f'datasets.train: {len(train_loader.dataset)} windows make no batch for each of '
                          f'{opt["world_size"]} processes; lower batch_size_per_gpu or set dataset_enlarge_ratio')
    sampler.seed = opt['manual_seed']
    first_epoch, iteration = 0, 0
    if _Run.resumed is not None:
        first_epoch, iteration = _Run.resumed['epoch'], _Run.resumed['iter']
        sampler.start = Place(first_epoch, _Run.resumed.get('position', 0))
    sampler.set_epoch(first_epoch)
    left_now = sampler.num_left() // train_loader.batch_size
    more_epochs = math.ceil(max(0, total_iters - iteration - left_now) / batches)
    # the toolbox's loop goes to this epoch inclusively
    return train_loader, sampler, _Run.val_loaders, first_epoch + more_epochs, total_iters


def _get_root_logger(get: Callable[..., logging.Logger], *arguments: Any, log_file: str | None = None,
                     **named: Any) -> logging.Logger:
    """A log is not replaced, and one that the disk does not take is worth a line, not a traceback with every line."""
    def report(record: logging.LogRecord) -> None:
        if not reported:
            print(f'the log cannot be written ({sys.exc_info()[1]}); the run goes on', file=sys.stderr, flush=True)
            reported.append(record)

    reported: list[logging.LogRecord] = []
    logger = get(*arguments, log_file=log_file and str(_unused(Path(log_file))), **named)
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = report  # type: ignore[method-assign]  # of this one handler
    return logger


def _build_model(build: Callable[[dict[str, Any]], Any], opt: dict[str, Any]) -> Any:
    """Our model makes up for a validation that a kill prevented, and saves itself when it has to end early."""
    _record_run(opt['path']['experiments_root'], opt)
    model = build(opt)
    if isinstance(model, SatVSRModel):
        model.val_loaders = _Run.val_loaders
        note_stop_signals()
        _Run.model = model
    return model


def _build_model_to_test(build: Callable[[dict[str, Any]], Any], opt: dict[str, Any]) -> Any:
    _record_run(opt['path']['results_root'], opt)
    return build(opt)


def _record_run(folder: str, opt: dict[str, Any]) -> None:
    if opt['rank'] == 0:
        try:
            write_run_record(Path(folder), opt, sys.argv)
        except OSError as error:
            get_root_logger().error(f'{error.filename}: the record of this run cannot be written ({error.strerror})')


def save_before_ending(error: Exception) -> str:
    """When training has to end, e.g. because its data went away: save the last step, if that is possible.

    Args:
        error: why it ends.

    Returns:
        What to tell; empty where there is nothing to save. Of several processes none saves, since all would have to.
    """
    model = _Run.model
    if model is None or model.opt['dist'] or isinstance(error, TrainingError | Stopped):
        return ''
    try:
        return model.save_now()
    except WeightsError as failed:
        return f'the last step could not be saved either: {failed}'
