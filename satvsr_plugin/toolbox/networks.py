"""Faults of the toolbox's networks (BasicSR 1.4.2), mended from outside."""

from __future__ import annotations

import functools
import inspect
import math
import types
import warnings
from typing import Any


def mend() -> None:
    """Replace the faulty methods of the imported toolbox's networks."""
    _survive_offsets_that_are_not_numbers()
    _align_without_gpu()
    _estimate_flow_of_small_frames()


def _survive_offsets_that_are_not_numbers() -> None:
    """EDVR, IconVSR and BasicVSR++ call torchvision's deformable convolution, which crashes at a NaN offset."""
    import torchvision
    from basicsr.archs import arch_util, basicvsrpp_arch

    from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d, resolve_backend

    def deform_conv2d(x: Any, offset: Any, weight: Any, bias: Any, stride: int, padding: int, dilation: int,
                      mask: Any) -> Any:
        if (stride, dilation) != (1, 1):
            raise NotImplementedError(f'deformable convolution with stride {stride} and dilation {dilation}')
        groups = offset.shape[1] // (2 * weight.shape[2] * weight.shape[3])
        return modulated_deform_conv2d(x, offset, mask, weight, bias, padding, groups, resolve_backend('auto'))

    ours = types.SimpleNamespace(deform_conv2d=deform_conv2d)
    for module in (arch_util, basicvsrpp_arch):
        module.torchvision = types.SimpleNamespace(ops=ours, __version__=torchvision.__version__)


def _align_without_gpu() -> None:
    """``BasicVSRPlusPlus`` leaves out its alignment where there is no GPU, with no more than a warning.

    Besides, it moves the features of long clips to a GPU although all else may be on the CPU, and after one clip that
    is its own mirror image in time it takes all clips for such.
    """
    from basicsr.archs.basicvsrpp_arch import BasicVSRPlusPlus, SecondOrderDeformableAlignment

    build, run = BasicVSRPlusPlus.__init__, BasicVSRPlusPlus.forward

    @functools.wraps(build)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'Deformable alignment module is not added')
            build(self, *args, **kwargs)
        if not self.is_with_alignment:
            given = inspect.signature(build).bind(self, *args, **kwargs)
            given.apply_defaults()
            for branch in self.backbone:
                self.deform_align[branch] = SecondOrderDeformableAlignment(
                    2 * self.mid_channels, self.mid_channels, 3, padding=1, deformable_groups=16,
                    max_residue_magnitude=given.arguments['max_residue_magnitude'])
            self.is_with_alignment = True

    @functools.wraps(run)
    def forward(self: Any, lqs: Any) -> Any:
        self.is_mirror_extended = False
        longest = self.cpu_cache_length
        self.cpu_cache_length = longest if lqs.is_cuda else math.inf
        try:
            return run(self, lqs)
        finally:
            self.cpu_cache_length = longest

    BasicVSRPlusPlus.__init__, BasicVSRPlusPlus.forward = __init__, forward


def _estimate_flow_of_small_frames() -> None:
    """``SpyNet`` fails where a side has 32 pixels or less, as training crops have: its pyramid ends at half a pixel."""
    from basicsr.archs.spynet_arch import SpyNet
    from torch.nn.functional import interpolate

    run = SpyNet.forward

    @functools.wraps(run)
    def forward(self: Any, ref: Any, supp: Any) -> Any:
        size = ref.shape[2:]
        height, width = (max(side, 33) for side in size)
        if (height, width) == tuple(size):
            return run(self, ref, supp)
        # the toolbox enlarges to a multiple of 32 in the same way: 33 becomes 64
        ref, supp = (interpolate(x, (height, width), mode='bilinear', align_corners=False) for x in (ref, supp))
        flow = interpolate(run(self, ref, supp), size, mode='bilinear', align_corners=False)
        return flow * flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)

    SpyNet.forward = forward
