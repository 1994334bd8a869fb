"""What networks cost, against counts by hand and those of the papers' networks."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.archs import build_network
from small_results import BICUBIC, make_system
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.comparison import cost, cost_measures
from satvsr_plugin.comparison.cost_measures import CLIP, call, count_macs, count_parameters, measure_time, random_frames
from satvsr_plugin.comparison.cost_worker import Task, build
from satvsr_plugin.comparison.memory import PeakMemory
from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d

LR_PIXELS = 160 * 160
SMALL = {'type': 'MSDTGP', 'num_feat': 8, 'num_base_feat': 8, 'num_extract_block': 1, 'num_reconstruct_block': 1,
         'num_stage': 1, 'deformable_groups': 2}


class Halves(nn.Module):
    """A 3x3 convolution from 2 to 4 bands, and the sum over frames."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.input_spec = spec
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.calls: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(x.shape))
        return self.conv(x.flatten(0, -4)).unflatten(0, x.shape[:-3])


@pytest.mark.parametrize('backend', ['mmcv', 'torchvision'])
def test_a_deformable_convolution_counts_as_a_plain_one(backend: str) -> None:
    x, offset, mask = torch.rand(2, 4, 5, 6), torch.rand(2, 36, 5, 6), torch.rand(2, 18, 5, 6)
    counter = FlopCounterMode(display=False)
    with counter:
        modulated_deform_conv2d(x, offset, mask, torch.rand(8, 4, 3, 3), torch.rand(8), 1, 2, backend)
    assert counter.get_total_flops() == 2 * (2 * 5 * 6) * 8 * (4 * 3 * 3)


@pytest.mark.parametrize(('network', 'macs', 'size'), [
    # M a LR pixel, of the original code; what it computes and ours leaves out: MSDTGP aligns the centre frame twice,
    # RBPN projects back once more after its last neighbour. And the reference's part of the first offset convolution is
    # the same for five frames.
    ({'type': 'MSDTGP'}, 61.76 - 0.685568 - 0.147456, 8),
    ({'type': 'TDAN'}, 5.58, 8),
    ({'type': 'RBPN', 'flow': 'zero'}, 147.4 - 6.946816, 8),
    ({'type': 'SOFVSR'}, 2.10, 16),
    ({'type': 'EDVR', 'num_feat': 128, 'num_reconstruct_block': 40}, 36.7, 16),
    ({'type': 'DUF', 'num_layer': 52}, 731.5e3 / LR_PIXELS, 8),
    ({'type': 'Bicubic'}, 0.0012, 8),  # 25 taps for each of 16 sub-pixels and 3 bands
])  # fmt: skip
def test_multiply_accumulates_of_the_published_networks(network: dict[str, Any], macs: float, size: int) -> None:
    net = build_network(network).eval()
    found = count_macs(net, input_spec(net), size=size) / LR_PIXELS / 1e6
    assert found == pytest.approx(macs, rel=2e-3)


def test_the_area_is_all_that_counts() -> None:
    net = build(SMALL)
    counts = [count_macs(net, input_spec(net), size=size) for size in (8, 24, 32)]
    assert counts == pytest.approx([counts[0]] * 3, rel=1e-12)


def test_networks_that_see_clips_are_counted_by_result_frame() -> None:
    """The same convolution of every frame costs the same by the window of one, by the frame and by the clip."""
    expected = LR_PIXELS * 9 * 2 * 4
    for sees, frames in (('window', 1), ('frame', 1), ('clip', CLIP)):
        net = Halves(InputSpec(1, sees=sees, num_frame=1, bands=2)).eval()
        assert count_macs(net, net.input_spec, size=10) == expected
        assert net.calls == [(1, 2, 10, 10) if sees == 'frame' else (1, frames, 2, 10, 10)]


def test_frames_have_the_size_and_bands_that_the_network_takes() -> None:
    net = Halves(InputSpec(1, num_frame=3, multiple=4, smallest=10, bands=None))
    assert random_frames(net.input_spec, 10, 10, bands=2).shape == (1, 3, 2, 10, 10)
    assert count_macs(net.eval(), net.input_spec, bands=2, size=5) > 0
    assert net.calls == [(1, 3, 2, 12, 12)]


