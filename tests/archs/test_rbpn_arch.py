"""RBPN against the original network's output, its parameter counts and the paper's structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict
from torch.utils.flop_counter import FlopCounterMode

from satvsr_plugin.archs import RBPN, Bicubic
from satvsr_plugin.errors import OptionError, WeightsError
from satvsr_plugin.ops import optical_flow

TINY = dict(num_feat=8, num_base_feat=8, num_reconstruct_block=1, num_stage=2)


def tiny(**arguments) -> RBPN:
    """A small network, the same at every call."""
    torch.manual_seed(0)
    return RBPN(**{'flow': 'zero', **TINY, **arguments})


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_equals_the_original_network(dtype, tolerance):
    golden = np.load(FOLDER / 'rbpn_x4_n7.npz')
    with torch.device('meta'):  # its own initialisation would take seconds
        net = RBPN()
    net.load_state_dict({k: v.to(dtype) for k, v in golden_state_dict('rbpn_x4_n7').items()}, assign=True)
    frames, flows = (torch.from_numpy(golden[key]).to(dtype) for key in ('in_frames', 'in_flows'))
    with torch.no_grad():
        out = net(frames, flows)
    error = (out.double() - torch.from_numpy(golden['out_sr'])).abs().max().item()
    assert error < tolerance * (1 if dtype == torch.float64 else golden['out_sr'].std())


@pytest.mark.parametrize('scale, num_frame, count', [
    (2, 7, 10_134_119), (2, 5, 10_130_663), (3, 7, 11_358_823), (4, 7, 12_771_943), (4, 5, 12_768_487),
    (8, 7, 20_308_583)])
def test_number_of_parameters(scale, num_frame, count):
    with torch.device('meta'):
        net = RBPN(scale=scale, num_frame=num_frame)
    assert sum(p.numel() for p in net.parameters()) == count


def test_number_of_operations():
    with torch.device('meta'):
        net, x = RBPN(flow='zero'), torch.rand(1, 7, 3, 8, 8)
        with FlopCounterMode(display=False) as run:
            net(x)
        with FlopCounterMode(display=False) as unused:
            net.res_feat3(torch.rand(1, 64, 32, 32))  # the original makes an LR feature of the last neighbour, too
    assert (run.get_total_flops() + unused.get_total_flops()) / 2 / 64 == pytest.approx(147.4e6, rel=1e-3)


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
@pytest.mark.parametrize('num_frame', [3, 5, 7])
@pytest.mark.parametrize('bands', [1, 4])
def test_any_scale_window_and_bands(scale, num_frame, bands):
    net = tiny(num_in_ch=bands, num_out_ch=bands, num_frame=num_frame, scale=scale)
    assert net(torch.rand(2, num_frame, bands, 9, 6)).shape == (2, bands, 9 * scale, 6 * scale)
    spec = net.input_spec
    assert (spec.scale, spec.sees, spec.num_frame, spec.bands, spec.takes) == (
        scale, 'window', num_frame, bands, ('flows',))


def test_every_frame_and_flow_matters_and_their_order_too():
    net = tiny()
    x, flows = torch.rand(1, 7, 3, 6, 6), torch.randn(1, 6, 2, 6, 6)
    out = net(x, flows)
    changes = [(x.index_fill(1, torch.tensor(frame), 0), flows) for frame in range(7)]
    changes += [(x, flows.index_fill(1, torch.tensor(neighbour), 0)) for neighbour in range(6)]
    changes += [(x, flows.flip(2)), (x, -flows), (x.flip(1), flows.flip(1))]
    for changed in changes:
        assert (net(*changed) - out).abs().max() > 1e-3 * out.std()


def test_samples_of_a_batch_do_not_mix():
    net = tiny(flow='dis').double()
    x = torch.rand(3, 7, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(net(x), torch.cat([net(sample[None]) for sample in x]))


@pytest.mark.parametrize('flow', ['dis', 'farneback', 'spynet'])
def test_estimates_the_flow_from_the_centre_to_each_neighbour(flow, tmp_path):
    path = None
    if flow == 'spynet':
        path = str(tmp_path / 'spynet.pth')
        torch.save(optical_flow.SpyNet().state_dict(), path)
    net = tiny(flow=flow, spynet_path=path)
    scene = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 46, 46), 7, 1)
    x = torch.stack([scene[..., 3:35, 3 + shift:35 + shift] for shift in (3, 2, 1, 0, -1, -2, -3)], 1)
    estimate = net.spynet or optical_flow.ESTIMATORS[flow]
    flows = estimate(x[:, 3], x[:, [0, 1, 2, 4, 5, 6]])
    if flow != 'spynet':  # whose weights are random here
        motion = flows[0, :, 0, 8:-8, 8:-8].mean((1, 2))
        torch.testing.assert_close(motion, torch.tensor([-3., -2, -1, 1, 2, 3]), atol=0.35, rtol=0)
    torch.testing.assert_close(net(x), net(x, flows))
    assert (net(x) - net(x, torch.zeros_like(flows))).abs().max() > 1e-4


def test_spynets_weights_belong_to_the_network_but_are_not_trained(tmp_path):
    torch.save(optical_flow.SpyNet().state_dict(), tmp_path / 'spynet.pth')
    trained = tiny(flow='spynet', spynet_path=str(tmp_path / 'spynet.pth'))
    state = trained.state_dict()
    assert len([key for key in state if key.startswith('spynet.')]) == 62
    loaded = tiny(flow='spynet')
    x = torch.rand(1, 7, 3, 16, 16)
    with pytest.raises(WeightsError, match='spynet_path'):
        loaded(x)
    loaded.load_state_dict(state)
    torch.testing.assert_close(loaded(x), trained(x))
    loaded(x).mean().backward()
    for name, parameter in loaded.named_parameters():
        assert (parameter.grad is None) == name.startswith('spynet.')
    assert {key for key in state if not key.startswith('spynet.')} == set(tiny().state_dict())


def test_gradients_reach_all_parameters():
    net = tiny(num_frame=3)
    net(torch.rand(2, 3, 3, 8, 8)).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_bicubic_residual_starts_as_bicubic_and_learns():
    net = tiny(residual='bicubic')
    x = torch.rand(1, 7, 3, 6, 6)
    torch.testing.assert_close(net(x), Bicubic(4)(x))
    (net(x) - 0.5).abs().mean().backward()
    assert net.output.conv.weight.grad.abs().max() > 0


@pytest.mark.parametrize('arguments, phrase', [
    ({'num_frame': 4}, 'num_frame: 4'), ({'num_frame': 1}, 'num_frame: 1'), ({'scale': 5}, 'scale: 5'),
    ({'flow': 'tvl1'}, 'flow: tvl1 is none of dis, farneback, zero, spynet, precomputed'),
    ({'spynet_path': 'x.pth'}, 'spynet_path: is not read with flow: dis'),
    ({'residual': 'bilinear'}, 'residual: bilinear'), ({'residual': 'bicubic', 'num_out_ch': 1}, 'num_out_ch: 1'),
    ({'scale': 6, 'num_frame': 2}, 'num_frame: 2.*; scale: 6')])
def test_wrong_arguments_are_named(arguments, phrase):
    with pytest.raises(OptionError, match=phrase):
        RBPN(**arguments)


def test_wrong_inputs_are_refused():
    with pytest.raises(ValueError, match='7 frames, got 5'):
        tiny()(torch.rand(1, 5, 3, 6, 6))
    with pytest.raises(ValueError, match=r'flows have the shape \(1, 6, 2, 6, 5\), but \(1, 6, 2, 6, 6\)'):
        tiny()(torch.rand(1, 7, 3, 6, 6), torch.rand(1, 6, 2, 6, 5))
    with pytest.raises(OptionError, match='flow: precomputed.*flow_root'):
        tiny(flow='precomputed')(torch.rand(1, 7, 3, 6, 6))
    with pytest.raises(WeightsError, match='nowhere.pth: no such file'):
        tiny(flow='spynet', spynet_path='nowhere.pth')


def test_given_flows_stand_for_estimated_ones():
    x, flows = torch.rand(1, 7, 3, 6, 6), torch.randn(1, 6, 2, 6, 6)
    expected = tiny(flow='precomputed')(x, flows)
    assert torch.equal(tiny(flow='dis')(x, flows), expected)
    assert not torch.equal(tiny(flow='zero')(x), expected)


def test_compiles_and_exports_as_one_graph():
    net = tiny(flow='dis', num_frame=3).eval()
    x = torch.rand(1, 3, 3, 16, 16)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(torch.compile(net, fullgraph=True, backend='aot_eager')(x), expected)
        torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), expected)
