"""The moving average of a network's weights, for all tensors at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages weights as the toolbox does, in a few operations instead of two for every tensor.

    Args:
        average: holds the average.
        net: the network that learns, of the same kind, bare.
    """

    def __init__(self, average: nn.Module, net: nn.Module) -> None:
        learnt = dict(net.named_parameters())
        named = list(average.named_parameters())
        self._averages = [parameter.data for _, parameter in named]
        self._weights = [learnt[name].data for name, _ in named]
        self._buffers = list(zip(average.buffers(), net.buffers(), strict=True))

    def update(self, decay: float) -> None:
        """``average = decay * average + (1 - decay) * weights``, as the toolbox to the last bit on a CPU.

        The statistics of batch normalisation, which the toolbox forgets, are taken over.
        """
        torch._foreach_mul_(self._averages, decay)
        torch._foreach_add_(self._averages, self._weights, alpha=1 - decay)
        self._take_over_buffers()

    def update_unless(self, fault: Tensor, decay: float) -> None:
        """The same, or nothing where ``fault``, a scalar on the device, is 1: without waiting for its value."""
        torch._foreach_mul_(self._averages, torch.where(fault > 0, 1.0, decay))
        torch._foreach_add_(self._averages, torch._foreach_mul(self._weights, torch.where(fault > 0, 0.0, 1 - decay)))
        self._take_over_buffers()  # after a fault they are those of the step before, and so is their copy

    def _take_over_buffers(self) -> None:
        for ours, buffer in self._buffers:
            ours.copy_(buffer)
