"""TDAN against the original network's output, its parameter count and the paper's structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict

from satvsr_plugin.archs import TDAN, Bicubic
from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import OptionError
from satvsr_plugin.losses import AlignmentLoss

TINY = dict(num_feat=8, num_extract_block=1, num_reconstruct_block=1, deformable_groups=2)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize('dcn', ['auto', 'torchvision'])
def test_equals_the_original_network(dtype, tolerance, dcn):
    golden = np.load(FOLDER / 'tdan_x4.npz')
    net = TDAN(dcn=dcn).to(dtype)
    net.load_state_dict({k: v.to(dtype) for k, v in golden_state_dict('tdan_x4').items()})
    frames = torch.from_numpy(golden['in_frames'] + 0.5).to(dtype)  # stored in the authors' range
    with torch.no_grad():
        sr, extras = net(frames, with_extras=True)
    for ours, name in ((sr, 'out_sr'), (extras['aligned'], 'out_aligned')):
        error = (ours.double() - 0.5 - torch.from_numpy(golden[name])).abs().max().item()
        assert error < tolerance * (1 if dtype == torch.float64 else golden[name].std()), name


def test_bicubic_residual_starts_as_bicubic():
    net = TDAN(residual='bicubic', **TINY)
    x = torch.rand(1, 5, 3, 6, 6)
    torch.testing.assert_close(net(x), Bicubic(4)(x))


def test_number_of_parameters():
    assert sum(p.numel() for p in TDAN().parameters()) == 1_970_819


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
@pytest.mark.parametrize('num_frame, bands', [(3, 1), (5, 4), (7, 3)])
def test_any_scale_window_and_bands(scale, num_frame, bands):
    net = TDAN(bands, bands, num_frame=num_frame, scale=scale, **TINY)
    assert net.input_spec == InputSpec(scale, num_frame=num_frame, bands=bands, extras=('aligned',))
    assert net(torch.rand(2, num_frame, bands, 9, 6)).shape == (2, bands, 9 * scale, 6 * scale)


def test_every_frame_matters_in_its_place():
    torch.manual_seed(0)
    net = TDAN(**TINY)
    x = torch.rand(1, 5, 3, 6, 6)
    out = net(x)
    for frame in range(5):
        changed = x.clone()
        changed[:, frame] = 1 - changed[:, frame]
        assert (net(changed) - out).abs().max() > 1e-3 * out.std()
    assert (net(x[:, [4, 1, 2, 3, 0]]) - out).abs().max() > 1e-3 * out.std()


def test_samples_of_a_batch_do_not_mix():
    torch.manual_seed(0)
    net = TDAN(**TINY).double()
    x = torch.rand(3, 5, 3, 6, 6, dtype=torch.float64)
    sr, extras = net(x, with_extras=True)
    alone = [net(sample[None], with_extras=True) for sample in x]
    torch.testing.assert_close(sr, torch.cat([result for result, _ in alone]))
    torch.testing.assert_close(extras['aligned'], torch.cat([extras['aligned'] for _, extras in alone]))


def test_a_neighbour_is_aligned_by_itself_and_the_centre_alone():
    torch.manual_seed(0)
    net = TDAN(**TINY)
    x = torch.rand(1, 5, 3, 6, 6)
    aligned = net(x, with_extras=True)[1]['aligned']
    torch.testing.assert_close(aligned[:, 2], x[:, 2])
    x[:, 1] = 0
    others = [0, 2, 3, 4]
    again = net(x, with_extras=True)[1]['aligned']
    torch.testing.assert_close(again[:, others], aligned[:, others])
    assert not torch.allclose(again[:, 1], aligned[:, 1])


@pytest.mark.parametrize('init, steps', [('reference', 0), ('zero_offset', 1)])
def test_gradients_reach_every_parameter(init, steps):
    """Where offsets start at zero, what they are predicted from learns from the second step on."""
    torch.manual_seed(0)
    net = TDAN(init=init, **TINY)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, gt = torch.rand(1, 5, 3, 6, 6), torch.rand(1, 3, 24, 24)
    for _ in range(steps + 1):
        optimizer.step()
        optimizer.zero_grad()
        sr, extras = net(x, with_extras=True)
        ((sr - gt).square().mean() + AlignmentLoss()(extras, x, gt)).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_layers_start_as_the_option_says():
    torch.manual_seed(0)
    net = TDAN()
    assert net.off2d.weight.std().item() == pytest.approx((2 / (9 * 144))**0.5, rel=0.02)
    assert net.up[0][0].weight.std().item() == pytest.approx((2 / (9 * 256))**0.5, rel=0.02)
    assert net.off2d.bias.abs().max() > 0
    assert net.dconv.weight.abs().max().item() == pytest.approx(576**-0.5, rel=1e-3)
    assert net.recon_layer[0].conv1.weight.std().item() == pytest.approx((2 / 576)**0.5, rel=0.02)
    gentle = TDAN(init='zero_offset')
    assert not any(p.any() for p in gentle.offset_parameters())
    assert gentle.recon_layer[0].conv1.weight.std().item() == pytest.approx(0.1 * (2 / 576)**0.5, rel=0.02)
    x = torch.rand(1, 5, 3, 8, 8)
    with torch.no_grad():
        assert gentle(x).std() < 2 < 100 < net(x).std()


def test_offset_parameters_are_those_of_the_offset_layers():
    net = TDAN(**TINY)
    found = {id(p) for p in net.offset_parameters()}
    assert {name for name, p in net.named_parameters() if id(p) in found} == {
        f'{layer}.{kind}' for layer in ('off2d_1', 'off2d_2', 'off2d_3', 'off2d') for kind in ('weight', 'bias')}


def test_offsets_are_predicted_in_float32_under_autocast():
    torch.manual_seed(0)
    net = TDAN(**TINY)
    seen = []
    net.off2d.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    x = torch.rand(1, 5, 3, 6, 6)
    expected = net(x)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = net(x)
    assert seen == [torch.float32] * 2
    assert (out - expected).abs().max() < 0.05 * expected.std()


@pytest.mark.parametrize('arguments, phrase', [
    ({'num_frame': 4}, 'num_frame: 4'), ({'num_frame': 1}, 'num_frame: 1'), ({'scale': 5}, 'scale: 5'),
    ({'deformable_groups': 7}, 'deformable_groups: 7'), ({'deformable_groups': 0}, 'deformable_groups: 0'),
    ({'init': 'zeros'}, 'init: zeros'), ({'num_in_ch': 0}, 'num_in_ch: 0'), ({'dcn': 'cuda'}, "dcn: 'cuda'")])
def test_wrong_arguments_are_named(arguments, phrase):
    with pytest.raises(OptionError, match=phrase):
        TDAN(**arguments)


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(OptionError, match='TDAN: num_frame: 4 .*; scale: 5 '):
        TDAN(num_frame=4, scale=5)


def test_wrong_number_of_frames_is_refused():
    with pytest.raises(ValueError, match='5 frames, got 3'):
        TDAN(**TINY)(torch.rand(1, 3, 3, 6, 6))


def test_compiles_as_one_graph():
    torch.manual_seed(0)
    net = TDAN(**TINY).eval()
    x = torch.rand(1, 5, 3, 6, 6)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(torch.compile(net, fullgraph=True, backend='aot_eager')(x), expected)


def test_one_exported_graph_serves_all_sizes():
    torch.manual_seed(0)
    net = TDAN(**TINY).eval()
    sizes = {'x': {3: torch.export.Dim('h', min=4, max=64), 4: torch.export.Dim('w', min=4, max=64)},
             'with_extras': None}
    exported = torch.export.export(net, (torch.rand(1, 5, 3, 8, 12), False), dynamic_shapes=sizes).module()
    x = torch.rand(1, 5, 3, 11, 6)
    with torch.no_grad():
        torch.testing.assert_close(exported(x, False), net(x))
