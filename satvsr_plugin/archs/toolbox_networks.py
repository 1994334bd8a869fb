"""What the toolbox's own networks want to be given; they cannot say it themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from satvsr_plugin.archs.interface import InputSpec


def input_spec(net: nn.Module) -> InputSpec | None:
    """What a network wants: its own word, or for networks of the toolbox ours; None where neither is known."""
    own = getattr(net, 'input_spec', None)
    if own is not None:
        return own
    describe = _TOOLBOX.get(type(net).__name__)
    return describe(net) if describe else None


def is_known(network: type[nn.Module]) -> bool:
    """Whether it is known what networks of this class want."""
    return network.__module__.startswith('satvsr_plugin.') or network.__name__ in _TOOLBOX


def _duf(net: Any) -> InputSpec:
    return InputSpec(net.scale, num_frame=7, bands=3)


def _edvr(net: Any) -> InputSpec:
    fusion = net.fusion.feat_fusion if net.with_tsa else net.fusion  # of the features of all frames, side by side
    num_frame = fusion.in_channels // fusion.out_channels
    if net.hr_in:
        return InputSpec(1, num_frame=num_frame, bands=3, multiple=16)
    return InputSpec(4, num_frame=num_frame, bands=None if net.with_predeblur else net.conv_first.in_channels,
                     multiple=4)


def _basicvsr(net: Any) -> InputSpec:
    return InputSpec(4, sees='clip', num_frame=2, bands=3)  # flow needs a pair


def _iconvsr(net: Any) -> InputSpec:
    return InputSpec(4, sees='clip', num_frame=2 * net.temporal_padding + 1, bands=3)  # its mirror reaches that far


def _basicvsr_plus_plus(net: Any) -> InputSpec:
    # it refuses to estimate flow below 64 pixels, which are a quarter of its input's where that is not LR
    if net.is_low_res_input:
        return InputSpec(4, sees='clip', num_frame=2, bands=3, smallest=64)
    return InputSpec(1, sees='clip', num_frame=2, bands=3, smallest=256, multiple=4)


def _rrdbnet(net: Any) -> InputSpec:
    multiple = {2: 2, 1: 4}.get(net.scale, 1)  # it puts so many rows and columns side by side as bands
    return InputSpec(net.scale, sees='frame', bands=net.conv_first.in_channels // multiple**2, multiple=multiple)


_TOOLBOX: dict[str, Callable[[Any], InputSpec]] = {
    'DUF': _duf,
    'EDVR': _edvr,
    'BasicVSR': _basicvsr,
    'IconVSR': _iconvsr,
    'BasicVSRPlusPlus': _basicvsr_plus_plus,
    # networks for still images
    'MSRResNet': lambda net: InputSpec(net.upscale, sees='frame', bands=net.conv_first.in_channels),
    'RRDBNet': _rrdbnet,
    'SRVGGNetCompact': lambda net: InputSpec(net.upscale, sees='frame', bands=net.num_in_ch),
    'SwinIR': lambda net: InputSpec(net.upscale, sees='frame', bands=net.conv_first.in_channels,
                                    multiple=net.layers[0].residual_group.blocks[0].window_size),
}
