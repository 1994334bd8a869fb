"""The arguments of networks, read back from the shapes of their weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from torch import Tensor

from satvsr_plugin.errors import WeightsError

Arguments = dict[str, int | bool | str]
NUM_TAP = 3 * 3  # of every deformable convolution here; each tap has dy and dx, and in its second version a mask value


def arguments_of(arch: str, state_dict: Mapping[str, Tensor]) -> Arguments:
    """Read the arguments that shape a network back from its weights.

    Args:
        arch: name of the network in the registry, e.g. ``MSDTGP``.
        state_dict: its weights, in our names.

    Returns:
        Those arguments that leave a trace in the weights (not ``residual``, ``init`` or ``dcn`` of MSDTGP).

    Raises:
        WeightsError: this is not a state dict of that network.
    """
    if arch not in _ARGUMENTS:
        raise WeightsError(f'{arch}: its arguments can be read for {", ".join(_ARGUMENTS)} only')
    try:
        return _ARGUMENTS[arch](state_dict)
    except KeyError as error:
        raise WeightsError(f'these are not the weights of {arch}: {error} is missing') from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise WeightsError(f'these are not the weights of {arch}: no {arch} has such shapes') from error


def _count(state_dict: Mapping[str, Tensor], pattern: str) -> int:
    """How many keys are of the pattern, whose one ``*`` stands for a number."""
    regex = re.escape(pattern).replace(r'\*', r'\d+')
    return sum(re.fullmatch(regex, key) is not None for key in state_dict)


def _msdtgp(state: Mapping[str, Tensor]) -> Arguments:
    num_base_feat, num_in_ch = state['feat0.conv.weight'].shape[:2]
    num_out_ch, num_stacked_feat = state['output.conv.weight'].shape[:2]
    num_feat = state['feat_all.conv.weight'].shape[0]
    num_offset_mask_ch = state['alignment1.dcnpack.conv_offset_mask.bias'].shape[0]
    return dict(
        num_in_ch=num_in_ch, num_out_ch=num_out_ch, num_feat=num_feat, num_base_feat=num_base_feat,
        num_frame=2 * (num_stacked_feat // num_feat) - 1, scale=_projection_scale(state),
        num_extract_block=_count(state, 'res_feat_ext.*.conv1.weight'),
        num_reconstruct_block=_count(state, 'res_feat1.*.conv1.weight'), num_stage=_num_stage(state),
        deformable_groups=num_offset_mask_ch // (3 * NUM_TAP))


def _rbpn(state: Mapping[str, Tensor]) -> Arguments:
    num_base_feat, num_in_ch = state['feat0.conv.weight'].shape[:2]
    num_out_ch, num_stacked_feat = state['output.conv.weight'].shape[:2]
    num_feat = state['DBPN.feat1.conv.weight'].shape[0]
    arguments: Arguments = dict(
        num_in_ch=num_in_ch, num_out_ch=num_out_ch, num_feat=num_feat, num_base_feat=num_base_feat,
        num_frame=num_stacked_feat // num_feat + 1, scale=_projection_scale(state),
        num_reconstruct_block=_count(state, 'res_feat1.*.conv1.weight'), num_stage=_num_stage(state))
    if any(key.startswith('spynet.') for key in state):
        arguments['flow'] = 'spynet'
    return arguments


def _projection_scale(state: Mapping[str, Tensor]) -> int:
    return state['DBPN.up1.up_conv1.deconv.weight'].shape[-1] - 4  # blocks.scale_geometry


def _num_stage(state: Mapping[str, Tensor]) -> int:
    return _count(state, 'DBPN.up*.up_conv1.deconv.weight')


def _tdan(state: Mapping[str, Tensor]) -> Arguments:
    num_feat, num_in_ch = state['conv_first.weight'].shape[:2]
    step = _root(state['up.0.0.weight'].shape[0] / num_feat)
    return dict(
        num_in_ch=num_in_ch, num_out_ch=state['up.1.weight'].shape[0], num_feat=num_feat,
        num_frame=state['fea_ex.0.weight'].shape[1] // num_in_ch,
        scale=step**_count(state, 'up.0.*.weight'),
        num_extract_block=_count(state, 'residual_layer.*.conv1.weight'),
        num_reconstruct_block=_count(state, 'recon_layer.*.conv1.weight'),
        deformable_groups=state['off2d_1.bias'].shape[0] // (2 * NUM_TAP))


def _sofvsr(state: Mapping[str, Tensor]) -> Arguments:
    num_feat, num_draft_ch = state['SR.body.0.weight'].shape[:2]
    # Each step of the enlargement is a 1x1 convolution to step * step as many channels as the last layer takes.
    step = _root(state['SR.body.3.weight'].shape[0] / state['OFR.SR.4.weight'].shape[1])
    scale = step**2 if 'SR.body.9.weight' in state else step
    return dict(
        num_feat=num_feat, num_frame=(num_draft_ch - 1) // scale**2 + 1, scale=scale,
        num_flow_block=_count(state, 'OFR.RNN1.2.body.*.body.0.weight'),
        num_reconstruct_block=_count(state, 'SR.body.2.body.*.body.0.weight'))


def _duf(state: Mapping[str, Tensor]) -> Arguments:
    num_layer = {3: 16, 9: 28, 21: 52}.get(_count(state, 'dense_block1.dense_blocks.*.0.weight'))
    scale = _root(state['conv3d_r2.bias'].shape[0] / 3)
    if num_layer is None:
        raise ValueError('neither 3 nor 9 nor 21 dense blocks')
    return dict(scale=scale, num_layer=num_layer)


def _edvr(state: Mapping[str, Tensor]) -> Arguments:
    num_feat = state['conv_l2_1.weight'].shape[0]
    with_tsa = 'fusion.feat_fusion.weight' in state
    with_predeblur = 'predeblur.conv_first.weight' in state
    fusion = state['fusion.feat_fusion.weight' if with_tsa else 'fusion.weight']
    # Behind the module against blur the network takes RGB only, and num_in_ch is not looked at.
    bands: Arguments = {} if with_predeblur else {'num_in_ch': state['conv_first.weight'].shape[1]}
    return dict(
        **bands, num_feat=num_feat, num_frame=fusion.shape[1] // num_feat,
        deformable_groups=state['pcd_align.cas_dcnpack.conv_offset.bias'].shape[0] // (3 * NUM_TAP),
        num_extract_block=_count(state, 'feature_extraction.*.conv1.weight'),
        num_reconstruct_block=_count(state, 'reconstruction.*.conv1.weight'),
        hr_in='predeblur.stride_conv_hr1.weight' in state, with_predeblur=with_predeblur, with_tsa=with_tsa)


def _basicvsr(state: Mapping[str, Tensor]) -> Arguments:
    return dict(num_feat=state['fusion.weight'].shape[0],
                num_block=_count(state, 'backward_trunk.main.2.*.conv1.weight'))


def _iconvsr(state: Mapping[str, Tensor]) -> Arguments:
    num_feat, num_stacked_feat = state['edvr.fusion.feat_fusion.weight'].shape[:2]
    return dict(num_feat=num_feat, num_block=_count(state, 'backward_trunk.main.2.*.conv1.weight'),
                temporal_padding=num_stacked_feat // num_feat // 2)


def _basicvsr_plus_plus(state: Mapping[str, Tensor]) -> Arguments:
    return dict(mid_channels=state['upconv1.weight'].shape[1],
                num_blocks=_count(state, 'backbone.backward_1.main.2.*.conv1.weight'),
                is_low_res_input='feat_extract.main.0.weight' in state)


def _root(square: float) -> int:
    root = math.sqrt(square)
    if root < 1 or root % 1:
        raise ValueError(f'{square:g} is no square of a scale')
    return int(root)


_ARGUMENTS: dict[str, Callable[[Mapping[str, Tensor]], Arguments]] = {
    'MSDTGP': _msdtgp,
    'TDAN': _tdan,
    'RBPN': _rbpn,
    'SOFVSR': _sofvsr,
    'DUF': _duf,
    'EDVR': _edvr,
    'BasicVSR': _basicvsr,
    'IconVSR': _iconvsr,
    'BasicVSRPlusPlus': _basicvsr_plus_plus,
}
