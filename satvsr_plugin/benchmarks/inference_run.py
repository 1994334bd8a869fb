"""The whole of ``benchmark_inference.py``: what is measured in which order, so that the most is had of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from satvsr_plugin.acceleration.allocator import can_keep_freed_memory, keep_freed_memory
from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks.attempts import attempt
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.ceilings import Ceilings, measure_ceilings
from satvsr_plugin.benchmarks.inference import Settings, SpeedTable, Subject, Tried, measure_speed
from satvsr_plugin.benchmarks.inference_report import Report
from satvsr_plugin.benchmarks.measuring import device_facts, machine
from satvsr_plugin.benchmarks.networks import Network, choose_networks, macs_a_pixel, spec_of
from satvsr_plugin.benchmarks.quality import SCORED, Pairs, drawn_pairs, measure_quality, read_pairs
from satvsr_plugin.benchmarks.scaling import measure_lengths, measure_sides
from satvsr_plugin.benchmarks.variants import PLAIN, Variant, variants
from satvsr_plugin.benchmarks.where import measure_shares
from satvsr_plugin.errors import OptionError
from satvsr_plugin.plugins import load_plugins

QUALITY_SIZE = 64  # of LR; the measured size that is nearest to it is scored
GROUP = 15.0  # seconds that a GPU needs for a network and size without compiling
SCALING_SHARE = 0.3  # of the budget
KEPT_SHARE = 0.25  # of what is left of it
VIDEO_SIDE = 64


class Plan(NamedTuple):
    """What is asked for, see the script's options."""

    networks: Sequence[str]
    weights: Path | None
    sizes: Sequence[int]
    scaling: bool
    compiled: bool
    gt: Path | None = None
    lq: Path | None = None


def run(plan: Plan, settings: Settings, budget: Budget) -> Report:
    """Measure all for which there is time.

    Args:
        plan: what is asked for.
        settings: how it is measured.
        budget: how long it may take.

    Raises:
        SatVSRError: what is asked for cannot be measured at all.
    """
    report = Report({**machine(), **device_facts(settings.device)})
    load_plugins()
    networks = choose_networks(plan.networks, plan.weights)
    subjects = _subjects(networks, plan.sizes, settings.device, budget)
    pairs = _pairs(plan, subjects)
    report.ceilings = measure_ceilings(settings.device, settings.seconds)
    on_gpu = settings.device.type == 'cuda'
    growing = SCALING_SHARE * budget.left() if plan.scaling else 0.0
    keeps = not on_gpu and can_keep_freed_memory()
    later = growing + (KEPT_SHARE * (budget.left() - growing) if keeps else 0)
    # Small ones first on a CPU, where large ones may take longer than there is time; on a GPU the large ones first:
    # compiling them is worth most.
    subjects.sort(key=lambda subject: subject.flops, reverse=on_gpu)
    with tqdm(total=len(subjects) + plan.scaling, desc='measuring') as progress:
        for number, subject in enumerate(subjects, start=1):
            budget.reserve = later + (GROUP * (len(subjects) - number) if on_gpu else 0)
            table = measure_speed(
                subject, variants(subject.network, settings.device, plan.compiled), settings, report.ceilings, budget,
                partial(_look_closer, report, subject, pairs, budget))
            report.speed += [] if table is None else [table]
            progress.update()
        budget.reserve = growing
        if keeps:
            report.speed += _with_kept_memory(subjects, report.ceilings, settings, budget)
        budget.reserve = 0
        if plan.scaling and subjects:
            first = subjects[0]
            _measure_growth(report, first.network, first.spec, settings, budget,
                            variants(first.network, settings.device, False))
            progress.update()
    report.skipped = budget.skipped
    return report


def _with_kept_memory(subjects: list[Subject], ceilings: Ceilings, settings: Settings, budget: Budget
                      ) -> Iterator[SpeedTable]:
    """Plain and fused once more, when the process keeps freed memory; it cannot be told to stop, so this comes last."""
    keep_freed_memory()
    for subject in subjects:
        chosen = [variant for variant in variants(subject.network, settings.device, False)
                  if variant.paths.fused or variant.name == PLAIN]
        network = subject.network._replace(name=f'{subject.network.name}, freed memory kept')
        table = measure_speed(subject._replace(network=network), chosen, settings, ceilings, budget)
        if table is not None:
            yield table