def test_flow_that_has_to_be_given_is_none() -> None:
    net = build({'type': 'RBPN', 'flow': 'precomputed', 'num_feat': 4, 'num_base_feat': 4})
    assert call(net, net.input_spec, random_frames(net.input_spec, 8, 8, 3)).shape == (1, 3, 32, 32)


def test_frames_follow_a_network_that_has_only_buffers() -> None:
    """As ``Bicubic`` has, on a GPU."""
    net = nn.Identity()
    net.register_buffer('kernel', torch.ones(1, device='meta'))
    spec = InputSpec(1, num_frame=1)
    assert call(net, spec, random_frames(spec, 8, 8, 3)).device.type == 'meta'


def test_parameters_with_those_of_a_frozen_flow_network() -> None:
    small = {'type': 'RBPN', 'num_feat': 4, 'num_base_feat': 4}
    own = sum(p.numel() for p in build(small).parameters())
    net = build({**small, 'flow': 'spynet', 'spynet_path': '/nowhere.pth'})
    spynet = 1_440_300  # as its authors' PyTorch version has
    assert count_parameters(net) == {'parameters': own + spynet, 'trainable': own, 'flow_parameters': spynet}
    call(net, net.input_spec, random_frames(net.input_spec, 8, 8, 3))  # it runs without its file of weights


def test_time_is_the_median_by_result_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, steps=iter([9.0, 2.0, 4.0, 3.0, 5.0]))

    class Timed(Halves):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            clock.now += next(clock.steps)
            return super().forward(x)

    monkeypatch.setattr(cost_measures.time, 'perf_counter', lambda: clock.now)
    net = Timed(InputSpec(1, sees='clip', bands=2)).eval()
    frames = random_frames(net.input_spec, 8, 8, 2)
    timing = measure_time(net, net.input_spec, frames, PeakMemory(torch.device('cpu')))
    assert timing.runs == 3  # 9 seconds are enough; the first run was not counted
    assert timing.milliseconds == pytest.approx(3000 / CLIP)


def test_a_heavy_network_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Halves(InputSpec(1, num_frame=1, bands=2)).eval()
    monkeypatch.setattr(cost_measures, '_seconds', lambda run, device: run() is not None and 50.0)
    frames = random_frames(net.input_spec, 8, 8, 2)
    timing = measure_time(net, net.input_spec, frames, PeakMemory(torch.device('cpu')), expected_seconds=50.0)
    assert (timing.milliseconds, timing.runs, len(net.calls)) == (50_000, 1, 1)


@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='needs Linux, which can forget a peak')
def test_peak_memory_is_what_was_taken_and_given_back() -> None:
    memory = PeakMemory(torch.device('cpu'))
    with mmap.mmap(-1, 2**26) as taken:  # 64 MiB from the system, whatever the process keeps of what it frees
        np.frombuffer(taken, np.uint8)[:] = 1
    assert 60 * 2**20 < memory.peak() < 100 * 2**20
    memory.reset()
    assert memory.peak() < 20 * 2**20


def test_the_worker_tells_what_it_finds_and_what_it_cannot() -> None:
    found = cost.measure({'network': SMALL, 'height': 8, 'width': 12, 'bands': 3})
    net = build(SMALL)
    assert found.keys() == {'parameters', 'trainable', 'flow_parameters', 'macs', 'milliseconds', 'peak_memory', 'runs'}
    assert found['parameters'] == sum(p.numel() for p in net.parameters())
    assert found['macs'] == count_macs(net, input_spec(net), size=8)
    assert found['milliseconds'] > 0 and found['peak_memory'] > 0 and found['runs'] >= 3


