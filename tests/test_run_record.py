"""The record of a run: what is in it, and that none is lost or half-written."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest
import torch

from satvsr_plugin import machine, run_record
from satvsr_plugin.run_record import write_run_record

COMMAND = ['basicsr train', '-opt', 'a b.yml', '--force_yml', 'name=x']


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What git says is tested elsewhere."""
    monkeypatch.setattr(run_record, 'git_state', lambda _folder: {'commit': 'c' * 40, 'changed': True})
    monkeypatch.setattr(run_record, 'plugin_state', lambda: None)


def test_all_that_a_run_depends_on_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda index: f'GPU number {index}')
    before = datetime.now().astimezone().replace(microsecond=0)
    options = {'name': 'x', 'manual_seed': 7, 'world_size': 4, 'train': {'lr': 1e-4, 'betas': (0.9, 0.99)}, 'é': None}
    path = write_run_record(tmp_path / 'experiments' / 'x', options, COMMAND)
    assert path.parent == tmp_path / 'experiments' / 'x' / 'runs' and re.fullmatch(r'\d{8}_\d{6}\.json', path.name)
    record = json.loads(path.read_text(encoding='utf-8'))
    assert before <= datetime.fromisoformat(record['started']) <= datetime.now().astimezone()
    assert record['command'] == COMMAND and record['current_folder'] == str(tmp_path)
    assert (record['seed'], record['processes']) == (7, 4)
    assert record['gpus'] == ['GPU number 0', 'GPU number 1']
    assert record['git'] == {'plugin': None, 'current_folder': {'commit': 'c' * 40, 'changed': True}}
    assert record['options'] == {**options, 'train': {'lr': 1e-4, 'betas': [0.9, 0.99]}}
    assert record['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]
    assert record['python'] == f'{platform.python_implementation()} {sys.version.split()[0]}'
    assert record['processor'] and record['system'] == platform.platform()
    assert 1 <= record['cores'][0] <= record['cores'][1] == os.cpu_count()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_values_that_json_does_not_know(tmp_path: Path) -> None:
    options = {1: Path('a'), None: float('inf'), 'set': {5}, 'bytes': b'x', 'half': '\udcff', 'yes': True}
    read = json.loads(write_run_record(tmp_path, options, []).read_text(encoding='utf-8'))['options']
    assert read == {'1': 'a', 'None': float('inf'), 'set': '{5}', 'bytes': "b'x'", 'half': '\udcff', 'yes': True}


def test_runs_that_begin_at_once_keep_a_record_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_record, 'machine_facts', dict)
    written: list[Path] = []
    threads = [threading.Thread(target=lambda number=number: written.append(
        write_run_record(tmp_path, {'number': number}, []))) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(written)) == 12 == len(list((tmp_path / 'runs').iterdir()))
    assert {json.loads(path.read_text())['options']['number'] for path in written} == set(range(12))


def test_a_record_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Now:
        @staticmethod
        def now() -> datetime:
            return datetime(2026, 11, 27, 15, 59, 59)

    monkeypatch.setattr(run_record, 'datetime', Now)
    names = [write_run_record(tmp_path, {'number': number}, []).name for number in range(3)]
    assert names == ['20261127_155959.json', '20261127_155959_2.json', '20261127_155959_3.json']
    assert json.loads((tmp_path / 'runs' / names[0]).read_text())['options'] == {'number': 0}


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(run_record.os, 'fsync', fail)
    with pytest.raises(OSError, match='No space left'):
        write_run_record(tmp_path, {}, [])
    assert not list((tmp_path / 'runs').iterdir())


def test_memory_of_the_machine_and_of_its_container(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {'/proc/meminfo': 'MemTotal:       16384 kB\nMemAvailable:    4096 kB\n',
             '/sys/fs/cgroup/memory.max': '8388608\n'}

    def read_text(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(machine.Path, 'read_text', read_text)
    assert (machine.memory_bytes(), machine.memory_bytes('MemAvailable')) == (2**24, 2**22)
    assert machine.memory_limit() == 2**23
    files['/sys/fs/cgroup/memory.max'] = 'max\n'
    assert machine.memory_limit() is None
    del files['/sys/fs/cgroup/memory.max']
    files['/sys/fs/cgroup/memory/memory.limit_in_bytes'] = '9223372036854771712\n'  # none, in version 1
    assert machine.memory_limit() is None
    files.clear()
    assert machine.memory_bytes() is None and machine.memory_limit() is None
