"""SOF-VSR: video super-resolution through HR optical flow, the network of 2020.

L. Wang, Y. Guo, L. Liu, Z. Lin, X. Deng, W. An: Deep Video Super-Resolution using HR Optical Flow Estimation, IEEE
TIP, vol. 29, 2020. (The network of the same authors at ACCV 2018 is another one.)

For every neighbour the flow to the centre frame is estimated at half LR, LR and HR size (OFRnet). The HR flow, sorted
by sub-pixel phase, gives scale * scale warped copies of the LR neighbour; they and the centre frame (the draft cube)
are super-resolved (SRnet). Everything happens on Y. Attribute names follow the published checkpoint.
"""

from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import require
from satvsr_plugin.ops.bicubic import BicubicUpsample
from satvsr_plugin.ops.color import rgb_to_ycbcr, ycbcr_to_rgb
from satvsr_plugin.ops.flow_warp import flow_warp
from satvsr_plugin.ops.precision import in_full_precision

SCALES = (2, 3, 4)
NUM_UP_FEAT = 64  # channels after each step of the enlargement


class ShuffleBlock(nn.Module):
    """Keeps half of the channels, convolves the other half (1x1, 3x3 by channel, 1x1), and interleaves the two."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        half = num_feat // 2
        self.body = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False), _lrelu(),
            nn.Conv2d(half, half, 3, 1, 1, groups=half, bias=False),
            nn.Conv2d(half, half, 1, bias=False), _lrelu())

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (b, num_feat, h, w). Returns: the same shape."""
        kept, changed = x.chunk(2, 1)
        return torch.stack([kept, self.body(changed)], 2).flatten(1, 2)  # channel shuffle with two groups


