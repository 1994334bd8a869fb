"""What a step does with the gradient: the optimizer's step and the moving average, or after a fault neither."""

from __future__ import annotations

import torch
from torch import Tensor

from satvsr_plugin.models.moving_average import MovingAverage


class WeightUpdate:
    """Changes weights, optimizer state and averaged weights.

    Args:
        optimizer: a fused one reads on the device whether to leave the step out, so that the host need not wait.
        scaler: of the loss.
        average: of the weights; None without one.
        decay: of the average.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, average: MovingAverage | None,
                 decay: float) -> None:
        self._optimizer, self._scaler, self._average, self._decay = optimizer, scaler, average, decay

    def __call__(self, fault: Tensor) -> None:
        """Change them, or nothing where ``fault``, a scalar on the device, is 1; gradients are unscaled already."""
        if self._optimizer.defaults.get('fused'):
            self._step_unless(fault)
        elif not fault:
            self._scaler.step(self._optimizer)
            if self._average is not None:
                self._average.update(self._decay)
        self._scaler.update()  # lowers its scale where the gradient was not finite

    def _step_unless(self, fault: Tensor) -> None:
        self._optimizer.found_inf = fault  # type: ignore[attr-defined]  # as torch's own loss scaler tells it
        self._optimizer.step()
        del self._optimizer.found_inf  # type: ignore[attr-defined]
        if self._average is not None:
            self._average.update_unless(fault, self._decay)
