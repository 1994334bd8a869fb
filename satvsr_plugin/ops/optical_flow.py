"""Optical flow from the centre frame of a window to its neighbours, for networks that are given flow.

Every estimator takes ``centre`` (b, c, h, w) and ``neighbours`` (b, n, c, h, w) in [0, 1], any bands and any size, and
gives (b, n, 2, h, w) in x's dtype: how far right (u) and down (v), in pixels, what is seen at a pixel of the centre
frame lies in the neighbour. Flow is never differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.archs.spynet_arch import SpyNet
from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.ops import opencv_flow
from satvsr_plugin.weights import load_checkpoint, load_into

FlowEstimator = Callable[[Tensor, Tensor], Tensor]


def zero_flow(centre: Tensor, neighbours: Tensor) -> Tensor:
    """No motion. Shapes as in the module's docstring."""
    b, n, _, h, w = neighbours.shape
    return centre.new_zeros(b, n, 2, h, w)


def dis_flow(centre: Tensor, neighbours: Tensor) -> Tensor:
    """OpenCV's DIS on the CPU, preset MEDIUM, see :mod:`~satvsr_plugin.ops.opencv_flow`."""
    return _opencv_flow(centre.detach(), neighbours.detach(), 'dis')


def farneback_flow(centre: Tensor, neighbours: Tensor) -> Tensor:
    """OpenCV's Farneback on the CPU, see :mod:`~satvsr_plugin.ops.opencv_flow`."""
    return _opencv_flow(centre.detach(), neighbours.detach(), 'farneback')


ESTIMATORS: dict[str, FlowEstimator] = {'dis': dis_flow, 'farneback': farneback_flow, 'zero': zero_flow}


@torch.library.custom_op('satvsr::opencv_flow', mutates_args=())
def _opencv_flow(centre: Tensor, neighbours: Tensor, method: str) -> Tensor:
    windows = torch.cat([centre.unsqueeze(1), neighbours], 1).float().cpu().numpy()  # (b, 1 + n, c, h, w)
    flows = [opencv_flow.opencv_flow(opencv_flow.to_grey(frames), 0, method) for frames in windows]
    return torch.from_numpy(np.stack(flows)).to(centre.device, centre.dtype)


@_opencv_flow.register_fake
def _(centre: Tensor, neighbours: Tensor, method: str) -> Tensor:
    b, n, _, h, w = neighbours.shape
    return centre.new_empty(b, n, 2, h, w)


class SpyNetFlow(SpyNet):
    """The toolbox's SPyNet (Ranjan and Black, CVPR 2017), frozen: neither trained nor differentiated.

    Its weights are part of the state dict of the network that holds it.

    Args:
        path: checkpoint of SPyNet; None where the weights come with those of the network.

    Raises:
        WeightsError: the checkpoint cannot be read or does not fit.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        super().__init__()
        self.has_weights = path is not None
        if path is not None:
            checkpoint = load_checkpoint(path)
            state = checkpoint.get('params', checkpoint)
            load_into(self, {**self.constants(), **state}, path)
        self.requires_grad_(False)
        self.register_load_state_dict_post_hook(_note_weights)

    def constants(self) -> dict[str, Tensor]:
        """Mean and deviation of the pictures that it was trained with; published checkpoints leave them out."""
        return {'mean': self.mean, 'std': self.std}

    @torch.no_grad()
    def forward(self, centre: Tensor, neighbours: Tensor) -> Tensor:
        """Flow, see the module's docstring.

        Raises:
            WeightsError: it has got no weights.
        """
        if not self.has_weights:
            raise WeightsError('SPyNet has no weights, and flow by random ones is worth nothing; give spynet_path, '
                               'load a checkpoint that holds them, or use flow: dis')
        b, n = neighbours.shape[:2]
        frames = torch.cat([centre.unsqueeze(1).expand_as(neighbours), neighbours]).flatten(0, 1)
        with torch.autocast(centre.device.type, enabled=False):
            flow = super().forward(*_as_rgb(frames.to(self.mean.dtype)).chunk(2))
        return flow.unflatten(0, (b, n)).to(centre.dtype)


def _note_weights(net: SpyNetFlow, keys: Any) -> None:
    """After a checkpoint was loaded: whether SPyNet got its weights from it; ``keys`` are those that did not fit."""
    net.has_weights |= not any('basic_module' in key for key in keys.missing_keys)


def _as_rgb(frames: Tensor) -> Tensor:
    """(b, c, h, w) to three bands: the first three, or the mean of all where there are fewer."""
    return frames[:, :3] if frames.shape[1] >= 3 else frames.mean(1, keepdim=True).expand(-1, 3, -1, -1)
