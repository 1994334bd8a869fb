"""How time and memory grow with the size of a frame, and with the number of frames of a video."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks.attempts import attempt, measure_peak
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.inference import Settings
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.variants import Runner, Variant
from satvsr_plugin.comparison.cost_measures import random_frames, results
from satvsr_plugin.inference.upscaler import VideoUpscaler

SIDES = (32, 48, 64, 96, 128, 192, 256)
LENGTHS = (5, 10, 20, 40)


class Step(NamedTuple):
    """One size or length.

    Attributes:
        amount: height and width of LR, or number of frames.
        milliseconds: in all.
        each: milliseconds for each LR pixel, or for each frame.
        peak_memory: bytes, over what is held before.
    """

    amount: int
    milliseconds: float
    each: float
    peak_memory: int


class Growth(NamedTuple):
    """Time and memory of one network at growing sizes.

    Attributes:
        title: what grows, of which network, run in which way.
        unit: of ``amount``.
        per: what ``each`` is for.
        steps: smallest first.
        note: why there are no more.
    """

    title: str
    unit: str
    per: str
    steps: list[Step]
    note: str = ''

    @property
    def exponent(self) -> float | None:
        """Of the power law through the times (least squares of the logarithms): 1 is growth in proportion."""
        if len(self.steps) < 2:
            return None
        amounts = [math.log(step.milliseconds / step.each) for step in self.steps]
        return float(np.polyfit(amounts, [math.log(step.milliseconds) for step in self.steps], 1)[0])

    @property
    def memory_growth(self) -> float | None:
        """Peak memory of the last step as a multiple of the first one's."""
        first = self.steps[0].peak_memory if self.steps else 0
        return self.steps[-1].peak_memory / first if first else None


def measure_sides(network: Network, spec: InputSpec, variant: Variant, settings: Settings, budget: Budget,
                  sides: tuple[int, ...] = SIDES) -> Growth:
    """One result frame of growing height and width."""
    title = f'{network.name}, {variant.name}: one frame of growing size'
    runner = attempt(Runner, network, spec, variant, settings.device)
    if isinstance(runner, str):
        return Growth(title, 'LR side', 'LR pixel', [], runner)

    def measure(side: int) -> tuple[float, int]:
        frames = random_frames(spec, side, side, bands=3).to(settings.device)
        frames = frames.expand(variant.paths.windows, *frames.shape[1:]).contiguous()
        peak = measure_peak(lambda: runner(frames), settings.device)
        in_all = _median_seconds(lambda: runner(frames), settings.seconds)
        return in_all / variant.paths.windows / results(spec), peak

    wanted = list(dict.fromkeys(spec.fit(side) for side in sides))
    return _grow(Growth(title, 'LR side', 'LR pixel', []), wanted, lambda side: side**2, measure, budget)


def measure_lengths(network: Network, side: int, fast: bool, settings: Settings, budget: Budget,
                    lengths: tuple[int, ...] = LENGTHS) -> Growth:
    """A video of growing length, streamed through :class:`VideoUpscaler` as it comes: memory should stay the same.

    Args:
        network: what is run.
        side: height and width of LR.
        fast: with the type and the fast paths that it takes by itself, or with none in float32.
        settings: only where.
        budget: how long it may take.
        lengths: in frames.
    """
    how = 'fast: auto' if fast else 'float32, fast: none'
    title = f'{network.name}: video of {side}x{side} through VideoUpscaler, {how}'
    upscaler = attempt(lambda: VideoUpscaler(
        network.build(), tile='none', device=str(settings.device), dtype='auto' if fast else 'float32',
        fast='auto' if fast else 'none'))
    if isinstance(upscaler, str):
        return Growth(title, 'frames', 'frame', [], upscaler)

    def measure(length: int) -> tuple[float, int]:
        seconds: list[float] = []

        def run() -> None:
            start = time.perf_counter()
            for _ in upscaler(_video(length, side)):
                pass
            seconds.append(time.perf_counter() - start)

        peak = measure_peak(run, settings.device)
        return seconds[0], peak

    return _grow(Growth(title, 'frames', 'frame', []), list(lengths), lambda length: length, measure, budget)


def _grow(growth: Growth, wanted: list[int], size: Callable[[int], int],
          measure: Callable[[int], tuple[float, int]], budget: Budget) -> Growth:
    """Measure step by step, until something fails or time is up."""
    begun = time.perf_counter()
    failed = attempt(measure, wanted[0])  # the first time sets things up, and is not counted
    each = (time.perf_counter() - begun) / size(wanted[0])
    if isinstance(failed, str):
        return growth._replace(note=f'{growth.unit} {wanted[0]}: {failed}')
    for amount in wanted:
        if not budget.allows(3 * each * size(amount), f'{growth.title}, {growth.unit} {amount} and more'):
            break
        found = attempt(measure, amount)
        if isinstance(found, str):
            return growth._replace(note=f'{growth.unit} {amount}: {found}')
        seconds, peak = found
        each = seconds / size(amount)
        growth.steps.append(Step(amount, 1000 * seconds, 1000 * each, peak))
    return growth


def _median_seconds(run: Callable[[], object], seconds: float) -> float:
    found: list[float] = []
    while not found or sum(found) < seconds:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _video(length: int, side: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(length):
        yield rng.integers(256, size=(side, side, 3), dtype=np.uint8)
