"""SOF-VSR against the original network's output and flows, its parameter counts, and RGB in and out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict

from satvsr_plugin.archs import SOFVSR, Bicubic
from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.errors import OptionError
from satvsr_plugin.losses import FlowLoss, LumaMSELoss
from satvsr_plugin.ops.color import luma, rgb_to_ycbcr

TINY = dict(num_feat=8, num_flow_block=1, num_reconstruct_block=1)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_equals_the_original_network(dtype, tolerance):
    golden = np.load(FOLDER / 'sofvsr_x4.npz')
    net = SOFVSR().to(dtype)
    net.load_state_dict({k: v.to(dtype) for k, v in golden_state_dict('sofvsr_x4').items()})
    with torch.no_grad():
        sr, flows = net(torch.from_numpy(golden['in_frames']).to(dtype), with_extras=True)
    assert tuple(flows) == net.input_spec.extras
    for name, ours in {'sr': sr, **flows}.items():
        reference = golden[f'out_{name}']
        error = (ours.double() - torch.from_numpy(reference)).abs().max().item()
        assert error < tolerance * (1 if dtype == torch.float64 else reference.std()), name


def test_bicubic_residual_starts_as_bicubic():
    net = SOFVSR(residual='bicubic', **TINY)
    x = torch.rand(1, 3, 3, 8, 6)
    torch.testing.assert_close(net(x), Bicubic(4)(x), atol=3e-3, rtol=0)  # the colours undo each other to 0.003
    torch.testing.assert_close(net(x[:, :, :1]), Bicubic(4)(x[:, :, :1]))


@pytest.mark.parametrize('scale, count', [(2, 945_729), (3, 1_179_329), (4, 1_047_617)])
def test_number_of_parameters(scale, count):
    assert sum(p.numel() for p in SOFVSR(scale=scale).parameters()) == count


@pytest.mark.parametrize('scale', [2, 3, 4])
@pytest.mark.parametrize('num_frame, bands', [(3, 3), (5, 1)])
def test_any_scale_and_window(scale, num_frame, bands):
    net = SOFVSR(bands, num_frame=num_frame, scale=scale, **TINY)
    assert net.input_spec == InputSpec(scale, num_frame=num_frame, bands=bands, multiple=2,
                                       extras=('flow_l1', 'flow_l2', 'flow_l3'))
    sr, flows = net(torch.rand(2, num_frame, bands, 8, 6), with_extras=True)
    assert sr.shape == (2, bands, 8 * scale, 6 * scale)
    assert [flow.shape[1:] for flow in flows.values()] == [
        (num_frame - 1, 2, 4, 3), (num_frame - 1, 2, 8, 6), (num_frame - 1, 2, 8 * scale, 6 * scale)]


def test_luma_of_the_result_is_the_networks_and_chroma_is_bicubic():
    torch.manual_seed(0)
    net = SOFVSR(**TINY).double()
    net.SR.body[-1].bias.data += 0.4
    x = 0.3 + 0.4 * torch.rand(2, 3, 3, 8, 10, dtype=torch.float64)
    y, chroma = rgb_to_ycbcr(net(x)).split([1, 2], 1)
    # the authors' rounded coefficients let a trace of chroma into Y
    torch.testing.assert_close(y, net(luma(x)), atol=1e-3, rtol=0)
    torch.testing.assert_close(chroma, Bicubic(4)(rgb_to_ycbcr(x))[:, 1:], atol=1e-3, rtol=0)


def test_every_frame_matters_in_its_place():
    torch.manual_seed(0)
    net = SOFVSR(num_frame=5, **TINY)
    x = torch.rand(1, 5, 3, 6, 6)
    out = net(x)
    for frame in range(5):
        changed = x.clone()
        changed[:, frame] = 1 - changed[:, frame]
        assert (net(changed) - out).abs().max() > 1e-3 * out.std()
    swapped, flows = net(x[:, [4, 1, 2, 3, 0]], with_extras=True)
    assert (swapped - out).abs().max() > 1e-4 * out.std()
    torch.testing.assert_close(flows['flow_l3'][:, [3, 1, 2, 0]], net(x, with_extras=True)[1]['flow_l3'])


def test_samples_of_a_batch_do_not_mix():
    torch.manual_seed(0)
    net = SOFVSR(num_frame=5, **TINY).double()
    x = torch.rand(3, 5, 3, 6, 8, dtype=torch.float64)
    sr, flows = net(x, with_extras=True)
    for i in range(3):
        one_sr, one_flows = net(x[i, None], with_extras=True)
        torch.testing.assert_close(sr[i, None], one_sr)
        for name in flows:
            torch.testing.assert_close(flows[name][i, None], one_flows[name])


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    net = SOFVSR(**TINY)
    x, gt = torch.rand(2, 3, 3, 8, 8), torch.rand(2, 3, 3, 32, 32)
    sr, flows = net(x, with_extras=True)
    (LumaMSELoss()(sr, gt[:, 1]) + FlowLoss()(flows, x, gt)).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_result_alone_trains_the_flow_too():
    torch.manual_seed(0)
    net = SOFVSR(**TINY)
    net(torch.rand(1, 3, 3, 8, 8)).square().mean().backward()
    assert net.OFR.RNN1[0].weight.grad.any() and net.OFR.SR[-1].weight.grad.any()


def test_flow_and_warps_are_float32_under_autocast():
    torch.manual_seed(0)
    net = SOFVSR(**TINY)
    x = torch.rand(1, 3, 3, 8, 8)
    expected = net(x)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out, flows = net(x, with_extras=True)
    assert {flow.dtype for flow in flows.values()} == {torch.float32}
    assert (out - expected).abs().max() < 0.02


def test_odd_sizes_go_through_run_network_and_are_refused_without():
    torch.manual_seed(0)
    net = SOFVSR(scale=2, **TINY)
    x = torch.rand(1, 3, 3, 7, 9)
    mirrored = torch.cat([x, x[:, :, :, -1:]], 3)
    mirrored = torch.cat([mirrored, mirrored[..., -1:]], 4)
    torch.testing.assert_close(run_network(net, net.input_spec, x), net(mirrored)[..., :14, :18])
    with pytest.raises(ValueError, match='even sides, got 7x9'):
        net(x)


@pytest.mark.parametrize('arguments, phrase', [
    ({'num_frame': 4}, 'num_frame: 4'), ({'num_frame': 1}, 'num_frame: 1'), ({'scale': 8}, 'scale: 8'),
    ({'num_in_ch': 4}, 'num_in_ch: 4'), ({'num_feat': 7}, 'num_feat: 7'),
    ({'num_frame': 2, 'scale': 5}, 'SOFVSR: num_frame: 2 .*; scale: 5 ')])
def test_wrong_arguments_are_named(arguments, phrase):
    with pytest.raises(OptionError, match=phrase):
        SOFVSR(**arguments)


@pytest.mark.parametrize('shape, phrase', [((1, 5, 3, 6, 6), '3 frames, got 5'), ((1, 3, 4, 6, 6), 'got 4 bands')])
def test_wrong_input_is_refused(shape, phrase):
    with pytest.raises(ValueError, match=phrase):
        SOFVSR(**TINY)(torch.rand(shape))


def test_compiles_as_one_graph():
    torch.manual_seed(0)
    net = SOFVSR(**TINY).eval()
    x = torch.rand(1, 3, 3, 8, 6)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(torch.compile(net, fullgraph=True, backend='aot_eager')(x), expected)
