"""The table of a comparison: clips down, systems across, the best marked, cost and published figures beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from satvsr_plugin.comparison.cost import Cost
from satvsr_plugin.comparison.cost_measures import MAC_SIZE
from satvsr_plugin.comparison.metrics import better, kind, labels, leading_metric, printed
from satvsr_plugin.comparison.published import PublishedColumn
from satvsr_plugin.comparison.results import System

MEAN = 'mean'


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        value: None where there is none.
        text: as it is printed; empty where there is none.
        rank: 1 for the best of the row, 2 for the second best, among our systems; else None.
    """

    value: float | None
    text: str
    rank: int | None = None


EMPTY = Cell(None, '')


@dataclass(frozen=True)
class Row:
    """One row: a cell a metric for every group, ``cells[group][metric]``; the rows ``below`` have one cell a group."""

    label: str
    cells: list[list[Cell]]


@dataclass(frozen=True)
class Group:
    """A column of the table: our system, or a row of a published table.

    Attributes:
        name: of the system; of a published one as the source calls it.
        published: whether the figures are a paper's; they are drawn grey and take no part in the ranking.
        source: of published figures: where they stand; else ''.
    """

    name: str
    published: bool = False
    source: str = ''


@dataclass(frozen=True)
class Table:
    """The whole table.

    Attributes:
        metrics: their labels; the numbers of a group's cell stand in this order, parted by a slash.
        better: for each metric whether ``higher`` or ``lower`` is better.
        groups: the columns.
        clips: a row a clip, its label being the clip's name.
        mean: mean over clips of the clips' means.
        below: rows about the systems, below the mean: gain over the baseline, parameters, operations, time, memory.
        notes: footnotes, in the order in which they are to be read.
    """

    metrics: list[str]
    better: list[Literal['higher', 'lower']]
    groups: list[Group]
    clips: list[Row]
    mean: Row
    below: list[Row]
    notes: list[str]


def build_table(
    systems: Sequence[System],
    costs: Mapping[str, Cost],
    published: Sequence[PublishedColumn] = (),
    notes: Sequence[str] = (),
) -> Table:
    """Put systems that were tested alike side by side.

    Args:
        systems: ours; the first is the baseline.
        costs: of our systems, by name; those without one have empty cells.
        published: columns that stand right of the system that they belong to.
        notes: footnotes to end with.
    """
    base = systems[0].record
    columns = list(_interleave(systems, published))
    clips = list(base.clips)
    ways = [better(metric) for metric in base.metrics.values()]
    rows = [_ranked(Row(clip, [_clip_cells(column, clip, base.metrics) for column in columns]), columns, ways)
            for clip in clips]
    mean = _ranked(Row(MEAN, [_mean_cells(column, clips, base.metrics) for column in columns]), columns, ways)
    groups = [Group(one.name) if isinstance(one, System) else Group(one.system.name, True, one.source.label)
              for one in columns]
    return Table(list(labels(base.metrics).values()), ways, groups, rows, mean,
                 [*_gain_rows(systems, columns), *_cost_rows(columns, costs)],
                 [_metric_note(base.metrics), *_cost_notes(costs), *notes])


_Column = System | PublishedColumn


def _interleave(systems: Sequence[System], published: Sequence[PublishedColumn]) -> Iterator[_Column]:
    for system in systems:
        yield system
        yield from (column for column in published if column.beside == system.name)


