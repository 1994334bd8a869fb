"""What needs a CUDA GPU; run with ``-m gpu``. The networks and the operator must give there what they give on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict
from models.model_options import make_opt
from torchvision.ops import deform_conv2d

from satvsr_plugin.archs import MSDTGP, Bicubic
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.ops.deform_conv import mmcv_fault, modulated_deform_conv2d
from satvsr_plugin.weights import from_official

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')]


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)


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


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_network_equals_the_original(dtype, tolerance):
    golden = np.load(FOLDER / 'msdtgp_x4.npz')
    net = MSDTGP().to(dtype)
    net.load_state_dict({k: v.to(dtype) for k, v in from_official('MSDTGP', golden_state_dict('msdtgp_x4')).items()})
    with torch.no_grad():
        out = net.cuda()(torch.from_numpy(golden['in_frames']).to('cuda', dtype)).cpu()
    error = (out.double() - torch.from_numpy(golden['out_sr'])).abs().max().item()
    assert error < tolerance * (1 if dtype == torch.float64 else golden['out_sr'].std())


def test_bicubic_equals_the_cpu():
    x = torch.rand(1, 3, 3, 7, 9)
    torch.testing.assert_close(Bicubic(4).cuda()(x.cuda()).cpu(), Bicubic(4)(x))


@pytest.mark.parametrize('amp', ['none', 'bf16', 'fp16'])
def test_training_steps(tmp_path, amp):
    torch.manual_seed(0)
    model = SatVSRModel(make_opt(tmp_path, amp=amp, ema_decay=0.9) | {'num_gpu': 1})
    sample = {'lq': torch.rand(2, 3, 3, 16, 16), 'gt': torch.rand(2, 3, 32, 32)}
    losses = []
    for iteration in range(1, 31):
        model.feed_data(sample)
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()['l_pix'])
    assert losses[-1] < 0.97 * losses[0]
