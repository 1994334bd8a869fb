"""The layout of weights in memory."""

from __future__ import annotations

import torch
from torch import nn


def keep_channels_innermost(net: nn.Module) -> None:
    """The weights of convolutions; what they compute follows.

    Weights of other dimensions stay, since torch refuses them, and buffers: of one with a single channel
    DistributedDataParallel cannot keep copies equal in that layout (torch 2.13). Weights have to be so before they are
    wrapped, as the buckets of their gradients are made after them.
    """
    for parameter in net.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
