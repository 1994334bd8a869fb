"""RBPN: recurrent back-projection network for video super-resolution.

M. Haris, G. Shakhnarovich, N. Ukita: Recurrent Back-Projection Network for Video Super-Resolution, CVPR 2019.

One neighbour after the other, from the past to the future, refines the HR estimate that back-projection (DBPN, shared
with MSDTGP) makes of the LR feature; the network is given the flow from the centre frame to each neighbour. Attribute
names follow the published checkpoints.
"""

from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn

from satvsr_plugin.archs.blocks import (
    SCALES,
    BackProjection,
    ConvBlock,
    DeconvBlock,
    he_initialise,
    res_blocks,
    scale_geometry,
)
from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import OptionError, require
from satvsr_plugin.ops.bicubic import BicubicUpsample
from satvsr_plugin.ops.optical_flow import ESTIMATORS, SpyNetFlow

FLOWS = (*ESTIMATORS, 'spynet', 'precomputed')


@ARCH_REGISTRY.register()
class RBPN(nn.Module):
    """The network of the paper; without arguments it is the published x4 one (12,771,943 parameters).

    Args:
        num_in_ch: bands of the input: 3 for RGB, 1 for grey, any number for multispectral video.
        num_out_ch: bands of the output.
        num_feat: channels of all HR features.
        num_base_feat: channels of the LR features.
        num_frame: length of the temporal window, odd and at least 3 (the paper: 7).
        scale: enlargement: 2, 3, 4 or 8.
        num_reconstruct_block: residual blocks in each of the three parts of the projection.
        num_stage: up-projection units of the back-projection network.
        flow: what estimates flow where ``forward`` is not given any: ``dis`` or ``farneback`` (OpenCV, on the CPU),
            ``spynet`` (the toolbox's, on the network's device, with frozen weights under ``spynet.`` in the state
            dict), ``zero`` (none at all), or ``precomputed``: it must be given. The original's optical flow program has
            no licence. On a real Jilin-1 clip the motion is some hundredths of a pixel a frame, and estimators differ
            from one another by as much.
        spynet_path: checkpoint of SPyNet for ``flow: spynet``; None where the network's own checkpoint holds it.
        residual: ``none`` (the paper) or ``bicubic``: the network adds to the bicubic of the centre frame, and
            starts as exactly that. Without it thousands of iterations pass before bicubic is reached.

    Raises:
        OptionError: an argument is out of its range.
        WeightsError: ``spynet_path`` is not a checkpoint of SPyNet.
    """

    def __init__(self, num_in_ch: int = 3, num_out_ch: int = 3, num_feat: int = 64, num_base_feat: int = 256,
                 num_frame: int = 7, scale: int = 4, num_reconstruct_block: int = 5, num_stage: int = 3,
                 flow: Literal['dis', 'farneback', 'spynet', 'zero', 'precomputed'] = 'dis',
                 spynet_path: str | None = None, residual: Literal['none', 'bicubic'] = 'none') -> None:
        super().__init__()
        self._check(num_in_ch, num_out_ch, num_frame, scale, flow, spynet_path, residual)
        self.num_frame = num_frame
        self.flow = flow
        self.input_spec = InputSpec(scale, num_frame=num_frame, bands=num_in_ch, takes=('flows',),
                                    needs=('flows',) if flow == 'precomputed' else ())
        geometry = scale_geometry(scale)

        self.feat0 = ConvBlock(num_in_ch, num_base_feat)
        self.feat1 = ConvBlock(2 * num_in_ch + 2, num_base_feat)
        self.DBPN = BackProjection(num_base_feat, num_feat, num_stage, scale)
        self.res_feat1 = nn.Sequential(
            *res_blocks(num_base_feat, num_reconstruct_block), DeconvBlock(num_base_feat, num_feat, *geometry))
        self.res_feat2 = nn.Sequential(*res_blocks(num_feat, num_reconstruct_block), ConvBlock(num_feat, num_feat))
        self.res_feat3 = nn.Sequential(
            *res_blocks(num_feat, num_reconstruct_block), ConvBlock(num_feat, num_base_feat, *geometry))
        self.output = ConvBlock((num_frame - 1) * num_feat, num_out_ch, act=False)
        self.upsample = BicubicUpsample(scale) if residual == 'bicubic' else None
        he_initialise(self)
        if self.upsample is not None:
            nn.init.zeros_(self.output.conv.weight)
        self.spynet = SpyNetFlow(spynet_path) if flow == 'spynet' else None  # after the initialisation, to keep its own

    @staticmethod
    def _check(num_in_ch: int, num_out_ch: int, num_frame: int, scale: int, flow: str, spynet_path: str | None,
               residual: str) -> None:
        require('RBPN', {
            f'num_frame: {num_frame} is not an odd number of at least 3': num_frame % 2 == 1 and num_frame >= 3,
            f'scale: {scale} is none of {SCALES}': scale in SCALES,
            f'flow: {flow} is none of {", ".join(FLOWS)}': flow in FLOWS,
            f'spynet_path: is not read with flow: {flow}; leave it out, or set flow: spynet':
                spynet_path is None or flow == 'spynet',
            f'residual: {residual} is neither none nor bicubic': residual in ('none', 'bicubic'),
            f'residual: bicubic needs num_out_ch: {num_out_ch} to equal num_in_ch: {num_in_ch}':
                residual == 'none' or num_in_ch == num_out_ch,
        })

    def forward(self, x: Tensor, flows: Tensor | None = None) -> Tensor:
        """Super-resolve the centre frame.

        Args:
            x: (b, num_frame, num_in_ch, h, w) in [0, 1].
            flows: (b, num_frame - 1, 2, h, w) from the centre frame to its neighbours, past to future: how far right
                (u) and down (v), in LR pixels; None to have it estimated.

        Returns:
            (b, num_out_ch, scale * h, scale * w); may overshoot [0, 1].

        Raises:
            ValueError: the number of frames is not ``num_frame``, or the shape of ``flows`` is wrong.
            OptionError: ``flow: precomputed`` without ``flows``.
            WeightsError: ``flow: spynet`` without weights.
        """
        if x.shape[1] != self.num_frame:
            raise ValueError(f'RBPN was built for {self.num_frame} frames, got {x.shape[1]}')
        middle = self.num_frame // 2
        centre, neighbours = x[:, middle], torch.cat([x[:, :middle], x[:, middle + 1:]], 1)
        flows = self._estimate(centre, neighbours) if flows is None else self._checked(flows, neighbours)

        lr = self.feat0(centre)  # (b, base, h, w)
        hr: list[Tensor] = []
        for neighbour, flow in zip(neighbours.unbind(1), flows.unbind(1), strict=True):
            if hr:
                lr = self.res_feat3(hr[-1])
            hr.append(self._project(lr, self.feat1(torch.cat([centre, neighbour, flow], 1))))
        sr = self.output(torch.cat(hr, 1))
        return sr if self.upsample is None else sr + self.upsample(centre)

    def _project(self, lr: Tensor, pair: Tensor) -> Tensor:
        """What a neighbour adds to the HR estimate; (b, base, h, w) twice to (b, c, s*h, s*w)."""
        estimate = self.DBPN(lr)
        return estimate + self.res_feat2(estimate - self.res_feat1(pair))

    def _estimate(self, centre: Tensor, neighbours: Tensor) -> Tensor:
        """Flow (b, n, 2, h, w) by the estimator that was asked for."""
        if self.flow == 'precomputed':
            raise OptionError('RBPN: flow: precomputed, but the data have no flow; make it with '
                              'scripts/estimate_flow.py and give flow_root in every data set, or set flow: dis')
        estimate = ESTIMATORS[self.flow] if self.spynet is None else self.spynet
        return estimate(centre, neighbours)

    @staticmethod
    def _checked(flows: Tensor, neighbours: Tensor) -> Tensor:
        b, n, _, h, w = neighbours.shape
        if flows.shape != (b, n, 2, h, w):
            raise ValueError(f'flows have the shape {tuple(flows.shape)}, but {(b, n, 2, h, w)} is needed')
        return flows.to(neighbours.dtype)
