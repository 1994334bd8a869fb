"""MSDTGP: satellite video super-resolution via multi-scale deformable alignment and temporal grouping projection.

Y. Xiao, X. Su, Q. Yuan, D. Liu, H. Shen, L. Zhang: Satellite Video Super-Resolution via Multiscale Deformable
Convolution Alignment and Temporal Grouping Projection, IEEE TGRS, vol. 60, 2022.

Every neighbour is aligned to the centre frame (multi-scale deformable alignment), frames at equal distance from
the centre form a group together with it, and the groups, outermost first, refine one HR estimate by projection
between LR and HR. Attribute names follow the published checkpoint.
"""

from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.archs.blocks import (
    SCALES,
    BackProjection,
    ConvBlock,
    DeconvBlock,
    PartsConv2d,
    ResBlock,
    he_initialise,
    res_blocks,
    scale_geometry,
)
from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import require
from satvsr_plugin.ops.bicubic import BicubicUpsample
from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv

INITS = ('reference', 'zero_offset', 'gentle')


class MultiScaleDeformAlign(nn.Module):
    """Multi-scale deformable alignment: offsets from 3x3, 5x5 and 7x7 receptive fields side by side.

    Args:
        num_feat: channels of the features.
        deformable_groups: groups of channels with offsets of their own.
        dcn: implementation of the deformable convolution: ``auto``, ``mmcv``, ``torchvision`` or ``triton``.
    """

    def __init__(self, num_feat: int, deformable_groups: int, dcn: str) -> None:
        super().__init__()
        self.offset_conv1 = PartsConv2d(2 * num_feat, num_feat, 3, 1, 1)
        self.mul_scale1 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.mul_scale2 = nn.Conv2d(num_feat, num_feat, 5, 1, 2)
        self.mul_scale3 = nn.Conv2d(num_feat, num_feat, 7, 1, 3)
        self.offset_conv2 = nn.Conv2d(3 * num_feat, num_feat, 3, 1, 1)
        self.dcnpack = GuidedDeformConv(num_feat, num_feat, 3, deformable_groups, dcn)

    def forward(self, neighbours: Tensor, reference: Tensor) -> Tensor:
        """Put neighbours on the grid of their reference.

        Args:
            neighbours: (b * t, c, h, w), the t neighbours of one reference after the other's.
            reference: (b, c, h, w).

        Returns:
            (b * t, c, h, w).
        """
        num_feat = reference.shape[1]
        of_reference = self.offset_conv1.of_part(reference, num_feat)  # the same for all of its neighbours
        of_neighbours = self.offset_conv1.of_part(neighbours, 0).unflatten(0, (reference.shape[0], -1))
        o1 = _lrelu((of_neighbours + of_reference.unsqueeze(1)).flatten(0, 1))
        scales = [_lrelu(conv(o1)) for conv in (self.mul_scale1, self.mul_scale2, self.mul_scale3)]
        o2 = _lrelu(self.offset_conv2(torch.cat(scales, 1)))
        return _lrelu(self.dcnpack(neighbours, guide=o1 + o2))


