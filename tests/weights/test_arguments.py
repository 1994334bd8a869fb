"""A network can be built again from nothing but its weights, and weights that are of no network are told apart."""

from __future__ import annotations

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import arguments_of, convert

PROJECTION = dict(num_feat=6, num_base_feat=10, num_reconstruct_block=1, num_stage=2)
UNUSUAL = [
    ('MSDTGP', dict(scale=8, num_frame=7, num_in_ch=4, num_out_ch=1, num_extract_block=2, deformable_groups=3,
                    **PROJECTION)),
    ('MSDTGP', dict(scale=3, num_frame=3, num_in_ch=1, num_extract_block=12, deformable_groups=1, **PROJECTION)),
    *(('TDAN', dict(scale=scale, num_frame=7, num_in_ch=4, num_out_ch=2, num_feat=6, num_extract_block=1,
                    num_reconstruct_block=2, deformable_groups=3)) for scale in (2, 3, 4, 8)),
    ('RBPN', dict(scale=8, num_frame=3, num_in_ch=1, num_out_ch=2, **PROJECTION)),
    ('RBPN', dict(scale=2, num_frame=5, flow='spynet', **PROJECTION)),
    *(('SOFVSR', dict(scale=scale, num_frame=5, num_feat=12, num_flow_block=1, num_reconstruct_block=2))
      for scale in (2, 3, 4)),
    *(('DUF', dict(scale=scale, num_layer=num_layer)) for scale, num_layer in ((2, 16), (3, 28), (4, 16))),
    ('EDVR', dict(num_feat=8, num_frame=7, deformable_groups=4, num_extract_block=1, num_reconstruct_block=2,
                  with_tsa=False, num_in_ch=1)),
    ('EDVR', dict(num_feat=6, num_frame=3, deformable_groups=2, num_extract_block=2, num_reconstruct_block=1,
                  with_predeblur=True, hr_in=True)),
    ('EDVR', dict(num_feat=6, num_frame=3, deformable_groups=2, num_extract_block=2, num_reconstruct_block=1,
                  with_predeblur=True)),
    ('EDVR', dict(num_feat=128, num_reconstruct_block=40)),
    ('BasicVSR', dict(num_feat=6, num_block=2)),
    ('IconVSR', dict(num_feat=8, num_block=2, temporal_padding=3)),
    ('BasicVSRPlusPlus', dict(mid_channels=16, num_blocks=2)),
    ('BasicVSRPlusPlus', dict(mid_channels=16, num_blocks=1, is_low_res_input=False)),
]
DEFAULT = [(arch, {}) for arch in ('MSDTGP', 'TDAN', 'RBPN', 'SOFVSR', 'DUF', 'EDVR', 'BasicVSR', 'IconVSR',
                                   'BasicVSRPlusPlus')]


def weights(arch: str, arguments: dict) -> dict[str, Tensor]:
    with torch.device('meta'):  # shapes are all that matters
        return ARCH_REGISTRY.get(arch)(**arguments).state_dict()


@pytest.fixture(scope='module')
def default_weights() -> dict[str, dict[str, Tensor]]:
    return {arch: weights(arch, {}) for arch, _ in DEFAULT}


@pytest.mark.parametrize('arch, arguments', DEFAULT + UNUSUAL)
def test_networks_are_built_again_from_their_weights(arch, arguments):
    state = weights(arch, arguments)
    found = arguments_of(arch, state)
    twin = weights(arch, found)
    assert {key: value.shape for key, value in twin.items()} == {key: value.shape for key, value in state.items()}
    assert {name: value for name, value in found.items() if name in arguments} == arguments
    assert convert(state).arch == arch


@pytest.mark.parametrize('arch', [arch for arch, _ in DEFAULT])
def test_weights_of_others_are_refused(arch, default_weights):
    for other, state in default_weights.items():
        if other != arch:
            with pytest.raises(WeightsError, match=f'(do not fit|are not the weights of|weights are of no) {arch}'):
                convert(state, arch)


def test_foreign_weights_are_refused():
    with pytest.raises(WeightsError, match='not the weights of MSDTGP: .feat0'):
        arguments_of('MSDTGP', {'conv_first.weight': torch.zeros(1)})
    with pytest.raises(WeightsError, match='EDSR: its arguments can be read for MSDTGP, '):
        arguments_of('EDSR', {'conv_first.weight': torch.zeros(1)})


@pytest.mark.parametrize('arch, key, shape, message', [
    ('RBPN', 'feat0.conv.weight', (3,), 'no RBPN has such shapes'),
    ('RBPN', 'output.conv.weight', (3, 5, 3, 3), 'that can be built: RBPN: num_frame'),
    ('RBPN', 'DBPN.up1.up_conv1.deconv.weight', (64, 64, 9, 9), 'that can be built: RBPN: scale: 5'),
    ('RBPN', 'DBPN.feat1.conv.weight', (0, 256, 1, 1), 'no RBPN has such shapes'),
    ('TDAN', 'up.0.0.weight', (100, 64, 3, 3), 'no TDAN has such shapes'),
    ('TDAN', 'off2d_1.bias', (), 'no TDAN has such shapes'),
    ('TDAN', 'off2d_1.bias', (18 * 7,), 'that can be built: TDAN: deformable_groups: 7'),
    ('SOFVSR', 'OFR.SR.4.weight', (256, 0, 1, 1), 'no SOFVSR has such shapes'),
    ('DUF', 'conv3d_r2.bias', (13,), 'no DUF has such shapes'),
    ('BasicVSR', 'fusion.weight', (0, 0, 2**62), 'do not fit BasicVSR|that can be built'),
    ('BasicVSR', 'fusion.weight', (2**61, 0), 'that can be built'),
])
def test_impossible_shapes_are_refused(arch, key, shape, message, default_weights):
    state = default_weights[arch] | {key: torch.empty(shape, device='meta')}
    with pytest.raises(WeightsError, match=message):
        convert(state, arch)


def test_shapes_that_only_claim_to_be_large_cost_no_memory(default_weights):
    state = dict(default_weights['BasicVSR'])
    state['fusion.weight'] = torch.zeros(1).expand(1_000_000, 2_000_000, 1, 1)  # a network of terabytes
    with pytest.raises(WeightsError, match=r'do not fit BasicVSR:\n  \d+ of another shape: '):
        convert(state, 'BasicVSR')