class ShuffleBlocks(nn.Module):
    """``num_block`` blocks in a row; keeps (b, num_feat, h, w)."""

    def __init__(self, num_feat: int, num_block: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(ShuffleBlock(num_feat) for _ in range(num_block)))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class FlowNet(nn.Module):
    """OFRnet: optical flow from coarse to fine, with one network for all levels, and an HR head on the last.

    Flow is in units of 15.5 pixels of its own level (``ops.flow_warp``).

    Args:
        num_feat: channels of the features, even.
        num_block: blocks of the recurrent part, and again of the HR head.
        scale: enlargement of the last level.
    """

    def __init__(self, num_feat: int, num_block: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.RNN1 = nn.Sequential(
            nn.Conv2d(4, num_feat, 3, 1, 1, bias=False), _lrelu(), ShuffleBlocks(num_feat, num_block))
        self.RNN2 = nn.Sequential(nn.Conv2d(num_feat, 2, 3, 1, 1, bias=False))
        self.SR = nn.Sequential(ShuffleBlocks(num_feat, num_block), *_upsampling(num_feat, scale),
                                nn.Conv2d(NUM_UP_FEAT, 2, 3, 1, 1, bias=False))

    def forward(self, neighbour: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where in the neighbour each pixel of the centre frame is.

        Args:
            neighbour, centre: (b, 1, h, w), h and w even.

        Returns:
            Flow (b, 2, ...), (x, y), at half size, full size and ``scale`` times the size.
        """
        half_pair = F.avg_pool2d(torch.cat([neighbour, centre], 1), 2)
        start = half_pair.new_zeros(half_pair.shape)  # of flow, two channels as the pair has
        flow_l1 = in_full_precision(self.RNN2, self.RNN1(torch.cat([half_pair, start], 1)))

        coarse = _enlarge(flow_l1, 2)
        features = self._compare(neighbour, centre, coarse)
        flow_l2 = in_full_precision(self.RNN2, features) + coarse

        features = self.SR[:-1](self._compare(neighbour, centre, flow_l2))
        flow_l3 = in_full_precision(self.SR[-1], features) + _enlarge(flow_l2, self.scale)
        return flow_l1, flow_l2, flow_l3

    def _compare(self, neighbour: Tensor, centre: Tensor, flow: Tensor) -> Tensor:
        """Features of what the flow still misses, (b, num_feat, h, w)."""
        return self.RNN1(torch.cat([flow_warp(neighbour, flow), centre, flow], 1))


class DraftNet(nn.Module):
    """SRnet: the draft cube to the HR frame.

    Args:
        num_in_ch: channels of the draft cube.
        num_feat: channels of the features, even.
        num_block: blocks.
        scale: enlargement.
    """

    def __init__(self, num_in_ch: int, num_feat: int, num_block: int, scale: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(num_in_ch, num_feat, 3, 1, 1, bias=False), _lrelu(), ShuffleBlocks(num_feat, num_block),
            *_upsampling(num_feat, scale), nn.Conv2d(NUM_UP_FEAT, 1, 3, 1, 1))

    def forward(self, draft_cube: Tensor) -> Tensor:
        """Args: draft_cube (b, num_in_ch, h, w). Returns: (b, 1, scale * h, scale * w)."""
        return self.body(draft_cube)


@ARCH_REGISTRY.register()
class SOFVSR(nn.Module):
    """The network of the paper; without arguments it is the published x4 one (1,047,617 parameters).

    It super-resolves Y; Cb and Cr of the result are the bicubic of the centre frame's.

    Args:
        num_in_ch: bands of the data: 3 (RGB) or 1 (Y, or any grey). The weights are the same for both, and
            ``forward`` takes either.
        num_feat: channels of all features, even.
        num_frame: length of the temporal window, odd and at least 3 (the paper: 3).
        scale: enlargement: 2, 3 or 4.
        num_flow_block: blocks of the flow network's recurrent part, and of its HR head.
        num_reconstruct_block: blocks of the super-resolution network.
        residual: ``none`` (the paper) or ``bicubic``: the network adds to the bicubic of the centre frame, and
            starts as exactly that.

    Attributes:
        input_spec: what it wants to be given.

    Raises:
        OptionError: an argument is out of its range.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 320, num_frame: int = 3, scale: int = 4,
                 num_flow_block: int = 3, num_reconstruct_block: int = 8,
                 residual: Literal['none', 'bicubic'] = 'none') -> None:
        super().__init__()
        self._check(num_in_ch, num_feat, num_frame, scale, residual)
        self.num_frame = num_frame
        self.scale = scale
        self.input_spec = InputSpec(scale, num_frame=num_frame, bands=num_in_ch, multiple=2,
                                    extras=('flow_l1', 'flow_l2', 'flow_l3'))
        self.OFR = FlowNet(num_feat, num_flow_block, scale)
        self.SR = DraftNet(1 + (num_frame - 1) * scale**2, num_feat, num_reconstruct_block, scale)
        self.upsample = BicubicUpsample(scale)
        self.residual = residual
        if residual == 'bicubic':
            for parameter in self.SR.body[-1].parameters():
                nn.init.zeros_(parameter)

    @staticmethod
    def _check(num_in_ch: int, num_feat: int, num_frame: int, scale: int, residual: str) -> None:
        require('SOFVSR', {
            f'num_in_ch: {num_in_ch} is neither 3 (RGB) nor 1 (Y)': num_in_ch in (1, 3),
            f'num_feat: {num_feat} is not an even number of at least 2': num_feat % 2 == 0 and num_feat >= 2,
            f'num_frame: {num_frame} is not an odd number of at least 3': num_frame % 2 == 1 and num_frame >= 3,
            f'scale: {scale} is none of {SCALES}': scale in SCALES,
            f'residual: {residual} is neither none nor bicubic': residual in ('none', 'bicubic'),
        })

    def forward(self, x: Tensor, with_extras: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Super-resolve the centre frame.

        Args:
            x: (b, num_frame, 3, h, w) RGB in [0, 1], or (b, num_frame, 1, h, w) Y; h and w even.
            with_extras: also return the flows, which ``FlowLoss`` needs.

        Returns:
            (b, 3 or 1, scale * h, scale * w), may overshoot [0, 1]; with extras also ``flow_l1``
            (b, num_frame - 1, 2, h / 2, w / 2), ``flow_l2`` (..., h, w) and ``flow_l3`` (..., scale * h, scale * w),
            from the centre frame to the neighbours, in units of 15.5 pixels of their own level.

        Raises:
            ValueError: the number of frames is not ``num_frame``, or bands or size do not fit.
        """
        self._check_input(x)
        middle = self.num_frame // 2
        ycbcr = rgb_to_ycbcr(x) if x.shape[2] == 3 else x
        y, centre_chroma = ycbcr[:, :, :1], ycbcr[:, middle, 1:]
        centre = y[:, middle]  # (b, 1, h, w)
        neighbours = torch.cat([y[:, :middle], y[:, middle + 1:]], 1)
        flows = self._estimate_flows(neighbours, centre)
        sr = self.SR(torch.cat([centre, self._draft(neighbours, flows['flow_l3'])], 1))
        if self.residual == 'bicubic':
            sr = sr + self.upsample(centre)
        if x.shape[2] == 3:
            sr = ycbcr_to_rgb(torch.cat([sr, self.upsample(centre_chroma)], 1))
        return (sr, flows) if with_extras else sr

    def _check_input(self, x: Tensor) -> None:
        t, c, h, w = x.shape[1:]
        if t != self.num_frame:
            raise ValueError(f'SOFVSR was built for {self.num_frame} frames, got {t}')
        if c not in (1, 3):
            raise ValueError(f'SOFVSR takes RGB or Y, got {c} bands')
        if h % 2 or w % 2:
            raise ValueError(f'SOFVSR needs even sides, got {h}x{w}')

    def _estimate_flows(self, neighbours: Tensor, centre: Tensor) -> dict[str, Tensor]:
        """Flow to every neighbour at three levels, each (b, t - 1, 2, ...); all neighbours as one batch."""
        reference = centre[:, None].expand_as(neighbours)
        flows = self.OFR(neighbours.flatten(0, 1), reference.flatten(0, 1))
        return {name: flow.unflatten(0, neighbours.shape[:2])
                for name, flow in zip(self.input_spec.extras, flows, strict=True)}

    def _draft(self, neighbours: Tensor, flow: Tensor) -> Tensor:
        """The draft cube's part of the neighbours: HR flow space-to-depth, then motion compensation.

        Args:
            neighbours: (b, t - 1, 1, h, w).
            flow: (b, t - 1, 2, scale * h, scale * w).

        Returns:
            (b, (t - 1) * scale**2, h, w): of each neighbour, row by row of sub-pixel phases, its warped copies.
        """
        num_phase = self.scale**2
        phases = F.pixel_unshuffle(flow.flatten(0, 1) / self.scale, self.scale)  # x of all phases, then y
        phases = phases.unflatten(1, (2, num_phase)).transpose(1, 2).flatten(0, 1)  # (b * (t-1) * phases, 2, h, w)
        copies = neighbours.flatten(0, 1).repeat_interleave(num_phase, 0)
        return flow_warp(copies, phases).view(neighbours.shape[0], -1, *neighbours.shape[-2:])


def _upsampling(num_feat: int, scale: int) -> list[nn.Module]:
    """1x1 convolution, pixel shuffle and activation, in steps of 2 or one of 3; (b, 64, scale * h, scale * w)."""
    layers: list[nn.Module] = []
    for step in {2: (2,), 3: (3,), 4: (2, 2)}[scale]:
        layers += [nn.Conv2d(num_feat, NUM_UP_FEAT * step**2, 1, bias=False), nn.PixelShuffle(step), _lrelu()]
        num_feat = NUM_UP_FEAT
    return layers


def _enlarge(flow: Tensor, scale: int) -> Tensor:
    """Bring flow to a finer level: bilinear, and as many times longer in its pixels."""
    return F.interpolate(flow, scale_factor=scale, mode='bilinear', align_corners=False) * scale


def _lrelu() -> nn.Module:
    return nn.LeakyReLU(0.1, inplace=True)
