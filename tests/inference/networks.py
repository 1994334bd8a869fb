"""Small networks with weights that reach far enough to tell right from wrong, and networks that only pretend."""

from __future__ import annotations

from collections.abc import MutableSequence

import torch
from basicsr.archs import build_network
from torch import Tensor, nn

from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.archs.toolbox_networks import input_spec

ARGUMENTS = {
    'MSDTGP': dict(num_feat=8, num_base_feat=16, num_extract_block=1, num_reconstruct_block=1, num_stage=1,
                   deformable_groups=2, residual='bicubic'),
    'TDAN': dict(num_feat=8, num_extract_block=1, num_reconstruct_block=1, deformable_groups=2, residual='bicubic'),
    'SOFVSR': dict(num_feat=16, num_flow_block=1, num_reconstruct_block=1),
    'EDVR': dict(num_feat=8, num_reconstruct_block=1, num_extract_block=1, deformable_groups=2),
    'Bicubic': {},
    'MSRResNet': dict(num_feat=8, num_block=1),
    'BasicVSR': dict(num_feat=8, num_block=1),
}
LAST = {'MSDTGP': 'output.conv', 'TDAN': 'up.1', 'EDVR': 'conv_last', 'MSRResNet': 'conv_last'}


def build(name: str, **arguments) -> nn.Module:
    """A network with random weights whose results, as far as it adds to the enlarged frame, spread by 0.2."""
    torch.manual_seed(0)
    net = build_network({'type': name, **ARGUMENTS[name], **arguments}).eval()
    spec = input_spec(net)
    if name in LAST:
        last = net.get_submodule(LAST[name])
        x = torch.rand(1, spec.num_frame or 1, spec.bands or 3, 24, 24)
        with torch.no_grad():
            last.weight.zero_()
            without = run_network(net, spec, x)
            nn.init.kaiming_normal_(last.weight)
            last.weight.mul_(0.2 / (run_network(net, spec, x) - without).std())
    return net


class Repeat(nn.Module):
    """Enlarges the centre frame by 2 by repeating its pixels.

    Args:
        sees: what it pretends to see.
        bands: how many it takes.
        most: pixels of an input frame from which on its memory runs out.
        error: how it says so.
    """

    def __init__(self, sees: str = 'window', bands: int | None = None, most: int | None = None,
                 error: Exception | None = None) -> None:
        super().__init__()
        self.input_spec = InputSpec(2, sees=sees, num_frame=3 if sees == 'window' else None, bands=bands)
        self.most = most
        self.error = error
        self.sizes: MutableSequence[tuple[int, ...]] = []  # of what it was given

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape[-2:]))
        if self.most and x.shape[-2] * x.shape[-1] > self.most:
            raise self.error or torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 3 GiB')
        frames = x[:, x.shape[1] // 2] if self.input_spec.sees == 'window' else x
        return frames.repeat_interleave(2, -1).repeat_interleave(2, -2)
