"""Accelerated networks against plain ones, and the choice of paths."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict
from torch import nn

from satvsr_plugin.acceleration import network, paths
from satvsr_plugin.acceleration.network import accelerate
from satvsr_plugin.acceleration.paths import NAMES, FastPaths, choose_fast_paths
from satvsr_plugin.archs import MSDTGP, RBPN, SOFVSR, TDAN
from satvsr_plugin.errors import OptionError
from satvsr_plugin.inference.precision import computing_in
from satvsr_plugin.weights import from_official

CPU = torch.device('cpu')
TINY = dict(num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1, num_stage=2,
            deformable_groups=2)
EAGER = [FastPaths(channels_last=True), FastPaths(fused=True), FastPaths(subpixel=True),
         FastPaths(channels_last=True, subpixel=True), FastPaths(True, True, True)]


def tiny(**arguments) -> MSDTGP:
    torch.manual_seed(0)
    net = MSDTGP(**{'residual': 'bicubic', **TINY, **arguments}).eval()
    nn.init.normal_(net.output.conv.weight, std=0.01)
    return net


@pytest.mark.parametrize('chosen', [FastPaths(channels_last=True), FastPaths(True, True)], ids=str)
def test_the_full_network_gives_what_the_original_gives(chosen):
    golden = np.load(FOLDER / 'msdtgp_x4.npz')
    net = MSDTGP()
    net.load_state_dict(from_official('MSDTGP', golden_state_dict('msdtgp_x4')))
    with computing_in(torch.float32, CPU):
        out = accelerate(net.eval(), chosen)(torch.from_numpy(golden['in_frames']).float())
    assert (out.double() - torch.from_numpy(golden['out_sr'])).abs().max() < 1e-4 * golden['out_sr'].std()


@pytest.mark.parametrize('chosen', EAGER, ids=str)
@pytest.mark.parametrize('make', [
    tiny, lambda: tiny(scale=3, num_frame=3, residual='none'), TDAN, SOFVSR,
    lambda: RBPN(num_feat=8, num_base_feat=8, num_reconstruct_block=1, num_stage=2)],
    ids=['MSDTGP', 'MSDTGP x3', 'TDAN', 'SOFVSR', 'RBPN'])
def test_gives_what_the_network_gives(make, chosen):
    torch.manual_seed(0)
    net = make().eval()
    x = torch.rand(2, net.input_spec.num_frame, 3, 12, 16)
    with computing_in(torch.float32, CPU):
        expected = net(x)
        torch.testing.assert_close(accelerate(net, chosen)(x), expected, atol=1e-4 * expected.std().item(), rtol=1e-4)


def test_bfloat16_stays_close():
    net, x = tiny(), torch.rand(1, 5, 3, 16, 16)
    with computing_in(torch.bfloat16, CPU):
        fast = accelerate(net, FastPaths(True, True))(x)
    with computing_in(torch.float32, CPU):
        exact = net(x)
    assert fast.dtype == torch.float32
    assert 0 < (fast - exact).abs().max() < 0.004


@pytest.mark.parametrize('chosen', EAGER, ids=str)
def test_the_network_itself_stays_as_it_is(chosen):
    net, x = tiny(), torch.rand(1, 5, 3, 8, 8)
    before = {name: (tensor.clone(), tensor.stride()) for name, tensor in net.state_dict().items()}
    expected = net(x)
    with computing_in(torch.float32, CPU):
        accelerate(net, chosen)(x)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name][0]) and tensor.stride() == before[name][1]
    assert torch.equal(net(x), expected) and net.alignment1.dcnpack.backend != 'sampled'


def test_fused_layers_share_the_weights():
    net = tiny()
    fast = accelerate(net, FastPaths(fused=True))
    assert fast.fusion1.weight is net.fusion1.conv.weight


def test_a_network_without_convolutions_is_not_copied():
    net = nn.Linear(2, 2)
    assert accelerate(net, FastPaths(True, True)) is net


def test_what_cannot_be_copied_takes_no_fast_path(monkeypatch):
    messages: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'warning', messages.append)
    net = nn.Sequential(nn.Conv2d(3, 3, 3))
    net.kept = net(torch.rand(1, 3, 8, 8))  # of a graph
    assert accelerate(net, FastPaths(fused=True)) is net and accelerate(net, FastPaths(channels_last=True)) is net
    assert len(messages) == 2 and 'Sequential cannot be copied, and takes no fast path' in messages[0]


def test_weights_of_other_dimensions_stay_as_they_lie():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.deep = nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3)

        def forward(self, x):
            return self.deep(x), self.flat(x[:, :, 0])

    net, x = Both(), torch.rand(1, 3, 5, 8, 8)
    for result, expected in zip(accelerate(net, FastPaths(channels_last=True))(x), net(x), strict=True):
        torch.testing.assert_close(result, expected)


def test_compiled_without_graph_breaks(monkeypatch):
    monkeypatch.setattr(torch, 'compile', lambda method, compile=torch.compile, **options: compile(
        method, backend='aot_eager', **{key: value for key, value in options.items() if key != 'mode'}))
    net, x = tiny(), torch.rand(1, 5, 3, 8, 8)
    fast = accelerate(net, FastPaths(channels_last=True, compiled=True))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        with computing_in(dtype, CPU):
            features = fast.extract_features(x[0]).unsqueeze(0)
            torch.testing.assert_close(fast.forward_features(x, features), net(x), atol=tolerance, rtol=1e-5)
    assert fast.forward_features._compiled is not None
    with computing_in(torch.float32, CPU):
        torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_inductor_gives_what_the_network_gives():
    net, x = tiny(), torch.rand(1, 5, 3, 8, 8)
    fast = accelerate(net, FastPaths(channels_last=True, compiled=True))
    with computing_in(torch.float32, CPU):
        torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)
    assert fast.forward_features._compiled is not None


def test_what_cannot_be_compiled_runs_as_it_is(monkeypatch):
    class Breaks(nn.Module):
        def forward(self, x):
            return 2 * x if x.sum() > 0 else x  # cannot be traced

    messages: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'warning', messages.append)
    fast = accelerate(Breaks().eval(), FastPaths(compiled=True))
    assert fast(torch.ones(2)).tolist() == [2, 2]
    assert fast(torch.ones(3)).tolist() == [2, 2, 2]
    assert len(messages) == 1 and 'Breaks.forward cannot be compiled, and runs as it is: ' in messages[0]


def test_graphs_are_not_overwritten(monkeypatch):
    """What CUDA graphs give is overwritten at the next replay: the wrapper has to copy."""
    static = torch.zeros(2)
    monkeypatch.setattr(torch, 'compile', lambda method, **options: lambda x: static.copy_(x))
    wrapped = network._Compiled('Net.forward', lambda x: x, graphs=True)
    first = wrapped(torch.ones(2))
    wrapped(torch.full((2,), 5.))
    assert first.tolist() == [1, 1]


def test_auto_on_a_cpu_and_on_a_gpu(monkeypatch):
    monkeypatch.setattr(paths, 'fused_problem', lambda: None)
    monkeypatch.setattr(paths, 'can_keep_freed_memory', lambda: True)
    assert choose_fast_paths('auto', CPU) == FastPaths(channels_last=True, fused=True, kept_memory=True)
    assert choose_fast_paths('auto', torch.device('cuda')) == FastPaths(channels_last=True, windows=0)
    monkeypatch.setattr(paths, 'fused_problem', lambda: 'too old')
    monkeypatch.setattr(paths, 'can_keep_freed_memory', lambda: False)
    assert choose_fast_paths('auto', CPU) == FastPaths(channels_last=True)
    assert choose_fast_paths('none', CPU) == FastPaths()


def test_names_switch_paths_on():
    assert choose_fast_paths(['subpixel', 'channels_last'], CPU) == FastPaths(channels_last=True, subpixel=True)
    assert choose_fast_paths('compiled', CPU) == FastPaths(compiled=True)
    assert choose_fast_paths([' graphs', ''], torch.device('cuda')) == FastPaths(compiled=True, graphs=True, windows=0)
    assert set(NAMES) | {'windows'} == set(FastPaths._fields)


@pytest.mark.parametrize('option, device, phrase', [
    (['fast'], 'cpu', 'fast is not known; choose auto or none, each alone, or some of channels_last'),
    (['auto', 'fused'], 'cpu', 'auto is not known; choose auto or none, each alone'),
    ([''], 'cpu', 'no name is not known'),
    (['graphs'], 'cpu', 'CUDA graphs need a CUDA GPU'), (['fused'], 'cuda', 'fused: is for CPUs'),
    (['kept_memory'], 'cuda', 'kept_memory: is for CPUs'), (['fused', 'compiled'], 'cpu', 'together with compiled')])
def test_what_cannot_be_had_is_told(option, device, phrase):
    with pytest.raises(OptionError, match=phrase):
        choose_fast_paths(option, torch.device(device))


KEEP = '''
import ctypes, sys
from satvsr_plugin.acceleration.allocator import keep_freed_memory
print(keep_freed_memory())
import mmap
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(2):
    block = libc.malloc(2**27)
    ctypes.memset(block, 1, 2**27)
    libc.free(block)
held = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS'))
print(int(held) * 1024 > 2**27)
'''


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='needs Linux')
@pytest.mark.parametrize('environment, kept', [({}, True), ({'MALLOC_TRIM_THRESHOLD_': '131072'}, False)])
def test_freed_memory_is_kept(environment, kept):
    done = subprocess.run([sys.executable, '-c', KEEP], capture_output=True, text=True, check=True,
                          env={'SATVSR_REGISTER': '0', 'PATH': os.environ['PATH'], 'PYTHONPATH': ':'.join(sys.path),
                               **environment})
    assert done.stdout.split() == [str(kept)] * 2
