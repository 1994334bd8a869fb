"""How fast recipes train, and in how much memory, measured in turns on the model that ``basicsr train`` trains."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch

from satvsr_plugin.benchmarks.attempts import give_memory_back, reason_of
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.ceilings import Ceilings
from satvsr_plugin.benchmarks.measuring import in_turns, synchronize
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.training_model import Trainer, as_in_training
from satvsr_plugin.benchmarks.training_recipes import PLAIN, Recipe
from satvsr_plugin.comparison.memory import PeakMemory

BACKWARD = 3  # a step takes about three times the arithmetic of its forward pass
_COMPILING = 60.0  # seconds, until one was seen
_GUESS = 0.2  # share of the ceiling that training reaches, until it was seen


@dataclass
class Row:
    """What was measured of one recipe; None where it was not.

    Attributes:
        network, patch: what was trained, and on LR patches of which height and width.
        recipe, batch: how.
        reason: why there are no figures.
        samples_s: samples a second, the median of the rounds.
        step_ms: milliseconds a step.
        times_plain: samples a second over those of the plain recipe on the same patches.
        tflops: TFLOP/s, of three forward passes a sample.
        ceiling_share: of the largest rate of the type that most is computed in.
        peak_gib: memory at the peak of a step, weights and optimizer included.
        host_share: time in which the host issues a step, over the time of the step; GPUs only.
        rounds: how often it was measured.
    """

    network: str
    patch: int
    recipe: str
    batch: int
    reason: str | None = None
    samples_s: float | None = None
    step_ms: float | None = None
    times_plain: float | None = None
    tflops: float | None = None
    ceiling_share: float | None = None
    peak_gib: float | None = None
    host_share: float | None = None
    rounds: int = 0

    def fill(self, samples_s: float, flops: float, ceiling: float | None, plain: float | None) -> None:
        """Work out what follows from the rate.

        Args:
            samples_s: samples a second.
            flops: of a forward pass of one sample.
            ceiling: GFLOP/s; None where it was not measured.
            plain: samples a second of the plain recipe; None without it.
        """
        self.samples_s = samples_s
        self.step_ms = 1000 * self.batch / samples_s
        self.tflops = samples_s * BACKWARD * flops / 1e12
        self.ceiling_share = 1000 * self.tflops / ceiling if ceiling else None
        self.times_plain = samples_s / plain if plain else None


class Group(NamedTuple):
    """What is compared with one another: recipes for one network on patches of one size.

    Attributes:
        network: what is trained.
        patch: height and width of LR.
        flops: of a forward pass of one sample.
    """

    network: Network
    patch: int
    flops: float

    def __str__(self) -> str:
        return f'{self.network.name}, {self.patch}x{self.patch}'


class _Contender:
    """A recipe of which a trainer was built, unless that failed."""

    def __init__(self, group: Group, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device, self.seconds = recipe, device, 0.0
        self.row = Row(group.network.name, group.patch, recipe.name, recipe.batch,
                       recipe.missing(group.network.options))
        self.trainer: Trainer | None = None
        if self.row.reason is None:
            try:
                self._prepare(group)
            except Exception as error:  # whatever it is, the other recipes go on
                self._fail(error)

    def _prepare(self, group: Group) -> None:
        give_memory_back()
        memory = PeakMemory(self.device)
        self.trainer = Trainer(group.network.options, self.recipe, group.patch, self.device)
        self.trainer.timed_step()  # compiles, tries algorithms, and makes the optimizer's state
        memory.reset()
        self.seconds = self.trainer.timed_step()
        if self.seconds < 1:
            self.seconds = self.trainer.timed_step()
        self.row.peak_gib = memory.peak() / 2**30
        if self.device.type == 'cuda':
            self.row.host_share = self._host_share(self.trainer)

    def _host_share(self, trainer: Trainer) -> float:
        shares = []
        with as_in_training(trainer.tf32):
            for _ in range(3):
                start = time.perf_counter()
                trainer.step()
                issued = time.perf_counter()
                synchronize(self.device)
                shares.append((issued - start) / (time.perf_counter() - start))
        return statistics.median(shares)

    def rate(self, seconds: float) -> float:
        """Samples a second of steps that follow one another; not a number once a step has failed."""
        if self.trainer is None:
            return math.nan
        steps = max(1, round(seconds / self.seconds))
        start = time.perf_counter()
        try:
            with as_in_training(self.recipe.tf32):
                for _ in range(steps):
                    self.trainer.step()
                synchronize(self.device)
        except Exception as error:  # as above
            self._fail(error)
            return math.nan
        self.row.rounds += 1
        return self.recipe.batch * steps / (time.perf_counter() - start)

    def _fail(self, error: Exception) -> None:
        self.row.reason, self.trainer, self.row.peak_gib = reason_of(error), None, None


class SpeedTest:
    """Measures groups of recipes.

    Args:
        device: to train on.
        ceilings: of the device; None leaves out shares of them.
        rounds: how often each recipe is measured, in turns.
        seconds: how long each time, at least one step.
    """

    def __init__(self, device: torch.device, ceilings: Ceilings | None, rounds: int, seconds: float) -> None:
        self.device, self.ceilings, self.rounds, self.seconds = device, ceilings, rounds, seconds
        self._compiling = _COMPILING

    def measure(self, group: Group, recipes: Sequence[Recipe], budget: Budget) -> list[Row]:
        """Measure one group; a recipe that fails becomes a row that says why.

        Args:
            group: what is trained.
            recipes: the plain one first.
            budget: for all of this; it notes the recipes that it leaves out.
        """
        contenders: list[_Contender] = []
        with _every_shape_compiled(any(recipe.compiled for recipe in recipes)):
            for recipe in recipes:
                turns = sum(self.rounds * max(self.seconds, contender.seconds) for contender in contenders)
                if budget.allows(turns + self._expected(group, recipe, contenders),
                                 f'{group}, {recipe.name}, batch {recipe.batch}'):
                    contenders.append(self._prepare(group, recipe))
            self._take_turns(group, contenders, budget)
        rows = [contender.row for contender in contenders]
        contenders.clear()
        give_memory_back()
        return rows

    def _expected(self, group: Group, recipe: Recipe, before: Sequence[_Contender]) -> float:
        """Seconds that a recipe will take in all, by those before it."""
        work = BACKWARD * group.flops * recipe.batch
        rates = {contender.recipe.name: BACKWARD * group.flops * contender.recipe.batch / contender.seconds
                 for contender in before if contender.seconds}
        guess = min(rates.values(), default=_GUESS * 1e9 * (self._ceiling('float32') or 100))
        step = work / rates.get(recipe.name, guess)
        return (3 + self.rounds * max(1, self.seconds / step)) * step + (self._compiling if recipe.compiled else 1)

    def _prepare(self, group: Group, recipe: Recipe) -> _Contender:
        start = time.monotonic()
        contender = _Contender(group, recipe, self.device)
        if recipe.compiled and contender.row.reason is None:
            self._compiling = time.monotonic() - start
        return contender

    def _take_turns(self, group: Group, contenders: Sequence[_Contender], budget: Budget) -> None:
        ways = {str(place): partial(contender.rate, self.seconds) for place, contender in enumerate(contenders)}
        one_round = sum(max(self.seconds, contender.seconds) for contender in contenders)
        rates = in_turns(ways, self.rounds, lambda: budget.left() > one_round)
        measured = [(contender, rate) for contender, rate in zip(contenders, rates.values(), strict=True)
                    if contender.row.reason is None]
        plain = next((rate for contender, rate in measured if contender.recipe.name == PLAIN), None)
        for contender, rate in measured:
            contender.row.fill(rate, group.flops, self._ceiling(contender.recipe.kind), plain)

    def _ceiling(self, kind: str) -> float | None:
        return self.ceilings.best(kind) if self.ceilings and kind in self.ceilings.matmul else None


@contextlib.contextmanager
def _every_shape_compiled(wanted: bool) -> Iterator[None]:
    """A run compiles for its one size of batches; here one process has several, which must not share a general form."""
    if not wanted:
        yield
        return
    import torch._dynamo  # takes seconds

    with torch._dynamo.config.patch(automatic_dynamic_shapes=False, recompile_limit=64):
        yield
