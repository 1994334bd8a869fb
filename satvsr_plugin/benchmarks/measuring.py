"""Rates of several ways to do one thing, measured in turns so that a busy machine slows all of them alike."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from satvsr_plugin.machine import package_versions, processor_name
from satvsr_plugin.parallel import available_processes

PACKAGES = ('satvsr-plugin', 'basicsr', 'torch', 'torchvision', 'mmcv', 'numpy', 'opencv-python', 'lmdb', 'pillow')


class Table(NamedTuple):
    """Medians of what was measured."""

    title: str
    unit: str
    reference: str  # the row that all are compared with
    rates: Mapping[str, float]

    def ratio(self, name: str) -> float:
        """How many times as fast as the reference."""
        return self.rates[name] / self.rates[self.reference]

    def __str__(self) -> str:
        """As Markdown."""
        lines = [f'### {self.title}', '', f'| | {self.unit} | times the reference |', '|---|---:|---:|']
        lines += [f'| {name}{" (reference)" if name == self.reference else ""} | {rate:,.1f} | {self.ratio(name):.2f} |'
                  for name, rate in self.rates.items()]
        return '\n'.join(lines)


def in_turns(ways: Mapping[str, Callable[[], float]], rounds: int,
             may_go_on: Callable[[], bool] = lambda: True) -> dict[str, float]:
    """Run each way once a round.

    Args:
        ways: name -> a function that does the work and returns the rate that it reached.
        rounds: how often.
        may_go_on: asked before every round but the first.

    Returns:
        The median rate of each way.
    """
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        if number and not may_go_on():
            break
        for name, run in ways.items():
            rates[name].append(run())
    return {name: statistics.median(found) for name, found in rates.items()}


def calls_a_second(function: Callable[[int], object], seconds: float) -> float:
    """Call ``function(0)``, ``function(1)``, ... for a while; one call before that is not counted."""
    function(0)
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not calls:
        function(calls)
        calls += 1
    return calls / elapsed


def synchronize(device: torch.device) -> None:
    """GPUs run behind: wait for them, before a clock is read."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def machine() -> dict[str, str]:
    """What this was measured on."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    load = ', '.join(f'{value:.1f}' for value in os.getloadavg())
    return {'processor': processor_name(), 'cores': str(available_processes()), 'memory': f'{memory:.0f} GiB',
            'load before': load, 'system': platform.platform(), 'Python': platform.python_version(),
            **package_versions(PACKAGES)}


def device_facts(device: torch.device) -> dict[str, str]:
    """What else times on a device depend on: threads, and of a GPU its name, driver and libraries."""
    facts = {'threads': str(torch.get_num_threads())}
    if device.type != 'cuda':
        return facts
    properties = torch.cuda.get_device_properties(device)
    try:
        found = subprocess.run(['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'],
                               capture_output=True, text=True, timeout=20, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        found = []
    return {**facts, 'GPU': f'{properties.name}, {properties.total_memory / 2**30:.0f} GiB, compute capability '
                            f'{properties.major}.{properties.minor}',
            'driver': found[0] if found else 'not known', 'CUDA': str(torch.version.cuda),
            'cuDNN': str(torch.backends.cudnn.version()), **package_versions(['triton'])}
