"""Steps whose loss or gradient is not a finite number: left out, counted, and in a row the end of a run."""

from __future__ import annotations

from math import isfinite

from basicsr.utils import get_root_logger
from torch import Tensor, distributed, nn, stack

from satvsr_plugin.errors import TrainingError

MOST_IN_A_ROW = 10
_NAMES = ('loss', 'norm of the gradient')


class NumericalFaults:
    """Counts steps that must not change the weights.

    Args:
        net: the network; its buffers (statistics of batch normalisation) are put back after such a step.
        checkpoints: folder of the checkpoints, for the advice.

    Attributes:
        in_a_row: how many of the latest steps were such.
        total: how many of all.
    """

    def __init__(self, net: nn.Module, checkpoints: str) -> None:
        self.checkpoints = checkpoints
        self.in_a_row = self.total = 0
        self._buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
        self._before: list[Tensor] = []

    def watch(self) -> None:
        """Before a step."""
        self._before = [buffer.clone() for buffer in self._buffers]

    def spoil(self, loss: Tensor, norm: Tensor, iteration: int) -> bool:
        """After the backward pass.

        Args:
            loss: of this process's batch.
            norm: of the gradient.
            iteration: for the log.

        Returns:
            Whether to leave the step out: in any process, so that all do the same.

        Raises:
            TrainingError: there were too many in a row; the weights are as they were.
        """
        values = stack([loss.detach().float(), norm.detach().float()])
        faults = (~values.isfinite()).float()
        if distributed.is_initialized():
            distributed.all_reduce(faults, distributed.ReduceOp.MAX)
        if not faults.any():
            self.in_a_row = 0
            return False
        self.in_a_row += 1
        self.total += 1
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(before)
        self._tell(values.tolist(), faults.tolist(), iteration)
        return True

    def _tell(self, values: list[float], faults: list[float], iteration: int) -> None:
        name, value = next((name, value) for name, value, fault in zip(_NAMES, values, faults, strict=True) if fault)
        found = 'no finite number in another process' if isfinite(value) else value
        what = f'the {name} is {found} at iteration {iteration}'
        if self.in_a_row < MOST_IN_A_ROW:
            get_root_logger().warning(f'{what}; this step is left out ({self.in_a_row} in a row, {self.total} in all)')
            return
        raise TrainingError(
            f'{what}, as in the {MOST_IN_A_ROW - 1} steps before; the run stops, and none of these steps has changed '
            f'the weights. The last checkpoint is in {self.checkpoints}. Lower train.optim_g.lr, set '
            'train.grad_clip_norm (e.g. 0.5) or use amp: bf16 or none instead of fp16, and go on with --auto_resume; '
            'or start anew with init: gentle (MSDTGP) or zero_offset.')
