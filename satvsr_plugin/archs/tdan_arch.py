"""TDAN: temporally-deformable alignment network for video super-resolution.

Y. Tian, Y. Zhang, Y. Fu, C. Xu: TDAN: Temporally-Deformable Alignment Network for Video Super-Resolution, CVPR 2020.

Every neighbour (the paper's supporting frame) is aligned to the centre (reference) frame by four deformable
convolutions in a row, whose offsets follow from the features of both, and is turned back into an LR image. The centre
frame and the aligned images are then super-resolved as one stack. No optical flow, no global residual. Attribute names
follow the published checkpoint.
"""

from __future__ import annotations

from typing import Literal

import torch
from basicsr.archs.arch_util import ResidualBlockNoBN, Upsample, default_init_weights, make_layer
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import require
from satvsr_plugin.ops.bicubic import BicubicUpsample
from satvsr_plugin.ops.plain_deform_conv import DeformConv
from satvsr_plugin.ops.precision import in_full_precision

SCALES = (2, 3, 4, 8)
GREY = 0.5  # the authors' pixels are in [-0.5, 0.5]


@ARCH_REGISTRY.register()
class TDAN(nn.Module):
    """The network of the paper; without arguments it is the published x4 one (1,970,819 parameters).

    Args:
        num_in_ch: bands of the input: 3 for RGB, 1 for grey, any number for multispectral video.
        num_out_ch: bands of the output.
        num_feat: channels of all features.
        num_frame: length of the temporal window, odd and at least 3 (the paper: 5).
        scale: enlargement: 4 (the only one of the paper), 2, 3 or 8.
        num_extract_block: residual blocks that extract the features of a frame.
        num_reconstruct_block: residual blocks that fuse the aligned frames.
        deformable_groups: groups of channels with offsets of their own.
        init: ``reference``: as the original code, whose normal initialisation includes the layers that predict
            offsets and lets every residual block double the variance, so that results start with a standard deviation
            of 400 to 2,000; ``zero_offset``: offsets start at zero and the weights of residual blocks at a tenth, as
            the toolbox has them, and results start at 0.3.
        residual: ``none`` (the paper) or ``bicubic``: the network adds to the bicubic of the centre frame, and
            starts as exactly that.
        dcn: implementation of the deformable convolution: ``auto``, ``mmcv``, ``torchvision`` or ``triton``.

    Attributes:
        input_spec: what it wants to be given.

    Raises:
        OptionError: an argument is out of its range.
    """

    def __init__(self, num_in_ch: int = 3, num_out_ch: int = 3, num_feat: int = 64, num_frame: int = 5, scale: int = 4,
                 num_extract_block: int = 5, num_reconstruct_block: int = 10, deformable_groups: int = 8,
                 init: Literal['reference', 'zero_offset'] = 'reference',
                 residual: Literal['none', 'bicubic'] = 'none',
                 dcn: Literal['auto', 'mmcv', 'torchvision', 'triton'] = 'auto') -> None:
        super().__init__()
        self._check(num_in_ch, num_out_ch, num_feat, num_frame, scale, deformable_groups, init, residual)
        self.num_frame = num_frame
        self.input_spec = InputSpec(scale, num_frame=num_frame, bands=num_in_ch, extras=('aligned',))
        num_offset_ch = 2 * deformable_groups * 3**2

        def deform_conv() -> DeformConv:
            return DeformConv(num_feat, num_feat, 3, deformable_groups, dcn)

        self.conv_first = nn.Conv2d(num_in_ch, num_feat, 3, 1, 1)
        self.residual_layer = _residual_blocks(num_feat, num_extract_block)
        self.cr = nn.Conv2d(2 * num_feat, num_feat, 3, 1, 1)
        self.off2d_1 = nn.Conv2d(num_feat, num_offset_ch, 3, 1, 1)
        self.dconv_1 = deform_conv()
        self.off2d_2 = nn.Conv2d(num_feat, num_offset_ch, 3, 1, 1)
        self.deconv_2 = deform_conv()
        self.off2d_3 = nn.Conv2d(num_feat, num_offset_ch, 3, 1, 1)
        self.deconv_3 = deform_conv()
        self.off2d = nn.Conv2d(num_feat, num_offset_ch, 3, 1, 1)
        self.dconv = deform_conv()
        self.recon_lr = nn.Conv2d(num_feat, num_in_ch, 3, 1, 1)
        self.fea_ex = nn.Sequential(nn.Conv2d(num_frame * num_in_ch, num_feat, 3, 1, 1), nn.ReLU(inplace=True))
        self.recon_layer = _residual_blocks(num_feat, num_reconstruct_block)
        self.up = nn.Sequential(Upsample(scale, num_feat), nn.Conv2d(num_feat, num_out_ch, 3, 1, 1, bias=False))
        self.upsample = BicubicUpsample(scale) if residual == 'bicubic' else None
        self._initialise(init)

    @staticmethod
    def _check(num_in_ch: int, num_out_ch: int, num_feat: int, num_frame: int, scale: int, deformable_groups: int,
               init: str, residual: str) -> None:
        require('TDAN', {
            f'num_in_ch: {num_in_ch} and num_out_ch: {num_out_ch} must be at least 1': min(num_in_ch, num_out_ch) >= 1,
            f'num_frame: {num_frame} is not an odd number of at least 3': num_frame % 2 == 1 and num_frame >= 3,
            f'scale: {scale} is none of {SCALES}': scale in SCALES,
            f'deformable_groups: {deformable_groups} does not divide num_feat: {num_feat}':
                num_feat >= 1 and deformable_groups >= 1 and num_feat % deformable_groups == 0,
            f'init: {init} is neither reference nor zero_offset': init in ('reference', 'zero_offset'),
            f'residual: {residual} is neither none nor bicubic': residual in ('none', 'bicubic'),
            f'residual: bicubic needs num_out_ch: {num_out_ch} to equal num_in_ch: {num_in_ch}':
                residual == 'none' or num_in_ch == num_out_ch,
        })

    def _initialise(self, init: str) -> None:
        """He initialisation of every convolution, fan-out, gain sqrt(2); biases as torch has them; then the option."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out')
        if init == 'zero_offset':
            default_init_weights([self.residual_layer, self.recon_layer], 0.1)
            for parameter in self.offset_parameters():
                nn.init.zeros_(parameter)
        if self.upsample:
            for parameter in self.up[-1].parameters():
                nn.init.zeros_(parameter)

    def offset_parameters(self) -> list[nn.Parameter]:
        """The parameters that predict deformable offsets, for a learning rate of their own."""
        layers = (self.off2d_1, self.off2d_2, self.off2d_3, self.off2d)
        return [parameter for layer in layers for parameter in layer.parameters()]

    def forward(self, x: Tensor, with_extras: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Super-resolve the centre frame.

        Args:
            x: (b, num_frame, num_in_ch, h, w) in [0, 1].
            with_extras: also return what ``AlignmentLoss`` needs.

        Returns:
            (b, num_out_ch, scale * h, scale * w), may overshoot [0, 1]; with extras also ``aligned``: the LR frames
            aligned to the centre frame, which is itself in its place, (b, num_frame, num_in_ch, h, w).

        Raises:
            ValueError: the number of frames is not ``num_frame``.
        """
        if x.shape[1] != self.num_frame:
            raise ValueError(f'TDAN was built for {self.num_frame} frames, got {x.shape[1]}')
        features = self.extract_features(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.forward_features(x, features, with_extras)

    def extract_features(self, frames: Tensor) -> Tensor:
        """Args: frames (n, num_in_ch, h, w). Returns: features of each by itself, (n, num_feat, h, w)."""
        return self.residual_layer(self.conv_first(frames - GREY).relu())

    def forward_features(self, frames: Tensor, features: Tensor,
                         with_extras: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """As ``forward``, of frames (b, t, c, h, w) whose features (b, t, num_feat, h, w) are there already."""
        middle = self.num_frame // 2
        base = self.upsample(frames[:, middle]) if self.upsample else GREY
        x = frames - GREY
        neighbours = self._align(features)
        aligned = torch.cat([neighbours[:, :middle], x[:, middle, None], neighbours[:, middle:]], 1)
        sr = self.up(self.recon_layer(self.fea_ex(aligned.flatten(1, 2)))) + base
        return (sr, {'aligned': aligned + GREY}) if with_extras else sr

    def _align(self, features: Tensor) -> Tensor:
        """Features (b, t, c, h, w) to LR images of the neighbours on the centre's grid, (b, t - 1, bands, h, w)."""
        middle = self.num_frame // 2
        neighbours = torch.cat([features[:, :middle], features[:, middle + 1:]], 1)
        reference = features[:, middle, None].expand_as(neighbours).flatten(0, 1)
        supporting = neighbours.flatten(0, 1)  # of all samples, as one batch

        fused = self.cr(torch.cat([reference, supporting], 1))
        fused = self.dconv_1(fused, in_full_precision(self.off2d_1, fused))
        fused = self.deconv_2(fused, in_full_precision(self.off2d_2, fused))
        # Up to here the supporting frame's feature has only served to find offsets; now it is sampled itself.
        aligned = self.deconv_3(supporting, in_full_precision(self.off2d_3, fused))
        aligned = self.dconv(aligned, in_full_precision(self.off2d, aligned))
        return self.recon_lr(aligned).unflatten(0, neighbours.shape[:2])


def _residual_blocks(num_feat: int, num_block: int) -> nn.Sequential:
    """conv - ReLU - conv, plus the input, ``num_block`` times."""
    return make_layer(ResidualBlockNoBN, num_block, num_feat=num_feat, pytorch_init=True)
