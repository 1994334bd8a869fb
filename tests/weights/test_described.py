"""Weights that say which network they are of: a file alone is enough."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from models.model_options import make_opt
from safetensors import safe_open
from torch import Tensor, nn

from satvsr_plugin import __version__
from satvsr_plugin.archs.interface import run_network
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.weights import (
    build_described,
    default_weights,
    described,
    load_checkpoint,
    read_weights,
    save_checkpoint,
    save_described,
    write_safetensors,
)

SMALL = dict(num_feat=6, num_base_feat=10, num_reconstruct_block=1, num_stage=2)
MSDTGP = dict(type='MSDTGP', num_extract_block=1, deformable_groups=2, num_frame=3, scale=2, residual='bicubic',
              **SMALL)
TDAN = dict(type='TDAN', num_feat=6, num_extract_block=1, num_reconstruct_block=1, deformable_groups=2, num_frame=3,
            residual='bicubic')
SOFVSR = dict(type='SOFVSR', scale=3, num_feat=12, num_flow_block=1, num_reconstruct_block=1, residual='bicubic')
RBPN = dict(type='RBPN', num_frame=3, flow='spynet', spynet_path='/nowhere/spynet.pth', residual='bicubic', **SMALL)
EDVR = dict(type='EDVR', num_feat=8, num_frame=3, deformable_groups=2, num_extract_block=1, num_reconstruct_block=1)
BASICVSR = dict(type='BasicVSR', num_feat=6, num_block=1, spynet_path='spynet.pth')
SWINIR = dict(type='SwinIR', upscale=2, img_size=16, window_size=8, img_range=1.0, depths=[1, 2], embed_dim=12,
              num_heads=[2, 2], mlp_ratio=2, upsampler='pixelshuffledirect')
RUN = [MSDTGP, TDAN, SOFVSR, RBPN, EDVR, BASICVSR, SWINIR,
       dict(type='SRVGGNetCompact', num_feat=8, num_conv=1, upscale=2, act_type='relu')]
BUILD = [dict(type='DUF', num_layer=16, scale=2),
         dict(type='IconVSR', num_feat=8, num_block=1, edvr_path='/nowhere/edvr.pth'),
         dict(type='BasicVSRPlusPlus', mid_channels=16, num_blocks=1),
         dict(type='MSRResNet', num_feat=8, num_block=1), dict(type='RRDBNet', num_in_ch=3, num_out_ch=3, num_feat=8,
                                                               num_block=1, num_grow_ch=4)]


def make(network: dict[str, Any]) -> nn.Module:
    """The network with random weights everywhere: many begin with zeros, which would hide what they are for."""
    torch.manual_seed(0)
    net = ARCH_REGISTRY.get(network['type'])(**{k: v for k, v in network.items() if k not in ('type', 'spynet_path',
                                                                                             'edvr_path')})
    for parameter in net.parameters():
        nn.init.normal_(parameter.data, std=0.05)
    if hasattr(getattr(net, 'spynet', None), 'has_weights'):
        net.spynet.has_weights = True
    return net.eval()


@torch.no_grad()
def result(net: nn.Module) -> Tensor:
    frames = torch.rand(1, 3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return run_network(net, input_spec(net), frames)


def same(loaded: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(loaded) == list(expected) and all(torch.equal(loaded[key], expected[key]) for key in expected)


@pytest.mark.parametrize('network', RUN + BUILD, ids=lambda network: network['type'])
def test_a_file_alone_gives_the_network_back(tmp_path, network):
    net = make(network)
    for name in ('net.pth', 'net.safetensors'):
        save_described(tmp_path / name, net.state_dict(), network)
        twin = build_described(tmp_path / name)
        assert type(twin) is type(net) and not twin.training
        assert same(twin.state_dict(), net.state_dict())
    if network in RUN:
        assert torch.equal(result(twin), result(net))


def test_what_leaves_no_trace_in_weights_comes_back(tmp_path):
    network = dict(type='BasicVSRPlusPlus', mid_channels=16, num_blocks=1, max_residue_magnitude=7)
    save_described(tmp_path / 'net.pth', make(network).state_dict(), network)
    assert build_described(tmp_path / 'net.pth').deform_align['backward_1'].max_residue_magnitude == 7


def test_what_stands_in_the_files(tmp_path):
    state = make(BASICVSR).state_dict()
    save_described(tmp_path / 'net.safetensors', state, BASICVSR)
    save_described(tmp_path / 'net.pth', state, BASICVSR)
    with safe_open(tmp_path / 'net.safetensors', 'pt') as file:
        assert file.metadata() == {'format': 'satvsr_plugin', 'version': __version__,
                                   'network': '{"type": "BasicVSR", "num_feat": 6, "num_block": 1}'}
    checkpoint = torch.load(tmp_path / 'net.pth', weights_only=True)
    assert checkpoint['network'] == {'type': 'BasicVSR', 'num_feat': 6, 'num_block': 1}
    assert checkpoint['satvsr_plugin'] == __version__
    for suffix in ('pth', 'safetensors'):
        weights = read_weights(tmp_path / f'net.{suffix}')
        assert weights.network == checkpoint['network'] and weights.version == __version__ and not weights.guessed
        assert set(weights.state_dict) == set(state)


def test_ema_weights_come_first_and_prefixes_are_taken_off(tmp_path):
    state = make(EDVR).state_dict()
    ema = {f'module.{key}': value + 1 for key, value in state.items()}
    save_checkpoint(tmp_path / 'net.pth', {'params': state, 'params_ema': ema, 'network': EDVR})
    net = build_described(tmp_path / 'net.pth')
    assert torch.equal(net.conv_first.bias, state['conv_first.bias'] + 1)


def test_half_precision_is_half_the_size_and_comes_back_rounded_as_float32(tmp_path):
    state = make(SWINIR).state_dict() | {}
    for name in ('half.safetensors', 'half.pth', 'full.safetensors'):
        save_described(tmp_path / name, state, SWINIR, half=name.startswith('half'))
    numbers = sum(value.numel() for value in state.values() if value.is_floating_point())
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes['full.safetensors'] - sizes['half.safetensors'] == pytest.approx(2 * numbers, rel=0.02)
    for name in ('half.safetensors', 'half.pth'):
        loaded = build_described(tmp_path / name).state_dict()
        for key, value in state.items():
            rounded = value.half().float() if value.is_floating_point() else value
            assert loaded[key].dtype == value.dtype and torch.equal(loaded[key], rounded), key
    assert not same(loaded, state)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('value, half, message', [
    (float('nan'), False, r'not written, since conv_first\.bias holds NaN or infinity'),
    (65_520.0, True, r'not written, since conv_first\.bias goes beyond 65,504'),
])
def test_numbers_that_cannot_be_stored_are_refused(tmp_path, suffix, value, half, message):
    state = make(EDVR).state_dict()
    state['conv_first.bias'][0] = value
    with pytest.raises(WeightsError, match=rf'net\{suffix}: {message}'):
        save_described(tmp_path / f'net{suffix}', state, EDVR, half)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_readable_as_others_are(tmp_path):
    for name in ('net.pth', 'net.safetensors'):
        save_described(tmp_path / name, {'a': torch.ones(1)}, EDVR)
    assert (tmp_path / 'net.safetensors').stat().st_mode == (tmp_path / 'net.pth').stat().st_mode


def test_shared_and_strided_weights_are_written_whole(tmp_path):
    base = torch.rand(4, 6)
    write_safetensors(tmp_path / 'net.safetensors', {'a': base, 'b': base, 'c': base.T, 'd': base[:, ::2]}, EDVR)
    assert same(load_checkpoint(tmp_path / 'net.safetensors')['params'], {'a': base, 'b': base, 'c': base.T,
                                                                          'd': base[:, ::2]})


def test_spoilt_weights_are_refused(tmp_path):
    state = make(EDVR).state_dict()
    state['conv_last.weight'][0, 0] = float('inf')
    save_checkpoint(tmp_path / 'net.pth', {'params': state, 'network': EDVR})
    with pytest.raises(WeightsError, match=r'net\.pth: conv_last\.weight holds NaN or infinity'):
        build_described(tmp_path / 'net.pth')


# ------------------------------------------------------------------------------------- files that say nothing
def test_a_network_without_hidden_arguments_is_guessed_and_it_is_said(tmp_path):
    net = make(EDVR)
    save_checkpoint(tmp_path / 'net.pth', {'params': net.state_dict()})
    weights = read_weights(tmp_path / 'net.pth')
    assert weights.guessed and weights.version is None
    assert EDVR.items() <= weights.network.items()
    assert torch.equal(result(build_described(tmp_path / 'net.pth')), result(net))


@pytest.mark.parametrize('network', [MSDTGP, TDAN, SOFVSR, dict(type='RBPN', num_frame=3, **SMALL)],
                         ids=lambda network: network['type'])
def test_where_residual_decides_nothing_is_guessed(tmp_path, network):
    net = make(network)
    save_checkpoint(tmp_path / 'net.pth', {'params': net.state_dict()})
    weights = read_weights(tmp_path / 'net.pth')
    assert weights.network is None and not weights.guessed
    with pytest.raises(WeightsError, match=r'net\.pth: does not say which network .*--opt FILE'):
        build_described(tmp_path / 'net.pth')
    assert torch.equal(result(build_described(tmp_path / 'net.pth', network)), result(net))


def test_what_the_caller_says_comes_before_what_the_file_says(tmp_path):
    net = make(MSDTGP)
    save_checkpoint(tmp_path / 'net.pth', {'params': net.state_dict(), 'network': {'type': 5}})
    with pytest.raises(WeightsError, match=r'net\.pth: the record of its network has no type; .*--opt FILE'):
        build_described(tmp_path / 'net.pth')
    assert torch.equal(result(build_described(tmp_path / 'net.pth', MSDTGP)), result(net))
    with pytest.raises(WeightsError, match=r'(?s)net\.pth: these weights do not fit MSDTGP:.*check network_g'):
        build_described(tmp_path / 'net.pth', MSDTGP | {'scale': 4})


def test_networks_without_weights():
    assert build_described(None, {'type': 'Bicubic', 'scale': 2}).upsample.scale == 2
    with pytest.raises(WeightsError, match='MSDTGP needs weights: give --weights FILE'):
        build_described(None, MSDTGP)
    with pytest.raises(WeightsError, match='--weights FILE'):
        build_described(None)


def test_weights_that_should_have_come_along_are_named_when_missing(monkeypatch, tmp_path):
    assert described.DEFAULT.parts[-4:] == ('satvsr_plugin', 'weights', 'shipped', 'MSDTGP_small_x4.safetensors')
    monkeypatch.setattr(described, 'DEFAULT', tmp_path / 'small.safetensors')
    with pytest.raises(WeightsError, match=r'small\.safetensors: the weights .* are missing; .*--weights FILE'):
        default_weights()
    (tmp_path / 'small.safetensors').touch()
    assert default_weights() == tmp_path / 'small.safetensors'


# ------------------------------------------------------------------------------------------------- the video model
def test_checkpoints_of_training_rebuild_the_network_that_was_trained(tmp_path):
    model = SatVSRModel(make_opt(tmp_path, ema_decay=0.5))
    for iteration in (1, 2):
        data = torch.rand(1, 3, 3, 6, 6, generator=torch.Generator().manual_seed(iteration))
        model.feed_data({'lq': data, 'gt': torch.zeros(1, 3, 12, 12)})
        model.optimize_parameters(iteration)
    model.save(0, 2)
    model.test()
    net = build_described(tmp_path / 'models/net_g_2.pth')
    assert net.upsample is not None  # residual: bicubic
    with torch.no_grad():
        assert torch.equal(net(data), model.output)
    checkpoint = torch.load(tmp_path / 'models/net_g_2.pth', weights_only=True)
    assert set(checkpoint) == {'params', 'params_ema', 'network', 'satvsr_plugin'}
    assert checkpoint['network'] == model.opt['network_g']


@pytest.mark.parametrize('half', [False, True])
def test_the_model_loads_safetensors(tmp_path, half):
    opt = make_opt(tmp_path, is_train=False)
    network = opt['network_g']
    state = make(network).state_dict()
    opt['path']['pretrain_network_g'] = str(tmp_path / 'net.safetensors')
    write_safetensors(tmp_path / 'net.safetensors', state, network, half)
    model = SatVSRModel(opt)
    assert model.weights.param_key == 'params'
    expected = {key: value.half().float() for key, value in state.items()} if half else state
    assert same(model.net_g.state_dict(), expected)
