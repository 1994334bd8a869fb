"""What a system costs: parameters, multiply-accumulates, time and memory a frame.

Every network is measured in a process of its own, so that one does not find the other's memory, and a network that
cannot be built or run ends nothing. What was measured is kept in the system's result folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.comparison.results import System
from satvsr_plugin.machine import package_versions, processor_name

CACHE = 'cost.json'
TIMEOUT = 900.0  # seconds for a whole system: building, counting, running
_VERSIONS = ('satvsr-plugin', 'torch', 'torchvision', 'mmcv', 'basicsr')


@dataclass(frozen=True)
class Cost:
    """The cost of one system.

    Attributes:
        parameters: all weights, of a flow network inside (SPyNet) too.
        trainable: those that training changes.
        flow_parameters: how many of ``parameters`` are a flow network's.
        macs: multiply-accumulates a result frame, for LR frames of 160x160; None where they could not be counted.
        milliseconds: median time a result frame, for LR frames of ``lq_size``; None where it was not measured.
        peak_memory: bytes that a call takes at its peak, over what the process held before; None likewise.
        lq_size: height and width of the LR frames that time and memory are of.
        machine: what they were measured on: name, device, threads and versions.
    """

    parameters: int
    trainable: int
    flow_parameters: int
    macs: float | None
    milliseconds: float | None
    peak_memory: int | None
    lq_size: tuple[int, int]
    machine: str


def measure_costs(
    systems: Sequence[System], *, remeasure: bool = False, progress: Callable[[str], None] = print
) -> tuple[dict[str, Cost], list[str]]:
    """Measure every system, or take what its result folder keeps from an earlier time.

    Args:
        systems: to measure; the LR frames are as large as those of the first clip that it was tested on.
        remeasure: measure again what was measured on this machine before.
        progress: told what is being done, a line at a time.

    Returns:
        The costs by name, without systems whose network cannot be built; and notes on what failed.
    """
    costs: dict[str, Cost] = {}
    notes: list[str] = []
    here = this_machine()
    for system in systems:
        task = task_of(system)
        cached = None if remeasure else _read_cache(system.folder, task, here)
        if cached is None:
            progress(f'measuring the cost of {system.name}')
        found = cached or measure(task)
        if cached is None and 'note' not in found:
            notes += _write_cache(system.folder, task, here, found)
        if 'note' in found:
            notes.append(f'the cost of {system.name} is not complete: {found["note"]}')
        if 'parameters' in found:
            costs[system.name] = _to_cost(found, task, here)
    return costs, notes


def task_of(system: System) -> dict[str, Any]:
    """The fields of :class:`satvsr_plugin.comparison.cost_worker.Task`."""
    record = system.record
    clip = next(iter(record.clips.values()))
    return {'network': record.network, 'height': clip.height // record.scale, 'width': clip.width // record.scale,
            'bands': clip.bands}


def measure(task: Mapping[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
    """Run the worker.

    Returns:
        Fields of :class:`Cost`, as many as could be measured, and a ``note`` where it were not all.
    """
    command = [sys.executable, '-m', 'satvsr_plugin.comparison.cost_worker']
    environment = {**os.environ, 'SATVSR_REGISTER': '1', 'PYTHONSAFEPATH': '1'}  # no modules of the current folder
    try:
        done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=timeout,
                              env=environment)
        output, failure = done.stdout, f'the process that measured ended with {done.returncode}{_last(done.stderr)}' \
            if done.returncode else ''
    except subprocess.TimeoutExpired as error:
        output, failure = (error.stdout or b'').decode(), f'it was not measured within {timeout:.0f} seconds'
    found: dict[str, Any] = {}
    for line in output.splitlines():
        found |= json.loads(line)
    return {**found, 'note': failure} if failure and 'note' not in found else found


def this_machine() -> dict[str, str]:
    """What times depend on, but for other work on the machine."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name()
    return {'device': device, 'threads': str(torch.get_num_threads()), **package_versions(_VERSIONS)}


def describe_machine(here: Mapping[str, str]) -> str:
    """One line for a footnote."""
    versions = ', '.join(f'{name} {here[name]}' for name in _VERSIONS if here.get(name, 'missing') != 'missing')
    threads = '1 thread' if here['threads'] == '1' else f'{here["threads"]} threads'
    return f'{here["device"]}, {threads}, {versions}'


def _last(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    return f' ({lines[-1]})' if lines else ''


def _to_cost(found: Mapping[str, Any], task: Mapping[str, Any], here: Mapping[str, str]) -> Cost:
    values: dict[str, Any] = {field.name: found.get(field.name) for field in dataclasses.fields(Cost)}
    return Cost(**{**values, 'lq_size': (task['height'], task['width']), 'machine': describe_machine(here)})


def _read_cache(folder: Path, task: Mapping[str, Any], here: Mapping[str, str]) -> dict[str, Any] | None:
    for entry in _entries(folder):
        if entry['task'] == task and entry['machine'] == here:
            return entry['found']
    return None


def _write_cache(folder: Path, task: Mapping[str, Any], here: Mapping[str, str], found: Mapping[str, Any]) -> list[str]:
    """Returns a note where the folder cannot be written to, which is no reason to stop."""
    others = [entry for entry in _entries(folder) if (entry['task'], entry['machine']) != (task, here)]
    try:
        with written_beside(folder / CACHE) as partial:
            partial.write_text(json.dumps([*others, {'task': task, 'machine': here, 'found': found}], indent=1))
    except OSError as error:
        return [f'{folder / CACHE}: cannot write, so the cost is measured again next time: {error.strerror}']
    return []


def _entries(folder: Path) -> list[dict[str, Any]]:
    """What was measured before; a damaged file counts as none."""
    try:
        entries = json.loads((folder / CACHE).read_text())
    except (OSError, ValueError, RecursionError):
        return []
    wanted = {'task', 'machine', 'found'}
    return [entry for entry in entries if isinstance(entry, dict) and entry.keys() == wanted] \
        if isinstance(entries, list) else []
