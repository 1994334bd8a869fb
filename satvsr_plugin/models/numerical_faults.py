"""Steps whose loss or gradient is not a finite number: left out, counted, and in a row the end of a run."""

from __future__ import annotations

from collections import deque
from math import isfinite
from typing import NamedTuple

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, distributed, nn

from satvsr_plugin.errors import TrainingError

MOST_IN_A_ROW = 10
LAG = 4  # steps that are queued on a GPU while the host reads what an earlier one found, so that it never runs dry
_NAMES = ('loss', 'norm of the gradient')


class _Finding(NamedTuple):
    """What a step found, on its way from the device.

    Attributes:
        iteration: of the step.
        numbers: (4,) in the host's memory: loss and norm of the gradient, then 1 for each that is no finite number in
            any process.
        arrived: when they are there; None where they are at once.
    """

    iteration: int
    numbers: Tensor
    arrived: torch.cuda.Event | None


class NumericalFaults:
    """Finds steps that must not change the weights, and counts them.

    A step is judged on the device, and the verdict is a tensor there, so that nobody has to wait for it. The host reads
    it later, to count and to tell (:meth:`settle`).

    Args:
        net: the network; its buffers (statistics of batch normalisation) are put back after such a step.
        checkpoints: folder of the checkpoints, for the advice.
        lag: so many steps later the host reads what a step found.

    Attributes:
        in_a_row: how many of the latest steps that are settled were such.
        total: how many of all that are settled.
    """

    def __init__(self, net: nn.Module, checkpoints: str, lag: int = 0) -> None:
        self.checkpoints = checkpoints
        self.lag = lag
        self.in_a_row = self.total = 0
        self._buffers = list(net.buffers())
        self._before: list[Tensor] = []
        self._findings: deque[_Finding] = deque()

    def watch(self) -> None:
        """Before a step."""
        self._before = [buffer.clone() for buffer in self._buffers]

    def spoil(self, loss: Tensor, norm: Tensor, iteration: int) -> Tensor:
        """After the backward pass.

        Args:
            loss: of this process's batch.
            norm: of the gradient.
            iteration: for the log.

        Returns:
            A scalar on the device, 1 where the step has to be left out, else 0: in any process, so that all do the
            same.
        """
        values = torch.stack([loss.detach().float(), norm.detach().float()])
        faults = (~values.isfinite()).float()
        if distributed.is_initialized():
            distributed.all_reduce(faults, distributed.ReduceOp.MAX)
        fault = faults.amax()
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(torch.where(fault > 0, before, buffer))
        self._findings.append(_sent_to_host(iteration, torch.cat([values, faults])))
        return fault

    def settle(self, lag: int = 0) -> None:
        """Count and tell what the steps found, all but the latest ``lag``; waits for those that are still under way.

        Raises:
            TrainingError: there were too many in a row; none of them has changed the weights.
        """
        while len(self._findings) > lag:
            finding = self._findings.popleft()
            if finding.arrived is not None:
                finding.arrived.synchronize()
            self._count(finding.iteration, *finding.numbers.view(2, 2).tolist())

    def _count(self, iteration: int, values: list[float], faults: list[float]) -> None:
        if not any(faults):
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.total += 1
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


def _sent_to_host(iteration: int, numbers: Tensor) -> _Finding:
    if numbers.device.type != 'cuda':
        return _Finding(iteration, numbers.cpu(), None)
    copy = numbers.to('cpu', non_blocking=True)  # torch makes it page-locked, without which the copy would wait
    arrived = torch.cuda.Event()
    arrived.record()
    return _Finding(iteration, copy, arrived)
