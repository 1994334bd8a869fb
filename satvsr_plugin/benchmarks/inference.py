"""Speed, memory and exactness of every way to run a network, beside the plain way and measured in turns with it."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks.attempts import attempt, measure_peak, warnings_are_errors
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.ceilings import Ceilings
from satvsr_plugin.benchmarks.measuring import calls_a_second, in_turns
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.variants import Runner, Variant
from satvsr_plugin.comparison.cost_measures import random_frames, results
from satvsr_plugin.errors import SatVSRError


class Row(NamedTuple):
    """What was found of one variant; None where it was not measured.

    Attributes:
        variant: its name.
        type: of the ceilings that its shares are of.
        milliseconds: a result frame.
        frames_a_second: result frames.
        times_plain: how many times as fast as the plain variant.
        gflops: GFLOP/s, two for each multiply-accumulate.
        share_of_matmul, share_of_best: of the ceilings of its type.
        peak_memory: bytes that a call takes, over what is held before it; with CUDA graphs, what they keep for it.
        difference: the largest from the plain variant's result, in standard deviations of that.
        psnr: dB between the two, for a peak of the plain result's range; None also where they are the same.
        note: why it was not measured.
    """

    variant: str
    type: str
    milliseconds: float | None = None
    frames_a_second: float | None = None
    times_plain: float | None = None
    gflops: float | None = None
    share_of_matmul: float | None = None
    share_of_best: float | None = None
    peak_memory: int | None = None
    difference: float | None = None
    psnr: float | None = None
    note: str = ''


class SpeedTable(NamedTuple):
    """All variants of one network at one size.

    Attributes:
        network: its name.
        size: height and width of LR.
        macs_a_pixel: multiply-accumulates for each LR pixel of a result frame.
        rounds: of how many the median is, at most.
        rows: the plain variant first.
    """

    network: str
    size: int
    macs_a_pixel: float
    rounds: int
    rows: list[Row]

    def fastest(self) -> Row:
        """The row with the highest rate."""
        return max(self.rows, key=lambda row: row.frames_a_second or 0)


class Settings(NamedTuple):
    """How it is measured: where, for how long in each round, and in how many rounds."""

    device: torch.device
    seconds: float
    rounds: int


class Subject(NamedTuple):
    """What is measured: a network on LR frames of ``size`` x ``size``; ``macs`` are those for each LR pixel."""

    network: Network
    spec: InputSpec
    macs: float
    size: int

    def __str__(self) -> str:
        return f'{self.network.name}, {self.size}x{self.size}'

    @property
    def flops(self) -> float:
        """Of a result frame: two for each multiply-accumulate."""
        return 2 * self.macs * self.size**2


class Tried(NamedTuple):
    """A variant that is ready, and what its first calls showed."""

    runner: Runner
    frames: Tensor  # as it is given them at once
    seconds: float  # of a call
    peak_memory: int
    result: Tensor  # of the first window; float32 on the CPU

    @property
    def variant(self) -> Variant:
        """What it is."""
        return self.runner.variant


def measure_speed(subject: Subject, ways: list[Variant], settings: Settings, ceilings: Ceilings, budget: Budget,
                  also: Callable[[SpeedTable, list[Tried]], None] = lambda *_: None) -> SpeedTable | None:
    """Measure one network at one size; a variant that fails becomes a row with the reason.

    Args:
        subject: what is measured.
        ways: the variants, the plain one first.
        settings: how it is measured.
        ceilings: of the device.
        budget: variants for which there is no time are left out and noted, rounds only left out.
        also: given the table and the variants that work, before they are given up.

    Returns:
        None where there is no time for the plain variant.
    """
    gc.collect()  # networks of an earlier table
    # Half of the ceiling is what large convolutions reach; with fewer pixels it takes longer.
    guess = 2 * subject.flops * results(subject.spec) / 1e9 / ceilings.best(ways[0].type)
    ready, faults = _try_all(subject, ways, guess, settings, budget)
    if not ready and not faults:
        return None
    rates = _measure_rates(ready, faults, settings, budget)
    table = SpeedTable(subject.network.name, subject.size, subject.macs, settings.rounds,
                       _rows(ways, ready, faults, rates, subject, ceilings))
    also(table, [tried for name, tried in ready.items() if name not in faults])
    if any(way.compiles for way in ways):
        torch.compiler.reset()  # it compiles a network for few sizes and ways, then no more
    return table


def _try_all(subject: Subject, ways: list[Variant], guess: float, settings: Settings,
             budget: Budget) -> tuple[dict[str, Tried], dict[str, str]]:
    """Get all variants ready for which there is time; both empty where there is none for the plain one.

    Args:
        subject, ways, settings, budget: as of :func:`measure_speed`.
        guess: seconds that a call of the plain variant takes.

    Returns:
        Those that are ready, and the reasons why others are not, by name.
    """
    ready: dict[str, Tried] = {}
    faults: dict[str, str] = {}
    for way in ways:
        plain = ready[ways[0].name].seconds if ways[0].name in ready else guess
        seconds = plain * way.paths.windows
        turns = sum(_turn(tried.seconds, settings.seconds) for tried in ready.values())
        compiling = budget.compiling if way.compiles else 0
        what = f'{subject}, {way.name}' if way != ways[0] else f'{subject}, all'
        if not budget.allows(3 * seconds + turns + settings.seconds + compiling, what):
            if way == ways[0]:
                break
            continue
        begun = time.monotonic()
        found = attempt(_try, subject, way, settings.device)
        if isinstance(found, str):
            faults[way.name] = found
        else:
            ready[way.name] = found
            if way.compiles:
                budget.compiling = time.monotonic() - begun
    return ready, faults


def _try(subject: Subject, way: Variant, device: torch.device) -> Tried:
    """Get a variant ready and call it twice, the second time as it will be measured.

    On a GPU memory is that of the first call, in which CUDA graphs take theirs. On a CPU it is that of the second: the
    first one also loads libraries, and compiles.
    """
    frames = random_frames(subject.spec, subject.size, subject.size, bands=3).to(device)
    frames = torch.cat([frames.roll(shift, -1) for shift in range(way.paths.windows)])
    with warnings_are_errors():
        runner = Runner(subject.network, subject.spec, way, device)
        first_peak = measure_peak(lambda: runner(frames), device)
        if way.paths.graphs:
            runner(frames)  # which records what is replayed from now on
    found: list[Tensor] = []
    start = time.perf_counter()
    peak = measure_peak(lambda: found.append(runner(frames)), device)
    seconds = time.perf_counter() - start
    result = found[0][:1].float().cpu()
    if not result.isfinite().all():
        raise SatVSRError('the result is not a finite number')
    return Tried(runner, frames, seconds, first_peak if device.type == 'cuda' else peak, result)


def _turn(call: float, seconds: float) -> float:
    """How long a variant is measured in a round, when a call takes ``call`` seconds."""
    return seconds + 2 * call if call < seconds else call


def _measure_rates(ready: dict[str, Tried], faults: dict[str, str], settings: Settings,
                   budget: Budget) -> dict[str, float]:
    """Calls a second of each variant, in turns; one that fails now is added to ``faults``."""
    def measured(name: str, tried: Tried) -> Callable[[], float]:
        def run() -> float:
            found = math.nan if name in faults else attempt(_rate, tried, settings.seconds)
            if isinstance(found, str):
                faults[name] = found
                return math.nan
            return found
        return run

    a_round = sum(_turn(tried.seconds, settings.seconds) for tried in ready.values())
    return in_turns({name: measured(name, tried) for name, tried in ready.items()}, settings.rounds,
                    lambda: budget.holds(a_round))


def _rate(tried: Tried, seconds: float) -> float:
    if tried.seconds < seconds:
        return calls_a_second(lambda _: tried.runner(tried.frames), seconds)
    start = time.perf_counter()  # long enough that no call before it is needed
    tried.runner(tried.frames)
    return 1 / (time.perf_counter() - start)


def _rows(ways: list[Variant], ready: dict[str, Tried], faults: dict[str, str], rates: dict[str, float],
          subject: Subject, ceilings: Ceilings) -> list[Row]:
    plain = ways[0].name
    frames = {name: rate * ready[name].variant.paths.windows * results(subject.spec) for name, rate in rates.items()}
    rows = []
    for way in ways:
        if way.name in faults:
            rows.append(Row(way.name, way.type, note=faults[way.name]))
        elif way.name in ready:
            gflops = frames[way.name] * subject.flops / 1e9
            compared = ready.get(plain)
            difference, psnr = (None, None) if compared is None else compare(ready[way.name].result, compared.result)
            rows.append(Row(
                way.name, way.type, 1000 / frames[way.name], frames[way.name],
                None if plain in faults else frames[way.name] / frames[plain], gflops,
                gflops / ceilings.matmul[way.type], gflops / ceilings.best(way.type), ready[way.name].peak_memory,
                difference, psnr))
    return rows


def compare(result: Tensor, plain: Tensor) -> tuple[float, float | None]:
    """Largest difference in standard deviations of ``plain``; PSNR in dB for a peak of its range, None for no error."""
    error = (result - plain).double()
    squared = float(error.square().mean())
    peak = float(plain.max() - plain.min())
    psnr = 10 * math.log10(peak**2 / squared) if squared and peak else None
    return float(error.abs().max() / plain.std()), psnr