class TemporalAttention(nn.Module):
    """How much the HR features of each step count, per pixel, by their likeness to the first one."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.tAtt_1 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.tAtt_2 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)

    def forward(self, steps: list[Tensor]) -> list[Tensor]:
        """Args: features of each step, (b, c, h, w). Returns: a weight in [0, 1] for each, (b, 1, h, w)."""
        key = self.tAtt_2(steps[0])
        return [torch.sigmoid((self.tAtt_1(step) * key).sum(1, keepdim=True)) for step in steps]


@ARCH_REGISTRY.register()
class MSDTGP(nn.Module):
    """The network of the paper; without arguments it is the published x4 one (14,174,083 parameters).

    Args:
        num_in_ch: bands of the input: 3 for RGB, 1 for grey, any number for multispectral video.
        num_out_ch: bands of the output.
        num_feat: channels of the frame features and of all HR features.
        num_base_feat: channels of the fused LR features.
        num_frame: length of the temporal window, odd and at least 3 (the paper: 5).
        scale: enlargement: 2, 3, 4 or 8.
        num_extract_block: residual blocks that extract the features of a frame.
        num_reconstruct_block: residual blocks in each of the three parts of the projection.
        num_stage: up-projection units of the back-projection network.
        deformable_groups: groups of channels with offsets of their own.
        residual: ``none`` (the paper) or ``bicubic``: the network adds to the bicubic of the centre frame, and
            starts as exactly that. Without it thousands of iterations pass before bicubic is reached.
        init: ``reference``: as the original code, whose He initialisation includes the offset layer, so that
            offsets start at about 3 pixels; ``zero_offset``: offsets start at zero, as the DCNv2 paper has it;
            ``gentle``: besides, the second convolutions of residual blocks start at a tenth. With ``reference`` the
            full network's features grow ten-thousandfold, which saturates its attention; in a run of ours, with
            ``residual: bicubic`` and a learning rate of 3e-4, it fell to zero, and with it all gradients.
        dcn: implementation of the deformable convolution: ``auto``, ``mmcv``, ``torchvision`` or ``triton``.

    Raises:
        OptionError: an argument is out of its range.
    """

    def __init__(self, num_in_ch: int = 3, num_out_ch: int = 3, num_feat: int = 64, num_base_feat: int = 256,
                 num_frame: int = 5, scale: int = 4, num_extract_block: int = 3, num_reconstruct_block: int = 5,
                 num_stage: int = 3, deformable_groups: int = 8, residual: Literal['none', 'bicubic'] = 'none',
                 init: Literal['reference', 'zero_offset', 'gentle'] = 'reference',
                 dcn: Literal['auto', 'mmcv', 'torchvision', 'triton'] = 'auto') -> None:
        super().__init__()
        self._check(num_in_ch, num_out_ch, num_feat, num_frame, scale, deformable_groups, residual, init)
        self.num_frame = num_frame
        self.input_spec = InputSpec(scale, num_frame=num_frame, bands=num_in_ch)
        geometry = scale_geometry(scale)

        self.feat0 = ConvBlock(num_in_ch, num_base_feat)
        self.feat_all = ConvBlock(num_in_ch, num_feat)
        self.res_feat_ext = nn.Sequential(*res_blocks(num_feat, num_extract_block))
        self.alignment1 = MultiScaleDeformAlign(num_feat, deformable_groups, dcn)
        self.fusion1 = ConvBlock(3 * num_feat, num_base_feat)
        self.DBPN = BackProjection(num_base_feat, num_feat, num_stage, scale)
        self.res_feat1 = nn.Sequential(
            *res_blocks(num_base_feat, num_reconstruct_block), DeconvBlock(num_base_feat, num_feat, *geometry))
        self.res_feat2 = nn.Sequential(*res_blocks(num_feat, num_reconstruct_block), ConvBlock(num_feat, num_feat))
        self.res_feat3 = nn.Sequential(
            *res_blocks(num_feat, num_reconstruct_block), ConvBlock(num_feat, num_base_feat, *geometry))
        self.TAtt = TemporalAttention(num_feat)
        self.output = ConvBlock((num_frame // 2 + 1) * num_feat, num_out_ch, act=False)
        self.upsample = BicubicUpsample(scale) if residual == 'bicubic' else None
        self._initialise(init)

    @staticmethod
    def _check(num_in_ch: int, num_out_ch: int, num_feat: int, num_frame: int, scale: int, deformable_groups: int,
               residual: str, init: str) -> None:
        require('MSDTGP', {
            f'num_frame: {num_frame} is not an odd number of at least 3': num_frame % 2 == 1 and num_frame >= 3,
            f'scale: {scale} is none of {SCALES}': scale in SCALES,
            f'deformable_groups: {deformable_groups} does not divide num_feat: {num_feat}':
                num_feat % deformable_groups == 0,
            f'residual: {residual} is neither none nor bicubic': residual in ('none', 'bicubic'),
            f'init: {init} is none of {INITS}': init in INITS,
            f'residual: bicubic needs num_out_ch: {num_out_ch} to equal num_in_ch: {num_in_ch}':
                residual == 'none' or num_in_ch == num_out_ch,
        })

    def _initialise(self, init: str) -> None:
        he_initialise(self)
        if init != 'reference':
            self.alignment1.dcnpack.zero_offset()
        if init == 'gentle':
            for module in self.modules():
                if isinstance(module, ResBlock):
                    module.conv2.weight.data.mul_(0.1)
        if self.upsample is not None:
            nn.init.zeros_(self.output.conv.weight)

    def offset_parameters(self) -> list[nn.Parameter]:
        """Parameters of the layers that predict deformable offsets, which may learn at a rate of their own."""
        return list(self.alignment1.dcnpack.conv_offset_mask.parameters())

    def forward(self, x: Tensor) -> Tensor:
        """Super-resolve the centre frame.

        Args:
            x: (b, num_frame, num_in_ch, h, w) in [0, 1].

        Returns:
            (b, num_out_ch, scale * h, scale * w); may overshoot [0, 1].

        Raises:
            ValueError: the number of frames is not ``num_frame``.
        """
        if x.shape[1] != self.num_frame:
            raise ValueError(f'MSDTGP was built for {self.num_frame} frames, got {x.shape[1]}')
        return self.forward_features(x, self.extract_features(x.flatten(0, 1)).unflatten(0, x.shape[:2]))

    def extract_features(self, frames: Tensor) -> Tensor:
        """Args: frames (n, num_in_ch, h, w). Returns: features of each by itself, (n, num_feat, h, w)."""
        return self.res_feat_ext(self.feat_all(frames))

    def forward_features(self, frames: Tensor, features: Tensor) -> Tensor:
        """As ``forward``, of frames (b, t, c, h, w) whose features (b, t, num_feat, h, w) are there already."""
        centre = frames[:, self.num_frame // 2]
        groups = self._fuse_groups(self._align(features))

        lr = self.feat0(centre)  # (b, base, h, w)
        steps = []
        for group in groups:
            lr, hr = self._project(lr, group)
            steps.append(hr)
        sr = self._reconstruct([self.DBPN(lr), *steps])
        return sr if self.upsample is None else sr + self.upsample(centre)

    def _align(self, features: Tensor) -> Tensor:
        """Align every frame to the centre, which is aligned with itself too; (b, t, c, h, w), as one batch."""
        aligned = self.alignment1(features.flatten(0, 1), features[:, self.num_frame // 2])
        return aligned.unflatten(0, features.shape[:2])

    def _fuse_groups(self, aligned: Tensor) -> list[Tensor]:
        """Fuse (t-d, t, t+d) for d from the outermost pair inwards; each (b, base, h, w)."""
        b, middle = aligned.shape[0], self.num_frame // 2
        frames = aligned.unbind(1)
        groups = [torch.cat([frames[middle - d], frames[middle], frames[middle + d]], 1)
                  for d in range(middle, 0, -1)]
        # The groups share their weights and do not depend on one another: one batch, but for the HR features.
        return list(self.res_feat1[:-1](self.fusion1(torch.cat(groups))).split(b))

    def _project(self, lr: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the temporal grouping projection: what the group adds to the HR estimate, then back to LR."""
        estimate = self.DBPN(lr)
        hr = estimate + self.res_feat2(estimate - self.res_feat1[-1](group))
        return self.res_feat3(hr), hr

    def _reconstruct(self, steps: list[Tensor]) -> Tensor:
        """Weigh the HR features of all steps (b, c, s*h, s*w) and make a picture of them."""
        sr = None
        for number, (step, weight) in enumerate(zip(steps, self.TAtt(steps), strict=True)):
            sr = self.output.of_part(step * weight, number * step.shape[1], sr)
        assert sr is not None
        return sr


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)
