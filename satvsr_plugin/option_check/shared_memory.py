"""Whether the machine has the shared memory that loader processes need; containers often have 64 MB only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch

from satvsr_plugin.data.shared_memory import FOLDER, free_shared_memory, needed_shared_memory
from satvsr_plugin.disk import format_size
from satvsr_plugin.models.frame_results import READERS
from satvsr_plugin.option_sentences import Problem


def shared_memory_problems(opt: dict[str, Any], options: dict[str, Any], dataset: Any, where: str) -> Iterator[Problem]:
    """Compare what one data set's loaders on this machine come to hold with what is free.

    Args:
        opt: the options.
        options: those of the data set.
        dataset: the data set, built.
        where: the section's name, for the message.
    """
    free = free_shared_memory()
    workers, batch_size, processes = _loaders(opt, options)
    if free is None or not workers:
        return
    batches = int(len(dataset) * options.get('dataset_enlarge_ratio', 1)) // batch_size // processes
    needed = processes * needed_shared_memory(dataset[0], batch_size, workers, max(batches, 1))
    if needed <= free:
        return
    readers = f'{processes * workers} loader process{"es" if processes * workers > 1 else ""}'
    smaller = ', or batch_size_per_gpu or gt_size' if options['phase'] == 'train' else ''
    yield Problem(f'{where}.num_worker_per_gpu', f'with {readers}, batches take up to '
                  f'{format_size(needed)} of shared memory, but {FOLDER} has {format_size(free)} free; set it to 0 (or '
                  f'lower it{smaller}), or give more memory: docker run --shm-size=SIZE or --ipc=host')


def _loaders(opt: dict[str, Any], options: dict[str, Any]) -> tuple[int, int, int]:
    """Loader processes and batch size of each process of this run on this machine, and the number of those."""
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    if options['phase'] != 'train':
        workers = options.get('num_worker_per_gpu')
        return READERS if workers is None else workers, 1, processes
    gpus = torch.cuda.device_count() if opt.get('num_gpu') == 'auto' else opt.get('num_gpu')
    times = gpus if processes == 1 and isinstance(gpus, int) and gpus > 0 else 1  # the toolbox's without a launcher
    return times * options['num_worker_per_gpu'], times * options['batch_size_per_gpu'], processes
