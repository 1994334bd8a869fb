"""All that ``scripts/benchmark_training.py`` measures in one run, cut to end in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from satvsr_plugin.benchmarks.attempts import give_memory_back, reason_of
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.ceilings import Ceilings, measure_ceilings
from satvsr_plugin.benchmarks.largest_batch import PROBES, Largest, estimate_on_cpu, search_on_gpu
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.training import Group, Row, SpeedTest
from satvsr_plugin.benchmarks.training_data import Feed, Waiting, draw_clips, measure_waiting, warm_up_steps
from satvsr_plugin.benchmarks.training_model import Trainer, forward_flops
from satvsr_plugin.benchmarks.training_recipes import SCALE, Recipe, fast_recipe, plain_recipe, recipes
from satvsr_plugin.benchmarks.training_report import largest_table, speed_tables, waiting_table

NOTES = """\
Steps are `feed_data` and `optimize_parameters` of `SatVSRModel` on a batch that is on the device already; medians of
rounds in turns, warm-up not counted. "plain float32" is eager and, on a GPU, without TF32, which torch itself uses in
convolutions; what is not said of a recipe is as in the plain one. TFLOP/s count three forward passes a sample. "of the
ceiling" is the share of the best of a large matrix product and a large convolution of the same type. GiB is the peak of
a step over what was held before the model was made: torch's tensors on a GPU, resident memory on a CPU. "host share" is
the time until a step has been issued over the time until the GPU is done with it: near 100 % the GPU waits for the
host."""


class Settings(NamedTuple):
    """What to measure; sizes of patches are those of LR, ``memory`` is in bytes."""

    device: torch.device
    networks: Sequence[Network]
    patches: Sequence[int]
    batches: Sequence[int]
    workers: Sequence[int]
    rounds: int
    seconds: float
    with_compile: bool
    with_largest: bool
    memory: int


@dataclass
class Results:
    """What was measured."""

    ceilings: Ceilings | None = None
    speed: list[Row] = field(default_factory=list)
    largest: list[Largest] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """As Markdown."""
        parts = [str(self.ceilings)] if self.ceilings else []
        parts += speed_tables(self.speed)
        if self.speed:
            parts.append(NOTES)
        if self.largest:
            parts.append(largest_table(self.largest))
        if self.waiting:
            parts.append(waiting_table(self.waiting))
        if self.skipped:
            parts.append('Not measured, since the time (`--budget`) was too short:\n\n'
                         + '\n'.join(f'- {what}' for what in self.skipped))
        return '\n\n'.join(parts)

    def as_json(self) -> dict[str, Any]:
        return {'ceilings': self.ceilings and self.ceilings._asdict(), 'speed': [asdict(row) for row in self.speed],
                'largest_batch': [asdict(one) for one in self.largest],
                'waiting': [asdict(one) for one in self.waiting], 'not_measured': self.skipped}


class _Part(NamedTuple):
    """A part of the run.

    Attributes:
        name: what is missing where there is no time for it.
        weight: its share of the time that is left, among the parts that are left.
        run: measures.
    """

    name: str
    weight: float
    run: Callable[[], None]


class Plan:
    """Measures everything.

    Args:
        settings: what.
        budget: in which time.
        work: an empty folder for the clips.
        tell: takes the name of each part as it begins.
    """

    def __init__(self, settings: Settings, budget: Budget, work: Path, tell: Callable[[str], None]) -> None:
        self.settings, self.budget, self.work, self.tell = settings, budget, work, tell
        self.results = Results(skipped=budget.skipped)

    def run(self) -> Results:
        settings = self.settings
        self.tell('ceilings')
        self.results.ceilings = measure_ceilings(settings.device, min(settings.seconds, 0.5))
        test = SpeedTest(settings.device, self.results.ceilings, settings.rounds, settings.seconds)
        parts = [self._speed(test, network, patch, forward_flops(network))
                 for network in settings.networks for patch in settings.patches]
        if settings.workers:
            parts.append(_Part('waiting for data', 1, self._waiting))
        if settings.with_largest:
            parts += [self._largest(network, patch) for patch in settings.patches for network in settings.networks]
        for place, part in enumerate(parts):
            weights = sum(later.weight for later in parts[place:])
            self.budget.reserve = 0
            self.budget.reserve = max(0, self.budget.left()) * (1 - part.weight / weights)
            self.tell(part.name)
            if self.budget.allows(0, part.name):
                part.run()
        return self.results

    def _speed(self, test: SpeedTest, network: Network, patch: int, flops_a_pixel: float) -> _Part:
        settings = self.settings
        in_full = patch == settings.patches[0]
        # of the first one most is wanted, compilation too
        weight = 9 if in_full and network is settings.networks[0] else 2 if in_full else 1.5
        chosen = recipes(settings.device, settings.batches, settings.with_compile and in_full, in_full)

        def run() -> None:
            group = Group(network, patch, flops_a_pixel * patch**2)
            self.results.speed += test.measure(group, chosen, self.budget)

        return _Part(f'speed of {network.name}, LR {patch}x{patch}', weight, run)

    def _largest(self, network: Network, patch: int) -> _Part:
        settings = self.settings
        fast = fast_recipe(settings.device, 1, compiled=False)
        tried = [fast, replace(fast, name=f'{fast.name}, checkpointing', train=fast.train | {'checkpointing': True}),
                 plain_recipe(settings.device)]

        def run() -> None:
            for recipe in tried:
                # each try takes two steps
                seconds = 2 * self._step_seconds(network, patch, sum(PROBES))
                if self.budget.allows(seconds, f'largest batch of {network.name}, LR {patch}x{patch}, {recipe.name}'):
                    self.results.largest.append(self._largest_of(network, recipe, patch))

        return _Part(f'largest batch of {network.name}, LR {patch}x{patch}', 0.5, run)

    def _largest_of(self, network: Network, recipe: Recipe, patch: int) -> Largest:
        settings = self.settings
        if missing := recipe.missing(network.options):
            return Largest(network.name, patch, recipe.name, None, None, False, missing)
        if settings.device.type == 'cuda':
            return search_on_gpu(network, recipe, patch, settings.device, self.budget)
        return estimate_on_cpu(network, recipe, patch, settings.memory)

    def _waiting(self) -> None:
        settings, patch = self.settings, self.settings.patches[0]
        root = draw_clips(self.work / 'clips', clips=4, frames=7, size=max(128, SCALE * patch))
        recipe = fast_recipe(settings.device, min(16, max(settings.batches)), compiled=False)
        for network in settings.networks:
            a_step = self._step_seconds(network, patch, recipe.batch)
            for workers in settings.workers:
                seconds = a_step * (2 + warm_up_steps(workers)) + max(a_step, settings.rounds * settings.seconds)
                if self.budget.allows(seconds, f'waiting for data, {network.name}, {workers} workers'):
                    self.results.waiting.append(self._waiting_of(network, recipe, patch, workers, root))

    def _step_seconds(self, network: Network, patch: int, batch: int) -> float:
        """Seconds that a step will take, by the slowest one of this network that was measured."""
        a_pixel = [row.step_ms / 1000 / row.batch / row.patch**2 for row in self.results.speed
                   if row.network == network.name and row.step_ms]
        return max(a_pixel, default=1 / 32**2) * patch**2 * batch

    def _waiting_of(self, network: Network, recipe: Recipe, patch: int, workers: int, root: Path) -> Waiting:
        settings = self.settings
        found = Waiting(network.name, patch, recipe.name, recipe.batch, workers)
        try:
            trainer = Trainer(network.options, recipe, patch, settings.device)
            trainer.timed_step()
            feed = Feed(root, trainer.model, patch, recipe.batch, workers)
            found.share, steps = measure_waiting(trainer.model, feed, workers, recipe.tf32,
                                                 settings.rounds * settings.seconds)
            found.samples_s = recipe.batch * steps
        except Exception as error:  # whatever it is, the others go on
            found.reason = reason_of(error)
        give_memory_back()
        return found
