"""Layers that predict coordinates, kept out of mixed precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_full_precision(layer: nn.Module, x: Tensor) -> Tensor:
    """Call a layer in the precision of its weights, whatever autocast says.

    For offsets and flow: in half precision a displacement of 20 pixels is rounded to an eighth of a pixel (bfloat16).

    Args:
        layer: has weights.
        x: input of the layer, of any floating type.
    """
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.to(next(layer.parameters()).dtype))