def _subjects(networks: Iterable[Network], sizes: Iterable[int], device: torch.device, budget: Budget) -> list[Subject]:
    """Every network at every size that it can take; one whose operations cannot be counted is noted as skipped."""
    subjects = []
    for network in networks:
        net = network.build()
        spec = spec_of(network.name, net)
        macs = attempt(macs_a_pixel, net.to(device), spec)
        if isinstance(macs, str):
            budget.skipped.append(f'{network.name}: {macs}')
            continue
        subjects += [Subject(network, spec, macs, size) for size in dict.fromkeys(spec.fit(size) for size in sizes)]
    return subjects


def _pairs(plan: Plan, subjects: list[Subject]) -> dict[str, Pairs]:
    """Frames to score trained networks on, by subject (in words), for one size of each.

    Raises:
        DataError: those that were given cannot be used.
        OptionError: some were given, but no network is trained.
    """
    chosen: dict[str, Subject] = {}
    for subject in (subject for subject in subjects if subject.network.weights and subject.spec.bands in (3, None)):
        name = subject.network.name
        if name not in chosen or abs(subject.size - QUALITY_SIZE) < abs(chosen[name].size - QUALITY_SIZE):
            chosen[name] = subject
    if plan.gt and not chosen:
        raise OptionError('--gt: none of these networks is trained; give --weights FILE or --networks small')
    return {str(subject): _pairs_for(plan, subject) for subject in chosen.values()}


def _pairs_for(plan: Plan, subject: Subject) -> Pairs:
    scale = subject.spec.scale
    if plan.gt and plan.lq:
        return read_pairs(plan.gt, plan.lq, scale).cut(subject.size, scale)
    return drawn_pairs(subject.size, scale)


def _look_closer(report: Report, subject: Subject, pairs: dict[str, Pairs], budget: Budget, table: SpeedTable,
                 ready: list[Tried]) -> None:
    """Quality, and where the time goes (of each network's largest size only)."""
    if not ready or ready[0].variant.name != table.rows[0].variant:
        return
    plain = ready[0]
    what = str(subject)
    in_all = sum(tried.seconds * max(1, SCORED / tried.variant.paths.windows) for tried in ready)
    if what in pairs and budget.allows(in_all, f'quality of {what}'):
        _note(budget, f'quality of {what}', report.quality, what,
              lambda: measure_quality([tried.runner for tried in ready], subject.spec, pairs[what]))
    if any(other.network == table.network and other.size > table.size for other in report.speed):
        return
    fastest = next(tried for tried in ready if tried.variant.name == table.fastest().variant)
    profiled = [plain] if fastest is plain else [plain, fastest]
    if budget.allows(2 * sum(tried.seconds for tried in profiled), f'where the time of {what} goes'):
        report.where = {key: rows for key, rows in report.where.items()
                        if not key.startswith(f'{subject.network.name}, ')}
        _note(budget, f'where the time of {what} goes', report.where, what,
              lambda: [measure_shares(tried.variant, tried.runner.net, partial(tried.runner, tried.frames),
                                      tried.runner.device) for tried in profiled])


def _note(budget: Budget, title: str, results: dict[str, Any], what: str, measure: Callable[[], Any]) -> None:
    """Put what was measured into ``results``, or the reason why not to what was skipped."""
    found = attempt(measure)
    if isinstance(found, str):
        budget.skipped.append(f'{title}: {found}')
    else:
        results[what] = found


def _measure_growth(report: Report, network: Network, spec: InputSpec, settings: Settings, budget: Budget,
                    ways: list[Variant]) -> None:
    """The plain variant, and the one that was fastest without compiling, in which every size would be compiled anew."""
    rates = {row.variant: row.frames_a_second or 0 for table in report.speed if table.network == network.name
             for row in table.rows}
    fastest = max((way for way in ways if not way.compiles), key=lambda way: rates.get(way.name, 0))
    for fast in (True, False):
        report.growth.append(measure_lengths(network, spec.fit(VIDEO_SIDE), fast, settings, budget))
    both = list(dict.fromkeys([fastest, ways[0]]))
    share = budget.left() / len(both)
    for number, way in enumerate(both, start=1):
        budget.reserve = share * (len(both) - number)
        report.growth.append(measure_sides(network, spec, way, settings, budget))
    budget.reserve = 0
