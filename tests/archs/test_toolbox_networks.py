"""The toolbox's networks on a CPU: what they want is known, they align, and their faults are mended."""

from __future__ import annotations

import pytest
import torch
from basicsr.archs import build_network
from basicsr.archs.arch_util import DCNv2Pack
from torchvision.ops import deform_conv2d

from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.archs.toolbox_networks import input_spec, is_known

NETWORKS = {
    'DUF': dict(num_layer=16),
    'EDVR': dict(num_feat=8, num_reconstruct_block=1, num_extract_block=1, deformable_groups=2),
    'BasicVSR': dict(num_feat=8, num_block=1),
    'IconVSR': dict(num_feat=8, num_block=1),
    'BasicVSRPlusPlus': dict(mid_channels=8, num_blocks=1),
    'MSRResNet': dict(num_feat=8, num_block=1),
    'RRDBNet': dict(num_in_ch=3, num_out_ch=3, num_feat=8, num_block=1, num_grow_ch=4),
    'SRVGGNetCompact': dict(num_feat=8, num_conv=1),
    'SwinIR': dict(upscale=4, upsampler='pixelshuffledirect', img_size=16, window_size=8, depths=[1], num_heads=[2],
                   embed_dim=8),
}


def build(name: str, **arguments) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(dict(type=name, **{**NETWORKS[name], **arguments})).eval()


def randomise_offsets(net: torch.nn.Module) -> None:
    """Zero offsets, as they are initialised, would hide that they are not used."""
    for name, parameter in net.named_parameters():
        if 'conv_offset' in name:
            torch.nn.init.normal_(parameter, std=0.05)


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('size', [(9, 14), (36, 20)])
def test_every_size_works(name, size):
    net = build(name)
    spec = input_spec(net)
    frames = spec.num_frame if spec.sees == 'window' else 2
    with torch.no_grad():
        out = run_network(net, spec, torch.rand(1, frames, 3, *size))
    assert out.shape[-3:] == (3, 4 * size[0], 4 * size[1])
    assert out.shape[:-3] == ((1, 2) if spec.sees == 'clip' else (1,))
    assert out.isfinite().all() and is_known(type(net))


@pytest.mark.parametrize('arguments, expected', [
    (dict(num_frame=7), InputSpec(4, num_frame=7, bands=3, multiple=4)),
    (dict(num_frame=7, with_tsa=False, num_in_ch=4), InputSpec(4, num_frame=7, bands=4, multiple=4)),
    (dict(hr_in=True, with_predeblur=True), InputSpec(1, num_frame=5, bands=3, multiple=16)),
])
def test_edvr_says_what_it_wants(arguments, expected):
    assert input_spec(build('EDVR', **arguments)) == expected


@pytest.mark.parametrize('length', [1, 3, 6])
def test_iconvsr_takes_short_clips(length):
    net = build('IconVSR')
    with torch.no_grad():
        assert run_network(net, input_spec(net), torch.rand(1, length, 3, 8, 8)).shape == (1, length, 3, 32, 32)


def test_edvr_on_a_cpu_equals_torchvisions_operator():
    torch.manual_seed(0)
    layer = DCNv2Pack(8, 8, 3, padding=1, deformable_groups=2)
    randomise_offsets(layer)
    x, feat = torch.rand(2, 8, 6, 7), torch.rand(2, 8, 6, 7)
    o1, o2, mask = layer.conv_offset(feat).chunk(3, 1)
    expected = deform_conv2d(x, torch.cat([o1, o2], 1), layer.weight, layer.bias, 1, 1, 1, mask.sigmoid())
    torch.testing.assert_close(layer(x, feat), expected)


def test_offsets_that_are_not_numbers_do_not_end_the_process():
    layer = DCNv2Pack(8, 8, 3, padding=1, deformable_groups=2)
    torch.nn.init.constant_(layer.conv_offset.bias, torch.nan)
    assert layer(torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4)).isnan().any()


def test_basicvsr_plus_plus_aligns_without_gpu():
    net = build('BasicVSRPlusPlus', max_residue_magnitude=3)
    assert net.is_with_alignment and set(net.deform_align) == {'backward_1', 'forward_1', 'backward_2', 'forward_2'}
    assert {layer.max_residue_magnitude for layer in net.deform_align.values()} == {3}
    x = torch.rand(1, 3, 3, 64, 64)
    with torch.no_grad():
        before = net(x)
        randomise_offsets(net)
        assert (net(x) - before).abs().max() > 1e-5  # offsets have an effect


def test_basicvsr_plus_plus_has_the_published_size():
    net = build_network({'type': 'BasicVSRPlusPlus'})
    spynet = sum(parameter.numel() for parameter in net.spynet.parameters())
    assert spynet == 1_440_300
    assert round(sum(parameter.numel() for parameter in net.parameters()) / 1e6, 1) == 7.3


def test_basicvsr_plus_plus_forgets_a_mirrored_clip():
    net = build('BasicVSRPlusPlus')
    x = torch.rand(1, 4, 3, 64, 64)
    with torch.no_grad():
        expected = net(x)
        net(torch.cat([x[:, :2], x[:, :2].flip(1)], 1))
        torch.testing.assert_close(net(x), expected)


def test_basicvsr_plus_plus_keeps_long_clips_on_the_cpu():
    x = torch.rand(1, 3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(build('BasicVSRPlusPlus', cpu_cache_length=2)(x), build('BasicVSRPlusPlus')(x))


@pytest.mark.parametrize('size', [(32, 48), (16, 16), (7, 33)])
def test_flow_of_small_frames_is_that_of_enlarged_ones(size):
    torch.manual_seed(0)
    net = build_network({'type': 'SpyNet'}).eval()
    a, b = torch.rand(2, 1, 3, *size)
    large = [max(side, 33) for side in size]
    with torch.no_grad():
        flow = net(a, b)
        frames = [torch.nn.functional.interpolate(x, large, mode='bilinear', align_corners=False) for x in (a, b)]
        expected = torch.nn.functional.interpolate(net(*frames), size, mode='bilinear', align_corners=False)
    assert flow.shape == (1, 2, *size)
    torch.testing.assert_close(flow[:, 0], expected[:, 0] * size[1] / large[1])
    torch.testing.assert_close(flow[:, 1], expected[:, 1] * size[0] / large[0])
