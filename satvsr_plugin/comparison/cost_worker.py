"""Measures one network in a process of its own: ``python -m satvsr_plugin.comparison.cost_worker``.

Reads a :class:`Task` as JSON from its standard input, and writes what it finds to its standard output as soon as it
knows it, one JSON object a line, so that what was measured before a failure is not lost.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from satvsr_plugin import registration_error
from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.plugins import load_plugins

PATIENCE = 300.0  # seconds that one run may take


@dataclass(frozen=True)
class Task:
    """What to measure.

    Attributes:
        network: a ``network_g``.
        height, width: of the LR frames that time and memory are measured on.
        bands: of the frames.
    """

    network: dict[str, Any]
    height: int
    width: int
    bands: int


def main() -> None:
    """Measure; a failure becomes a line with a ``note``."""
    # Networks and libraries may print: their words must not get between ours.
    report = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    task = Task(**json.load(sys.stdin))
    try:
        for found in measure(task):
            print(json.dumps(found), file=report, flush=True)
    except Exception as error:  # whatever a network does: the comparison goes on without the number
        kind = '' if isinstance(error, SatVSRError) else f'{type(error).__name__}: '
        first, *_ = f'{kind}{error}'.splitlines() or ['an error without a message']
        print(json.dumps({'note': first}), file=report, flush=True)


def measure(task: Task) -> Iterator[dict[str, Any]]:
    """Yields parameters, then ``macs``, then ``milliseconds`` and ``peak_memory``; or a ``note`` in place of them."""
    import torch

    from satvsr_plugin.archs.toolbox_networks import input_spec
    from satvsr_plugin.comparison.cost_measures import (
        COUNT_SIZE,
        call,
        count_macs,
        count_parameters,
        measure_time,
        random_frames,
    )
    from satvsr_plugin.comparison.memory import PeakMemory

    net = build(task.network)
    yield count_parameters(net)
    spec = input_spec(net)
    if spec is None:
        yield {'note': f'{type(net).__name__} does not say what it wants to be given (input_spec)'}
        return
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    net = net.to(device)
    memory = PeakMemory(device)
    size = spec.fit(COUNT_SIZE)
    if device.type == 'cuda':  # the first call sets things up for seconds, which must not look like a slow network
        call(net, spec, random_frames(spec, size, size, task.bands))
    start = time.perf_counter()
    yield {'macs': count_macs(net, spec, task.bands)}
    expected = (time.perf_counter() - start) * task.height * task.width / size**2
    if expected > PATIENCE:
        yield {'note': f'one run would take about {expected:.0f} seconds, so that time and memory were not measured'}
        return
    frames = random_frames(spec, task.height, task.width, task.bands)
    yield measure_time(net, spec, frames, memory, expected)._asdict()


def build(network: dict[str, Any]) -> Any:
    """A network with random weights, in evaluation mode: files of weights that its options name are not read.

    Raises:
        SatVSRError: the plugin, or one of another package, cannot be used.
    """
    if registration_error is not None:
        raise SatVSRError(f'{registration_error}; run: basicsr doctor')
    from basicsr.archs import build_network

    load_plugins()
    net = build_network({key: value for key, value in network.items() if not key.endswith('_path')})
    net.load_state_dict(net.state_dict())  # as a checkpoint would: a network may ask whether it has weights
    return net.eval()


if __name__ == '__main__':
    main()
