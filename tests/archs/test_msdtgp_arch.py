"""MSDTGP against the original network's output, its parameter counts and the paper's structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.weights import FOLDER, golden_state_dict

from satvsr_plugin.archs import MSDTGP, Bicubic
from satvsr_plugin.errors import OptionError
from satvsr_plugin.weights import from_official

TINY = dict(num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1, num_stage=2,
            deformable_groups=2)


def num_parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize('dcn', ['auto', 'torchvision'])
def test_equals_the_original_network(dtype, tolerance, dcn):
    golden = np.load(FOLDER / 'msdtgp_x4.npz')
    net = MSDTGP(dcn=dcn).to(dtype)
    net.load_state_dict({k: v.to(dtype) for k, v in from_official('MSDTGP', golden_state_dict('msdtgp_x4')).items()})
    with torch.no_grad():
        out = net(torch.from_numpy(golden['in_frames']).to(dtype))
    error = (out.double() - torch.from_numpy(golden['out_sr'])).abs().max().item()
    assert error < tolerance * (1 if dtype == torch.float64 else golden['out_sr'].std())


@pytest.mark.parametrize('scale, count', [(2, 11_536_259), (3, 12_760_963), (4, 14_174_083), (8, 21_710_723)])
def test_number_of_parameters(scale, count):
    assert num_parameters(MSDTGP(scale=scale)) == count


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
@pytest.mark.parametrize('num_frame', [3, 5, 7])
@pytest.mark.parametrize('bands', [1, 4])
def test_any_scale_window_and_bands(scale, num_frame, bands):
    net = MSDTGP(bands, bands, num_frame=num_frame, scale=scale, **TINY)
    assert net(torch.rand(2, num_frame, bands, 9, 6)).shape == (2, bands, 9 * scale, 6 * scale)


def test_every_frame_matters_and_the_order_of_groups_too():
    torch.manual_seed(0)
    net = MSDTGP(num_frame=7, **TINY)
    x = torch.rand(1, 7, 3, 6, 6)
    out = net(x)
    for frame in range(7):
        changed = x.clone()
        changed[:, frame] = 1 - changed[:, frame]
        assert (net(changed) - out).abs().max() > 1e-3 * out.std()
    assert (net(x[:, [1, 0, 2, 3, 4, 6, 5]]) - out).abs().max() > 1e-3 * out.std()


def test_samples_of_a_batch_do_not_mix():
    torch.manual_seed(0)
    net = MSDTGP(**TINY).double()
    x = torch.rand(3, 5, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(net(x), torch.cat([net(sample[None]) for sample in x]))


def test_bicubic_residual_starts_as_bicubic_and_learns():
    net = MSDTGP(residual='bicubic', **TINY)
    x = torch.rand(1, 5, 3, 6, 6)
    torch.testing.assert_close(net(x), Bicubic(4)(x))
    (net(x) - 0.5).abs().mean().backward()
    assert net.output.conv.weight.grad.abs().max() > 0


def test_offsets_start_as_the_option_says():
    reference = MSDTGP().alignment1.dcnpack.conv_offset_mask
    assert reference.weight.std().item() == pytest.approx((2 / (64 * 9))**0.5, rel=0.05)  # He: 0.0589
    assert not reference.bias.any()
    assert not MSDTGP(init='zero_offset').alignment1.dcnpack.conv_offset_mask.weight.any()
    assert MSDTGP().feat_all.act.weight.item() == 0.25


def test_gentle_features_keep_their_size_and_attention_can_learn():
    def attention(init: str) -> torch.Tensor:
        torch.manual_seed(0)
        net = MSDTGP(residual='bicubic', init=init).eval()
        seen = []
        net.TAtt.register_forward_hook(
            lambda _module, inputs, output: seen.append((torch.cat(inputs[0]), torch.cat(output))))
        with torch.no_grad():
            net(torch.rand(1, 5, 3, 8, 8))
        features, weights = seen[0]
        return weights, features.std()

    weight, size = attention('gentle')
    assert 0.1 < weight.median() < 0.9 and size < 1
    weight, size = attention('zero_offset')
    assert ((weight < 1e-3) | (weight > 0.999)).float().mean() > 0.9 and size > 100


@pytest.mark.parametrize('arguments, phrase', [
    ({'num_frame': 4}, 'num_frame: 4'), ({'scale': 5}, 'scale: 5'), ({'deformable_groups': 7}, 'deformable_groups: 7'),
    ({'residual': 'bilinear'}, 'residual: bilinear'), ({'init': 'zeros'}, 'init: zeros'),
    ({'residual': 'bicubic', 'num_out_ch': 1}, 'num_out_ch: 1')])
def test_wrong_arguments_are_named(arguments, phrase):
    with pytest.raises(OptionError, match=phrase):
        MSDTGP(**arguments)


def test_wrong_number_of_frames_is_refused():
    with pytest.raises(ValueError, match='5 frames, got 3'):
        MSDTGP(**TINY)(torch.rand(1, 3, 3, 6, 6))


def test_compiles_and_exports_as_one_graph():
    torch.manual_seed(0)
    net = MSDTGP(residual='bicubic', init='zero_offset', **TINY).eval()
    torch.nn.init.normal_(net.output.conv.weight, std=0.01)
    x = torch.rand(1, 5, 3, 6, 6)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(torch.compile(net, fullgraph=True, backend='aot_eager')(x), expected)
        torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), expected)


def test_one_exported_graph_serves_all_sizes():
    torch.manual_seed(0)
    net = MSDTGP(residual='bicubic', **TINY).eval()
    sizes = {'x': {3: torch.export.Dim('h', min=4, max=64), 4: torch.export.Dim('w', min=4, max=64)}}
    exported = torch.export.export(net, (torch.rand(1, 5, 3, 8, 12),), dynamic_shapes=sizes).module()
    x = torch.rand(1, 5, 3, 11, 6)
    with torch.no_grad():
        torch.testing.assert_close(exported(x), net(x))