def _clip_cells(column: _Column, clip: str, metrics: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
    if isinstance(column, System):
        return [_cell(metric, column.record.clips[clip].mean(name)) for name, metric in metrics.items()]
    return [_cell(metric, column.clip(clip, kind(metric)) if _is_printed(metric) else None)
            for metric in metrics.values()]


def _mean_cells(column: _Column, clips: Sequence[str], metrics: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
    if isinstance(column, System):
        return [_cell(metric, column.record.average(name)) for name, metric in metrics.items()]
    return [_cell(metric, column.mean(clips, kind(metric)) if _is_printed(metric) else None)
            for metric in metrics.values()]


def _is_printed(metric: Mapping[str, Any]) -> bool:
    """Published tables have these two and no other metric."""
    return kind(metric) in ('PSNR', 'SSIM')


def _cell(metric: Mapping[str, Any], value: float | None) -> Cell:
    return EMPTY if value is None else Cell(value, printed(metric, value))


def _ranked(row: Row, columns: Sequence[_Column], ways: Sequence[str]) -> Row:
    """Mark the best and, among three or more, the second best of our systems; what prints alike ranks alike."""
    ours = [number for number, column in enumerate(columns) if isinstance(column, System)]
    cells = [list(group) for group in row.cells]
    for metric, way in enumerate(ways):
        ranked = (cells[group][metric] for group in ours)
        found = {cell.text: cell.value for cell in ranked if cell.value is not None and not math.isnan(cell.value)}
        order = sorted(found, key=found.__getitem__, reverse=way == 'higher')
        ranks = {text: rank for rank, text in enumerate(order[: 2 if len(ours) > 2 else 1], start=1)}
        for group in ours if len(ours) > 1 else []:
            cells[group][metric] = replace(cells[group][metric], rank=ranks.get(cells[group][metric].text))
    return Row(row.label, cells)


def _gain_rows(systems: Sequence[System], columns: Sequence[_Column]) -> Iterator[Row]:
    base = systems[0]
    metric = leading_metric(base.record)
    if len(systems) < 2 or kind(base.record.metrics[metric]) != 'PSNR':
        return
    reference = base.record.average(metric)
    gains = [column.record.average(metric) - reference if isinstance(column, System) and column is not base else None
             for column in columns]
    yield Row(f'gain over {base.name} (dB)', [[EMPTY if gain is None else Cell(gain, f'{gain:+.2f}')]
                                              for gain in gains])


def _cost_rows(columns: Sequence[_Column], costs: Mapping[str, Cost]) -> Iterator[Row]:
    """Rows that are empty throughout are left out."""
    found = [costs.get(column.name) if isinstance(column, System) else None for column in columns]
    printed_costs = [column.system if isinstance(column, PublishedColumn) else None for column in columns]
    rows: list[tuple[str, Callable[[Cost], float | None], str, str]] = [
        ('parameters (M)', lambda cost: cost.parameters / 1e6, 'parameters', '.2f'),
        ('multiply-accumulates (G)', lambda cost: _scaled(cost.macs, 1e9), 'macs', '.4g'),
        ('time a frame (ms)', lambda cost: cost.milliseconds, '', '.3g'),
        ('peak memory (MB)', lambda cost: _scaled(cost.peak_memory, 1e6), '', '.0f'),
    ]
    for label, value_of, field, digits in rows:
        values = [value_of(cost) if cost else None for cost in found]
        cells = [Cell(value, _digits(value, digits)) if value is not None else
                 _printed_cost(getattr(paper, field)) if paper and field else EMPTY
                 for value, paper in zip(values, printed_costs, strict=True)]
        if any(value is not None for value in values):
            yield Row(label, [[cell] for cell in cells])


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _digits(value: float, digits: str) -> str:
    """So many significant digits, but all those before the point."""
    return f'{value:.0f}' if digits.endswith('g') and value >= 1000 else format(value, digits)


def _printed_cost(value: float | None) -> Cell:
    return EMPTY if value is None else Cell(value, f'{value:g}')


def _metric_note(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    names = labels(metrics)
    described = []
    for name, metric in metrics.items():
        arguments = ', '.join(f'{key} {value}' for key, value in metric.items()
                              if key not in ('type', 'better') and value is not None)
        described.append(f'{names[name]}: {metric["type"]}' + (f' ({arguments})' if arguments else ''))
    return f'{"; ".join(described)}. Mean over the frames of a clip, then over clips.'


def _cost_notes(costs: Mapping[str, Cost]) -> Iterator[str]:
    with_flow = [f'{name} {cost.flow_parameters / 1e6:.2f} M' for name, cost in costs.items() if cost.flow_parameters]
    frozen = [f'{name} {(cost.parameters - cost.trainable) / 1e6:.2f} M' for name, cost in costs.items()
              if cost.trainable < cost.parameters]
    if with_flow:
        yield f'Parameters include a flow network (SPyNet): {", ".join(with_flow)}.'
    if frozen:
        yield f'Parameters that training leaves as they are: {", ".join(frozen)}.'
    if any(cost.macs is not None for cost in costs.values()):
        yield (f'Multiply-accumulates a result frame for LR frames of {MAC_SIZE}x{MAC_SIZE}, deformable convolutions '
               'included, interpolation not; networks that see clips: of 15 frames, divided by 15.')
    measured = [cost for cost in costs.values() if cost.milliseconds is not None]
    for size, machine in dict.fromkeys((cost.lq_size, cost.machine) for cost in measured):
        names = [name for name, cost in costs.items() if (cost.lq_size, cost.machine) == (size, machine)]
        of = '' if len(names) == len(measured) else f' of {", ".join(names)}'
        yield (f'Time and peak memory{of}: float32, LR frames of {size[1]}x{size[0]}, on {machine}; other work on the '
               'machine makes times longer.')
