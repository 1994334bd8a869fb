"""The largest batch that fits into memory: tried on a GPU, worked out on a CPU, where trying would take the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from satvsr_plugin.benchmarks.attempts import give_memory_back, reason_of
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.training_model import Trainer
from satvsr_plugin.benchmarks.training_recipes import Recipe
from satvsr_plugin.comparison.memory import PeakMemory

MOST = 4096  # samples; nobody trains on more
PRECISION = 1 / 16  # of the largest batch; each further bit would take one more try
START = 16  # where the search begins
PROBES = (1, 4)  # sizes of batches by which a CPU's memory is worked out


@dataclass
class Largest:
    """The largest batch of one recipe.

    Attributes:
        network, patch, recipe: what was trained, and how.
        batch: samples; None where not even one fits or nothing was measured.
        too_large: the smallest batch that was tried and did not fit; None where all did, or for an estimate.
        estimated: whether it was worked out from the memory that small batches take.
        reason: what stopped the search.
    """

    network: str
    patch: int
    recipe: str
    batch: int | None
    too_large: int | None
    estimated: bool
    reason: str


def largest_that_fits(fits: Callable[[int], bool], start: int = 1, most: int = MOST, precision: float = 0.0,
                      may_go_on: Callable[[], bool] = lambda: True) -> tuple[int, int | None]:
    """Search by doubling, then by halving the gap.

    Args:
        fits: whether a number fits; where one does not, no larger one does.
        start: the number to try first.
        most: the largest number to try.
        precision: when to stop, as a share of the number found; 0: only when it is exact.
        may_go_on: asked before every try.

    Returns:
        The largest number that was seen to fit, 0 if none was, and the smallest one that did not, if any was tried.
    """
    low, high = 0, None
    while low < most and (high is None or high - low > max(1, precision * low)) and may_go_on():
        trial = (low + high) // 2 if high is not None else min(most, max(start, 2 * low))
        if fits(trial):
            low = trial
        else:
            high = trial
    return low, high


def estimate(peaks: dict[int, int], memory: int) -> int:
    """The batch that a memory holds, by a straight line through the peaks of two batches.

    Args:
        peaks: size of a batch -> bytes of a whole step, weights and optimizer included.
        memory: bytes.

    Returns:
        Samples, 0 where not even one fits.
    """
    (few, low), (many, high) = sorted(peaks.items())
    a_sample = max(1, (high - low) / (many - few))
    return max(0, int(few + (memory - low) / a_sample))


def search_on_gpu(network: Network, recipe: Recipe, patch: int, device: torch.device, budget: Budget) -> Largest:
    """Train two steps on ever larger batches until one fails."""
    reasons: list[str] = []
    trainer: Trainer | None = None

    def fits(batch: int) -> bool:
        nonlocal trainer
        try:
            trainer = trainer or Trainer(network.options, recipe, patch, device)
            _train_briefly(trainer, batch)
            return True
        except Exception as error:  # out of memory, or a library that cannot count so far
            reasons.append(reason_of(error))
        trainer = None  # it holds what the failed step has left
        give_memory_back()
        return False

    batch, too_large = largest_that_fits(fits, START, precision=PRECISION, may_go_on=lambda: budget.holds(0))
    trainer = None
    give_memory_back()
    stopped = reasons[-1] if reasons else f'all up to {MOST} fit' if batch == MOST else 'no time left'
    return Largest(network.name, patch, recipe.name, batch or None, too_large, False, stopped)


def estimate_on_cpu(network: Network, recipe: Recipe, patch: int, memory: int) -> Largest:
    """Measure the peaks of two small batches in this process and go on along a straight line.

    Args:
        network, recipe, patch: what to train, and how.
        memory: bytes that training may take.
    """
    device = torch.device('cpu')
    peaks: dict[int, int] = {}
    try:
        for batch in PROBES:
            give_memory_back()
            peak = PeakMemory(device)
            _train_briefly(Trainer(network.options, recipe, patch, device), batch, peak.reset)
            peaks[batch] = peak.peak()
    except Exception as error:  # as above
        return Largest(network.name, patch, recipe.name, None, None, True, reason_of(error))
    finally:
        give_memory_back()
    said = ', '.join(f'{size / 2**30:.2f} GiB with batch {batch}' for batch, size in peaks.items())
    return Largest(network.name, patch, recipe.name, estimate(peaks, memory) or None, None, True, said)


def _train_briefly(trainer: Trainer, batch: int, before_last: Callable[[], None] = lambda: None) -> None:
    """Two steps: the second one has the gradients of the first and the optimizer's state in memory."""
    trainer.take(batch)
    trainer.timed_step()
    before_last()
    trainer.timed_step()
