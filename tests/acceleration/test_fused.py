"""Fused layers of oneDNN against the layers that they stand for."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from satvsr_plugin.acceleration import fused
from satvsr_plugin.acceleration.fused import FusedConv, FusedDeconv, fuse, fused_fault
from satvsr_plugin.archs.blocks import ConvBlock, DeconvBlock, PartsConv2d, ResBlock, UpUnit

pytestmark = pytest.mark.skipif(fused_fault() is not None, reason=str(fused_fault()))

LAYERS = {
    'conv': lambda: ConvBlock(6, 10), 'strided': lambda: ConvBlock(6, 10, 8, 4, 2), '1x1': lambda: ConvBlock(6, 10, 1),
    'without act': lambda: ConvBlock(6, 10, act=False), 'deconv': lambda: DeconvBlock(6, 10, 8, 4, 2),
    'deconv x3': lambda: DeconvBlock(6, 10, 7, 3, 2), 'res': lambda: ResBlock(6),
    'plain': lambda: nn.Conv2d(6, 10, 5, padding=2, bias=False), 'dilated': lambda: nn.Conv2d(6, 9, 3, 2, 2, 2),
    'groups': lambda: nn.Conv2d(6, 9, 3, groups=3),
}


def fused_copy(layer: nn.Module) -> nn.Module:
    holder = nn.Sequential(copy.deepcopy(layer))
    fuse(holder)
    assert type(holder[0]) is not type(layer)
    return holder[0]


@pytest.fixture(autouse=True)
def no_gradients():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize('size', [(8, 12), (13, 9)])
@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('name', LAYERS)
def test_gives_what_the_layer_gives(name, batch, size):
    layer = LAYERS[name]()
    for parameter in layer.parameters():  # slopes and biases other than those of the start
        parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(batch, 6, *size)
    for given in (x, x.contiguous(memory_format=torch.channels_last), x.flip(-1).transpose(2, 3)):
        expected = layer(given)
        before = given.clone()
        torch.testing.assert_close(fused_copy(layer)(given), expected, atol=1e-5, rtol=1e-5)
        assert torch.equal(given, before)


def test_one_pixel():
    layer = ResBlock(8)
    x = torch.randn(1, 8, 1, 1)
    torch.testing.assert_close(fused_copy(layer)(x), layer(x), atol=1e-5, rtol=1e-5)


def test_parts_add_up_to_the_whole_in_any_order():
    conv = PartsConv2d(7, 4, 3, 1, 1)
    x = torch.randn(2, 7, 6, 5)
    for layer in (conv, fused_copy(conv)):
        total = layer.of_part(x[:, 5:], 5)
        total = layer.of_part(x[:, :2], 0, total)
        total = layer.of_part(x[:, 2:5], 2, total)
        torch.testing.assert_close(total, F.conv2d(x, conv.weight, conv.bias, padding=1), atol=1e-5, rtol=1e-5)


def test_computes_in_autocasts_type_and_pictures_in_float32():
    wide, picture = ConvBlock(8, 8), ConvBlock(8, 3, act=False)
    x = torch.randn(1, 8, 9, 7)
    with torch.autocast('cpu', torch.bfloat16):
        features, colours = fused_copy(wide)(x), fused_copy(picture)(x)
        expected = wide(x)
    assert features.dtype == torch.bfloat16 and colours.dtype == torch.float32
    torch.testing.assert_close(features, expected, atol=0.02, rtol=0.02)
    torch.testing.assert_close(colours, picture(x), atol=1e-5, rtol=1e-5)


def test_the_same_layer_serves_both_types():
    layer = ConvBlock(8, 8)
    stand_in, x = fused_copy(layer), torch.randn(1, 8, 9, 7)
    with torch.autocast('cpu', torch.bfloat16):
        assert stand_in(x).dtype == torch.bfloat16
    torch.testing.assert_close(stand_in(x), layer(x), atol=1e-5, rtol=1e-5)


def test_weights_are_packed_once(monkeypatch):
    packed = []
    monkeypatch.setattr(fused._Packed, '_packed', lambda self, key, pack, dtype, real=fused._Packed._packed: real(
        self, key, lambda weight: packed.append(key) or pack(weight), dtype))
    unit = UpUnit(4, 4)
    holder = nn.Sequential(unit)
    fuse(holder)
    for _ in range(3):
        holder(torch.randn(1, 4, 6, 6))
    assert len(packed) == 3


def test_parameters_keep_their_names():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, bias=False))
    names = list(net.state_dict())
    fuse(net)
    assert list(net.state_dict()) == names


@pytest.mark.parametrize('name', ['conv', 'deconv', 'plain', 'groups'])
def test_inputs_that_do_not_fit_meet_what_the_layer_does(name):
    layer = LAYERS[name]()
    stand_in = fused_copy(layer)
    one = torch.randn(6, 9, 8)  # without batch
    torch.testing.assert_close(stand_in(one), layer(one), atol=1e-5, rtol=1e-5)
    exact = torch.randn(1, 6, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(stand_in.double()(exact), layer.double()(exact))
    with pytest.raises(RuntimeError, match='channels'):
        stand_in(exact[:, :3])


def test_parents_may_look_at_the_layer():
    layer = LAYERS['dilated']()
    stand_in = fused_copy(layer)
    assert isinstance(stand_in, nn.Conv2d)
    for name in ('in_channels', 'out_channels', 'kernel_size', 'stride', 'padding', 'dilation', 'groups'):
        assert getattr(stand_in, name) == getattr(layer, name)


def test_blocks_somebody_listens_to_stay_and_go_on_telling():
    calls = []
    net = nn.Sequential(ResBlock(4), ConvBlock(4, 4), ResBlock(4))
    net[0].conv2.register_forward_hook(lambda *_: calls.append('block'))
    net[1].conv.register_forward_pre_hook(lambda *_: calls.append('conv'))
    fuse(net)
    net(torch.randn(1, 4, 6, 6))
    assert calls == ['block', 'conv'] and type(net[2]) is not ResBlock


def test_layers_that_cannot_be_fused_stay():
    class Own(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) + 1

    heard = nn.Conv2d(3, 3, 3)
    heard.register_forward_hook(lambda *_: None)
    layers = [Own(3, 3, 3), heard, nn.Conv2d(3, 3, 3, padding=1, padding_mode='reflect'),
              nn.Conv2d(3, 3, 3, padding='same'), nn.Linear(3, 3)]
    net = nn.Sequential(*layers)
    fuse(net)
    assert list(net) == layers


@pytest.mark.parametrize('layer', [FusedConv, FusedDeconv])
def test_a_torch_without_the_operators_is_told(layer, monkeypatch):
    def missing(*_):
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_convolution_pointwise'")

    monkeypatch.setattr(layer, 'forward', missing)
    assert "no attribute '_convolution_pointwise'" in fused_fault()


def test_wrong_values_are_told(monkeypatch):
    monkeypatch.setattr(FusedDeconv, 'forward', lambda self, x: torch.zeros(2, 8, 20, 12))
    assert 'wrong values' in fused_fault()
