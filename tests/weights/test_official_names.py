"""The original checkpoints' names become ours, through every wrapper and prefix that is about."""

from __future__ import annotations

import pytest
import torch
from golden.weights import golden_state_dict
from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import convert, from_official
from satvsr_plugin.weights.official import RENAMED

# Numbers of parameters that the papers and the authors' code give.
OFFICIAL = {'msdtgp_x4': ('MSDTGP', 14_174_083), 'tdan_x4': ('TDAN', 1_970_819), 'rbpn_x4_n7': ('RBPN', 12_771_943),
            'sofvsr_x4': ('SOFVSR', 1_047_617)}


@pytest.mark.parametrize('name', OFFICIAL)
def test_official_checkpoints_are_recognised_and_fit_the_paper_s_network(name):
    arch, num_parameter = OFFICIAL[name]
    official = golden_state_dict(name)
    conversion = convert({f'module.{key}': value for key, value in official.items()})
    assert conversion.arch == arch
    assert sum(tensor.numel() for tensor in conversion.state_dict.values()) == num_parameter
    assert all(conversion.state_dict[key] is value for key, value in official.items())
    defaults = {'num_frame': {'MSDTGP': 5, 'TDAN': 5, 'RBPN': 7, 'SOFVSR': 3}[arch], 'scale': 4}
    assert defaults.items() <= conversion.arguments.items()


WRAP = {
    'plain': lambda state: state,
    'DataParallel': lambda state: {f'module.{key}': value for key, value in state.items()},
    'params': lambda state: {'params': state},
    'both': lambda state: {'params': {}, 'params_ema': state},
    'mmagic': lambda state: {'meta': {'epoch': 1}, 'state_dict': {f'generator.{k}': v for k, v in state.items()}},
    'chain': lambda state: {'state_dict': {'params': {f'module.generator.module.{k}': v for k, v in state.items()}}},
}


@pytest.mark.parametrize('arch', RENAMED)
@pytest.mark.parametrize('wrap', WRAP)
def test_wrappers_and_prefixes_are_taken_off(arch, wrap):
    state = {'a.weight': torch.ones(1), 'b.module.bias': torch.zeros(1)}
    converted = from_official(arch, WRAP[wrap](state))
    assert list(converted) == list(state)
    assert all(converted[key] is value for key, value in state.items())


def test_the_toolbox_s_name_of_msdtgp_s_offsets():
    state = golden_state_dict('msdtgp_x4')
    theirs = {key.replace('conv_offset_mask', 'conv_offset'): value for key, value in state.items()}
    assert 'alignment1.dcnpack.conv_offset.weight' in theirs
    assert from_official('MSDTGP', theirs) == state


def test_tdan_in_two_parts():
    state = golden_state_dict('tdan_x4')
    second = ('fea_ex.', 'recon_layer.', 'up.')
    parts = {('rec_net.' if key.startswith(second) else 'align_net.') + key: value for key, value in state.items()}
    assert sum(key.startswith('rec_net.') for key in parts) == 47
    assert from_official('TDAN', {'state_dict': parts}) == state


def mmagic_tdan(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """The 85 tensors as mmagic calls them, layer by layer."""
    layers = {'feat_extract.0.conv': 'conv_first', 'feat_aggregate.0': 'cr', 'to_rgb': 'recon_lr',
              'reconstruct.0.conv': 'fea_ex.0', 'reconstruct.2.upsample_conv': 'up.0.0',
              'reconstruct.3.upsample_conv': 'up.0.2'}
    for theirs, ours, number in (('feat_extract.1', 'residual_layer', 5), ('reconstruct.1', 'recon_layer', 10)):
        layers |= {f'{theirs}.{block}.conv{conv}': f'{ours}.{block}.conv{conv}'
                   for block in range(number) for conv in (1, 2)}
    aligned = {'feat_aggregate.1': ('off2d_1', 'dconv_1'), 'feat_aggregate.2': ('off2d_2', 'deconv_2'),
               'align_1': ('off2d_3', 'deconv_3'), 'align_2': ('off2d', 'dconv')}
    layers |= {f'{theirs}.conv_offset': offset for theirs, (offset, _) in aligned.items()}
    names = {f'{theirs}.{part}': f'{ours}.{part}' for theirs, ours in layers.items() for part in ('weight', 'bias')}
    names |= {f'{theirs}.weight': f'{conv}.weight' for theirs, (_, conv) in aligned.items()}
    names['reconstruct.4.weight'] = 'up.1.weight'
    return {f'generator.{theirs}': official[ours] for theirs, ours in names.items()}


def test_mmagic_s_tdan():
    state = golden_state_dict('tdan_x4')
    theirs = mmagic_tdan(state)
    assert len(theirs) == 85
    conversion = convert({'meta': {}, 'state_dict': theirs})
    assert conversion.arch == 'TDAN'
    assert conversion.state_dict == state


def test_unknown_networks_and_foreign_content_are_refused():
    with pytest.raises(WeightsError, match='EDSR: the original key names are known for MSDTGP, TDAN, '):
        from_official('EDSR', {})
    with pytest.raises(WeightsError, match='optimizer'):
        from_official('MSDTGP', {'optimizer': {}})
    with pytest.raises(WeightsError, match='it holds 7'):
        from_official('MSDTGP', {7: torch.zeros(1)})


def test_two_networks_in_one_file_are_not_mixed():
    with pytest.raises(WeightsError, match=r'two keys of this checkpoint are a, one of them generator\.a: '):
        from_official('RBPN', {'a': torch.zeros(1), 'generator.a': torch.ones(1)})


def test_a_wrapper_that_contains_itself_ends():
    checkpoint: dict = {}
    checkpoint['params'] = checkpoint
    with pytest.raises(WeightsError, match='it holds params'):
        from_official('TDAN', checkpoint)
