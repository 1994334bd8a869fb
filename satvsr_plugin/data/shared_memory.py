"""The shared memory through which loader processes hand over their tensors: how much they need, and how to use it."""

from __future__ import annotations

import mmap
import shutil
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_convert, get_worker_info

FOLDER = Path('/dev/shm')  # where PyTorch has it on Linux
PREFETCH = 2  # batches that a loader process works ahead, PyTorch's default


def free_shared_memory() -> int | None:
    """Bytes that are free; None where the system has no such folder."""
    try:
        return shutil.disk_usage(FOLDER).free
    except OSError:
        return None


def needed_shared_memory(sample: dict[str, Any], batch_size: int, workers: int, batches: int) -> int:
    """Bytes that a loader comes to hold at once where reading is faster than the network.

    Args:
        sample: a sample of the data set.
        batch_size: samples in a batch.
        workers: loader processes; with none nothing is shared.
        batches: batches that there are in all.
    """
    held = min(workers * PREFETCH + 1, batches) if workers else 0  # one more is in the network
    tensors = (value for value in sample.values() if torch.is_tensor(value))
    return held * sum(-(-tensor.nbytes * batch_size // mmap.PAGESIZE) * mmap.PAGESIZE for tensor in tensors)


def shared_sample(sample: dict[str, Any]) -> dict[str, Any]:
    """For ``collate_fn`` of a ``DataLoader`` without batches: a sample whose tensors lie in shared memory already.

    PyTorch would share them only when it sends them, in a thread; where memory is short, the error ends that thread,
    and the loader waits for ever.

    Raises:
        RuntimeError: there is too little shared memory.
    """
    sample = default_convert(sample)
    if get_worker_info() is not None:
        for value in sample.values():
            if torch.is_tensor(value):
                value.share_memory_()
    return sample