def run_worker_with(monkeypatch: pytest.MonkeyPatch, program: str) -> dict[str, Any]:
    run = subprocess.run
    monkeypatch.setattr(cost.subprocess, 'run',
                        lambda command, **rest: run([sys.executable, '-c', program], **rest))
    return cost.measure({'network': SMALL, 'height': 8, 'width': 8, 'bands': 3}, timeout=5)


def test_a_worker_that_dies_keeps_what_it_had_said(monkeypatch: pytest.MonkeyPatch) -> None:
    program = 'import os; print(\'{"parameters": 5}\', flush=True); os.kill(os.getpid(), 9)'
    assert run_worker_with(monkeypatch, program) == {
        'parameters': 5, 'note': 'the process that measured ended with -9'}
    monkeypatch.undo()
    program = 'import sys; print("Killed by a fault", file=sys.stderr); sys.exit(3)'
    assert run_worker_with(monkeypatch, program) == {
        'note': 'the process that measured ended with 3 (Killed by a fault)'}
    monkeypatch.undo()
    monkeypatch.setattr(cost.subprocess, 'run', lambda *_, **__: (_ for _ in ()).throw(
        subprocess.TimeoutExpired('x', 5, output=b'{"parameters": 5}\n')))
    assert cost.measure({}, timeout=5) == {'parameters': 5, 'note': 'it was not measured within 5 seconds'}


FOUND = {'parameters': 10, 'trainable': 9, 'flow_parameters': 1, 'macs': 2.0, 'milliseconds': 3.0, 'peak_memory': 4,
         'runs': 5}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that were measured, without measuring them."""
    tasks: list[Task] = []

    def measure(task: dict[str, Any]) -> dict[str, Any]:
        tasks.append(Task(**task))
        broken = task['network']['type'] == 'Broken'
        return {'note': "KeyError: 'Broken'"} if broken else FOUND

    monkeypatch.setattr(cost, 'measure', measure)
    return tasks


def test_what_was_measured_is_kept_until_anything_changes(
    measured: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = make_system('a', {'000': 30.0}, BICUBIC)
    system = type(system)('a', tmp_path, system.record)
    said: list[str] = []
    for _ in range(2):
        costs, notes = cost.measure_costs([system], progress=said.append)
    assert measured == [Task(network=BICUBIC, height=16, width=20, bands=3)]
    assert said == ['measuring the cost of a'] and notes == []
    assert asdict(costs['a']) == {**{key: FOUND[key] for key in FOUND if key != 'runs'}, 'lq_size': (16, 20),
                                  'machine': cost.describe_machine(cost.this_machine())}
    cost.measure_costs([system], remeasure=True, progress=said.append)
    assert len(measured) == 2
    here = cost.this_machine()
    monkeypatch.setattr(cost, 'this_machine', lambda: {**here, 'threads': '64'})
    costs, _ = cost.measure_costs([system], progress=said.append)
    assert len(measured) == 3 and '64 threads' in costs['a'].machine
    assert len(json.loads((tmp_path / 'cost.json').read_text())) == 2
    (tmp_path / 'cost.json').write_text('[{"task": 1}, 7')
    cost.measure_costs([system], progress=said.append)
    assert len(measured) == 4 and len(json.loads((tmp_path / 'cost.json').read_text())) == 1


def test_a_network_that_cannot_be_built_ends_nothing(measured: list[Task], tmp_path: Path) -> None:
    system = make_system('b', {'000': 30.0}, {'type': 'Broken'})
    costs, notes = cost.measure_costs([type(system)('b', tmp_path, system.record)], progress=lambda _: None)
    assert costs == {} and notes == ["the cost of b is not complete: KeyError: 'Broken'"]
    assert not (tmp_path / 'cost.json').exists()


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_stop(measured: list[Task], tmp_path: Path) -> None:
    system = make_system('c', {'000': 30.0}, BICUBIC)
    (tmp_path / 'file').write_text('')
    costs, notes = cost.measure_costs([type(system)('c', tmp_path / 'file', system.record)], progress=lambda _: None)
    assert costs['c'].parameters == 10
    assert len(notes) == 1 and 'cost.json: cannot write, so the cost is measured again next time' in notes[0]
