"""What needs a CUDA GPU; run with ``-m gpu``. The networks and the operator must give there what they give on a CPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict
from inference.networks import build
from inference.small_videos import video
from models.model_options import make_opt
from torchvision.ops import deform_conv2d

from satvsr_plugin.acceleration.network import accelerate
from satvsr_plugin.acceleration.paths import FastPaths
from satvsr_plugin.archs import MSDTGP, Bicubic
from satvsr_plugin.inference import VideoUpscaler
from satvsr_plugin.inference.precision import computing_in
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.ops.deform_conv import mmcv_fault, modulated_deform_conv2d
from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv
from satvsr_plugin.ops.triton_deform_conv import triton_fault
from satvsr_plugin.weights import from_official

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')]


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    switches = torch.backends.cudnn, torch.backends.cuda.matmul  # the second has no attributes to monkeypatch
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = False
    yield
    for switch, value in zip(switches, before, strict=True):
        switch.allow_tf32 = value


def test_mmcv_is_compiled_for_this_gpu():
    assert mmcv_fault() is None


def test_operator_equals_torchvision_forward_and_gradients():
    g = torch.Generator().manual_seed(0)
    shapes = [(2, 8, 9, 11), (2, 36, 9, 11), (2, 18, 9, 11), (6, 8, 3, 3), (6,)]
    ours = [torch.randn(shape, generator=g, dtype=torch.float64).cuda().requires_grad_() for shape in shapes]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    out = modulated_deform_conv2d(*ours, 1, 2, 'mmcv')
    x, offset, mask, weight, bias = theirs
    expected = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(out, expected)
    for grad, reference in zip(torch.autograd.grad(out.sum(), ours), torch.autograd.grad(expected.sum(), theirs),
                               strict=True):
        torch.testing.assert_close(grad, reference)


def test_triton_works_on_this_gpu():
    assert triton_fault() is None


def features(offset_scale: float = 5.0) -> list[torch.Tensor]:
    """x, offset, mask, weight and bias of a training step; small cases are in ``ops/triton_cases.py``."""
    g = torch.Generator().manual_seed(0)
    x, weight = torch.randn(6, 64, 90, 101, generator=g), torch.randn(64, 64, 3, 3, generator=g) / 24
    offset = offset_scale * torch.randn(6, 144, 90, 101, generator=g)
    mask, bias = torch.rand(6, 72, 90, 101, generator=g), torch.randn(64, generator=g)
    return [t.cuda().requires_grad_() for t in (x, offset, mask, weight, bias)]


def test_triton_equals_mmcv_forward_and_gradients():
    ours, theirs = features(), features()
    probe = torch.randn(6, 64, 90, 101, device='cuda')
    out, expected = (modulated_deform_conv2d(*t, 1, 8, backend) for t, backend in ((ours, 'triton'), (theirs, 'mmcv')))
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    for grad, reference in zip(torch.autograd.grad(out, ours, probe), torch.autograd.grad(expected, theirs, probe),
                               strict=True):
        torch.testing.assert_close(grad, reference, rtol=1e-4, atol=1e-5 * reference.abs().max().item())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_triton_differs_by_rounding_only_under_autocast(dtype):
    ours = features()
    theirs = [t.detach().double().requires_grad_() for t in ours]
    for i in (0, 3, 4):
        theirs[i].data.copy_(ours[i].data.to(dtype))
    probe = torch.randn(6, 64, 90, 101, device='cuda').to(dtype)
    with torch.autocast('cuda', dtype=dtype):
        out = modulated_deform_conv2d(ours[0].to(dtype, memory_format=torch.channels_last), *ours[1:], 1, 8, 'triton')
    assert out.dtype == dtype
    expected = modulated_deform_conv2d(*theirs, 1, 8, 'torchvision')
    grads = zip(torch.autograd.grad(out, ours, probe), torch.autograd.grad(expected, theirs, probe.double()),
                strict=True)
    for result, reference in [(out, expected), *grads]:
        error = (result.double() - reference).square().mean().sqrt() / reference.square().mean().sqrt()
        assert error < (2e-3 if dtype == torch.float16 else 1.6e-2)


@pytest.mark.parametrize('value', [-1e30, 1e30, float('inf'), float('-inf'), float('nan'), 2.0**31])
def test_triton_reads_nothing_outside(value):
    tensors = features()
    tensors[1].data[:, ::7] = value
    out = modulated_deform_conv2d(*tensors, 1, 8, 'triton')
    out.sum().backward()
    torch.cuda.synchronize()  # where a wild address would be told
    assert out.isnan().all() if value != value else out.isfinite().all()


@pytest.mark.parametrize('amp', [None, torch.bfloat16])
def test_triton_compiles_into_the_graph_of_inductor(amp):
    torch.manual_seed(0)
    layer = GuidedDeformConv(64, 64, dcn='triton').cuda()
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.05)
    x, guide = torch.randn(2, 2, 64, 33, 40, device='cuda')
    compiled = torch.compile(layer, fullgraph=True)
    with torch.autocast('cuda', dtype=amp, enabled=amp is not None):
        out, expected = compiled(x, guide), layer(x, guide)
    tolerance = 1e-4 if amp is None else 5e-2
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)
    parameters = list(layer.parameters())
    for grad, reference in zip(torch.autograd.grad(out.square().sum(), parameters),
                               torch.autograd.grad(expected.square().sum(), parameters), strict=True):
        torch.testing.assert_close(grad, reference, rtol=tolerance, atol=tolerance * reference.abs().max().item())


@pytest.mark.parametrize('dcn', ['auto', 'triton'])
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_network_equals_the_original(dtype, tolerance, dcn):
    golden = np.load(FOLDER / 'msdtgp_x4.npz')
    net = MSDTGP(dcn=dcn).to(dtype)
    net.load_state_dict({k: v.to(dtype) for k, v in from_official('MSDTGP', golden_state_dict('msdtgp_x4')).items()})
    with torch.no_grad():
        out = net.cuda()(torch.from_numpy(golden['in_frames']).to('cuda', dtype)).cpu()
    error = (out.double() - torch.from_numpy(golden['out_sr'])).abs().max().item()
    assert error < tolerance * (1 if dtype == torch.float64 else golden['out_sr'].std())


def test_bicubic_equals_the_cpu():
    x = torch.rand(1, 3, 3, 7, 9)
    torch.testing.assert_close(Bicubic(4).cuda()(x.cuda()).cpu(), Bicubic(4)(x))


@pytest.mark.parametrize('dcn', ['auto', 'triton'])
@pytest.mark.parametrize('amp', ['none', 'bf16', 'fp16'])
def test_training_steps(tmp_path, amp, dcn):
    torch.manual_seed(0)
    opt = make_opt(tmp_path, amp=amp, ema_decay=0.9) | {'num_gpu': 1}
    opt['network_g']['dcn'] = dcn
    model = SatVSRModel(opt)
    sample = {'lq': torch.rand(2, 3, 3, 16, 16), 'gt': torch.rand(2, 3, 32, 32)}
    losses = []
    for iteration in range(1, 31):
        model.feed_data(sample)
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()['l_pix'])
    assert losses[-1] < 0.97 * losses[0]


FAST = [FastPaths(channels_last=True), FastPaths(channels_last=True, subpixel=True),
        FastPaths(channels_last=True, compiled=True), FastPaths(channels_last=True, compiled=True, graphs=True)]


@pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 1e-4), (torch.float16, 0.02)])
@pytest.mark.parametrize('paths', FAST, ids=str)
def test_fast_paths_give_what_the_plain_network_gives(paths, dtype, tolerance):
    torch.manual_seed(0)
    net = MSDTGP(num_feat=16, num_base_feat=32, num_extract_block=1, num_reconstruct_block=1, num_stage=2,
                 deformable_groups=4, init='gentle').eval().cuda()
    fast = accelerate(net, paths)
    for _ in range(4):  # CUDA graphs are recorded at the second call and replayed from the third on
        x = torch.rand(2, 5, 3, 32, 40, device='cuda')
        with computing_in(torch.float32, x.device):
            expected = net(x)
        with computing_in(dtype, x.device):
            features = fast.extract_features(x.flatten(0, 1)).unflatten(0, (2, 5))
            result = fast.forward_features(x, features).float()
        assert (result - expected).abs().max() < tolerance * expected.std()
    if paths.compiled:
        assert fast.forward_features._compiled is not None  # it did not fall back


@pytest.mark.parametrize('fast', ['auto', ('channels_last', 'compiled', 'graphs')])
def test_videos_come_out_as_on_a_cpu(fast):
    net = build('MSDTGP')
    frames = video(7, 40, 44)
    plain = list(VideoUpscaler(net, device='cpu', fast='none')(frames))
    for tile, windows in (('none', 3), (32, None)):
        engine = VideoUpscaler(net, device='cuda', dtype='float32', tile=tile, windows=windows, fast=fast)
        assert np.abs(np.stack(list(engine(frames))).astype(int) - np.stack(plain)).max() <= 1
    net.cpu()
