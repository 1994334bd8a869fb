"""Tiles are as large as memory allows and overlap by as much as the network needs: measured, and right."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from inference.networks import Repeat, build
from torch import nn

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.inference import VideoUpscaler
from satvsr_plugin.inference.probe import OVERHEAD, bytes_per_pixel, measure_margin, peak_memory
from satvsr_plugin.inference.tile_network import TileNetwork
from satvsr_plugin.inference.tiles import RAMP

CPU = torch.device('cpu')
MEASURE = '''
import satvsr_plugin, sys, torch
from inference.networks import build
from satvsr_plugin.archs import MSDTGP
from satvsr_plugin.archs.interface import run_network
from satvsr_plugin.comparison.memory import PeakMemory
torch.set_num_threads(1)
net = (MSDTGP(num_feat=16, num_base_feat=64, num_extract_block=2, num_reconstruct_block=2, num_stage=1,
              deformable_groups=4) if sys.argv[1] == 'small' else MSDTGP()).eval()
with torch.inference_mode():
    memory = PeakMemory(torch.device('cpu'))
    memory.reset()
    run_network(net, net.input_spec, torch.rand(1, 5, 3, int(sys.argv[2]), int(sys.argv[2])))
    print(memory.peak() / int(sys.argv[2])**2)
'''


def network(net: nn.Module) -> TileNetwork:
    return TileNetwork(net, input_spec(net), CPU)


def set_free_memory(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr('satvsr_plugin.inference.tile_size.free_memory', lambda device: size)


def test_peak_memory_of_known_tensors():
    """Views and results written in place take nothing; what is no longer used is free."""
    def run():
        a = torch.zeros(1000)  # 4000 bytes
        b = a.view(10, 100)[2:] + 1  # 3200 more
        b.add_(1)
        del a
        return b.double().sum()  # 6400 and 8 beside b

    assert peak_memory(run, CPU) == 3200 + 6400 + 8


@pytest.mark.parametrize('size, side', [('small', 112), pytest.param('full', 48, marks=pytest.mark.slow)])
def test_the_estimate_is_within_a_factor_of_2_of_what_the_process_takes(size, side):
    from satvsr_plugin.archs import MSDTGP

    net = MSDTGP(num_feat=16, num_base_feat=64, num_extract_block=2, num_reconstruct_block=2, num_stage=1,
                 deformable_groups=4) if size == 'small' else MSDTGP()
    estimate = bytes_per_pixel(network(net.eval()), 3, 5, torch.float32)
    done = subprocess.run([sys.executable, '-c', MEASURE, size, str(side)], capture_output=True, text=True,
                          env={'PYTHONPATH': ':'.join(sys.path), 'OMP_NUM_THREADS': '1'}, check=True)
    truth = float(done.stdout)
    assert truth / 2 < estimate < 2 * truth


def test_the_estimate_grows_with_the_area():
    net = network(build('TDAN'))
    small, large = (peak_memory(lambda side=side: net([noise(5, side)], torch.float32), CPU) for side in (24, 48))
    assert large == pytest.approx(4 * small, rel=0.05)
    assert bytes_per_pixel(net, 3, 5, torch.float32) == pytest.approx(OVERHEAD * large / 48**2, rel=0.1)


def noise(frames: int, side: int):
    from satvsr_plugin.inference.windows import Group

    return Group(list(range(frames)), list(torch.rand(frames, 3, side, side)), [frames // 2])


class Blur(nn.Module):
    """Mean over ``2 * radius + 1`` pixels each way: sees exactly ``radius`` far."""

    def __init__(self, radius: int, multiple: int = 1) -> None:
        super().__init__()
        self.input_spec = InputSpec(1, sees='frame', multiple=multiple)
        self.pool = nn.AvgPool2d(2 * radius + 1, 1, radius)

    def forward(self, x):
        return self.pool(x)


@pytest.mark.parametrize('radius, multiple', [(0, 1), (1, 1), (7, 1), (20, 8)])
def test_how_far_a_network_sees(radius, multiple):
    assert measure_margin(network(Blur(radius, multiple)), 3, 1) == radius + 2


def test_a_network_that_sees_everything_is_told(caplog):
    with caplog.at_level('WARNING', 'basicsr'):
        assert measure_margin(network(Blur(79)), 3, 1) == 80
    assert 'Blur sees further than 80 pixels' in caplog.text


@pytest.mark.parametrize('free, side', [(10**12, 256), (2 * 150 * 150 * 100, 149), (1000, 32)])
def test_the_largest_tile_that_half_of_the_memory_holds(free, side, monkeypatch):
    monkeypatch.setattr('satvsr_plugin.inference.tile_size.bytes_per_pixel', lambda *_: 100.01)
    set_free_memory(monkeypatch, free)
    layout = VideoUpscaler(Blur(2), device='cpu').layout(FrameFormat(400, 300, 3, 8))
    assert layout.side == side
    assert layout.overlap == min(2 * (2 + 2) + RAMP, side // 2)


def test_frames_that_fit_stay_whole(monkeypatch):
    set_free_memory(monkeypatch, 10**12)
    engine = VideoUpscaler(Blur(2), device='cpu')
    assert engine.layout(FrameFormat(256, 200, 3, 8)).side is None
    assert engine.layout(FrameFormat(256, 257, 3, 8)).side == 256
    engine = VideoUpscaler(Blur(2), device='cpu', tile='none')
    assert engine.layout(FrameFormat(5000, 5000, 3, 8)).side is None


def test_tiles_are_of_sizes_that_the_network_can_take():
    engine = VideoUpscaler(Blur(2, multiple=8), device='cpu', tile=50, overlap=10)
    assert engine.layout(FrameFormat(100, 100, 3, 8)).side == 48


def tiled_and_whole(net: nn.Module, overlap: int | None) -> np.ndarray:
    """Differences, of [0, 1], of noise in three tiles that share no more than they must; along the width, LR pixels."""
    engine = VideoUpscaler(net, device='cpu', tile=96, overlap=overlap)
    shared = engine.layout(FrameFormat(22, 150, 3, 16)).overlap
    width = 96 + 2 * (96 - shared) // 4 * 4
    frames = list(np.random.default_rng(1).integers(0, 65536, (5, 22, width, 3), np.uint16))
    tiled, whole = (next(it.run(frames, offset=0, first=2, stop=3, length=5)).astype(float) / 65535
                    for it in (engine, VideoUpscaler(net, device='cpu', tile='none')))
    return abs(tiled - whole).max((0, 2)).reshape(width, -1).max(1)


@pytest.mark.parametrize('name', ['MSDTGP', 'TDAN', 'SOFVSR', 'EDVR', 'Bicubic'])
def test_tiled_equals_whole_at_the_default_overlap(name):
    assert tiled_and_whole(build(name), None).max() < 1e-3


@pytest.mark.parametrize('name', ['MSDTGP', 'TDAN', 'EDVR'])
def test_too_little_overlap_shows(name):
    """The test above can fail: tiles that share too little do differ, and they do at the joints."""
    difference = tiled_and_whole(build(name), 4)
    assert difference.max() > 1e-2 and difference[:60].max() < 1e-4


def test_a_gradient_stays_smooth():
    """Along the joints its second difference is that of the whole: nothing can be seen."""
    ramp = np.linspace(0, 65535, 164).astype(np.uint16)
    frame = np.broadcast_to(ramp[None, :, None], (22, 164, 3)).copy()
    whole, tiled = (next(VideoUpscaler(build('MSDTGP'), device='cpu', tile=tile)([frame])) for tile in ('none', 96))
    bends = [abs(np.diff(picture.astype(float), n=2, axis=1)[:, 100:-100]).max() for picture in (whole, tiled)]
    assert bends[1] < bends[0] + 40  # of 65535; a step of one grey level of 8 bit would be 257


def test_memory_that_ran_out_is_remembered_for_other_sizes():
    net = Repeat(most=1600)
    engine = VideoUpscaler(net, device='cpu', tile=60, overlap=6)
    list(engine([np.zeros((70, 70, 1), np.uint8)]))
    net.sizes.clear()
    list(engine([np.zeros((80, 90, 1), np.uint8)]))
    assert set(net.sizes) == {(40, 40)}
