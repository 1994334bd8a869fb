"""What torch's loader processes report, told for people."""

from __future__ import annotations

from satvsr_plugin.errors import SatVSRError


def without_worker_traceback(error: SatVSRError) -> str:
    """An error in a loader process arrives as its own class, with that process's traceback as the message."""
    return str(error).rpartition(f'{type(error).__module__}.{type(error).__qualname__}: ')[2].strip()


def lost_worker(error: RuntimeError) -> str | None:
    """What to tell when a loader process had no memory, or was killed; None for other errors."""
    text = str(error)
    if 'unable to allocate shared memory' in text:
        return ('the loader processes fill /dev/shm, the memory that they share; set num_worker_per_gpu: 0 for the '
                'data sets, lower batch_size_per_gpu, or in a container give more: docker run --shm-size=SIZE or '
                '--ipc=host')
    if text.startswith('DataLoader worker (pid'):
        first = text.splitlines()[0].partition('. ')[0].rstrip('.')
        return (f'{first}. The system ends a loader process when memory is full (lower num_worker_per_gpu or '
                'batch_size_per_gpu), when /dev/shm is, or when the drive of an LMDB goes away')
    return None
