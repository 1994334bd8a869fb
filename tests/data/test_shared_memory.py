"""Shared memory of loader processes: what they need, and that a lack of it is an error instead of waiting for ever."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from satvsr_plugin.data import shared_memory
from satvsr_plugin.data.shared_memory import free_shared_memory, needed_shared_memory, shared_sample

SAMPLE = {'lq': torch.zeros(5, 3, 32, 32), 'gt': torch.zeros(3, 128, 128), 'key': '000/000'}  # 61,440 and 196,608 bytes


@pytest.mark.parametrize(('batch_size', 'workers', 'batches', 'held'), [
    (1, 0, 100, 0), (1, 1, 100, 3), (1, 4, 100, 9), (8, 4, 100, 9), (1, 4, 2, 2),
])
def test_need(batch_size: int, workers: int, batches: int, held: int) -> None:
    assert needed_shared_memory(SAMPLE, batch_size, workers, batches) == held * batch_size * (61_440 + 196_608)


def test_memory_is_taken_by_pages() -> None:
    assert needed_shared_memory({'x': torch.zeros(3)}, 2, 1, 1) == 4096


def test_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shared_memory, 'FOLDER', tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(100, 60, 40))
    assert free_shared_memory() == 40
    monkeypatch.undo()
    monkeypatch.setattr(shared_memory, 'FOLDER', tmp_path / 'nowhere')
    assert free_shared_memory() is None


@pytest.mark.parametrize('workers', [0, 1])
def test_samples_arrive_as_they_are(workers: int) -> None:
    samples = [{'lq': torch.rand(2, 3), 'clip': '000', 'depth': 8} for _ in range(3)]
    for found, sample in zip(DataLoader(samples, batch_size=None, num_workers=workers, collate_fn=shared_sample),
                             samples, strict=True):
        assert torch.equal(found['lq'], sample['lq'])
        assert (found['clip'], found['depth'], found['lq'].is_shared()) == ('000', 8, workers > 0)


LOADER = """
    import torch
    from torch.utils.data import DataLoader
    from satvsr_plugin.data.shared_memory import shared_sample
    samples = [{'lq': torch.zeros(2**19)} for _ in range(8)]
    for sample in DataLoader(samples, batch_size=None, num_workers=2, collate_fn=shared_sample):
        pass
"""


def test_too_little_is_an_error() -> None:
    """In a namespace of its own with 1 MB of it; a sample takes 2."""
    mount = 'mount -t tmpfs -o size=1m tmpfs /dev/shm'
    if subprocess.run(['unshare', '-rm', 'sh', '-c', mount], capture_output=True).returncode:
        pytest.skip('mounting is not allowed here')
    done = subprocess.run(['unshare', '-rm', 'sh', '-c', f'{mount} && exec "$0" -c "$1"', sys.executable,
                           textwrap.dedent(LOADER)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert 'RuntimeError: unable to allocate shared memory(shm)' in done.stderr
