"""The comparison for programs: scores as CSV, and everything as JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from satvsr_plugin.comparison.cost import Cost
from satvsr_plugin.comparison.results import System
from satvsr_plugin.comparison.significance import Significance
from satvsr_plugin.comparison.table import Row, Table

CSV_COLUMNS = ('row', 'clip', 'system', 'published', 'metric', 'value')


def to_csv(table: Table) -> str:
    """A line a number, with six digits: ``row`` is ``clip``, ``mean`` or the label of a row about the systems.

    ``published`` is the source of published figures; empty for ours.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(CSV_COLUMNS)
    for row in table.clips:
        writer.writerows(_lines(table, row, 'clip', row.label, table.metrics))
    writer.writerows(_lines(table, table.mean, 'mean', '', table.metrics))
    for row in table.below:
        writer.writerows(_lines(table, row, row.label, '', ['']))
    return text.getvalue()


def _lines(table: Table, row: Row, kind: str, clip: str, metrics: Sequence[str]) -> Iterator[list[str]]:
    for group, cells in zip(table.groups, row.cells, strict=True):
        for metric, cell in zip(metrics, cells, strict=True):
            if cell.value is not None:
                yield [kind, clip, group.name, group.source, metric, f'{cell.value:.6f}']


def to_json(
    systems: Sequence[System], table: Table, costs: Mapping[str, Cost], significance: Significance | None,
    notes: Sequence[str],
) -> str:
    """Everything, the score of every frame and the checksums of frames included.

    Numbers that are not finite, which JSON does not have, are the texts ``Infinity``, ``-Infinity`` and ``NaN``.
    """
    first = systems[0].record
    content = {
        'dataset': first.dataset.name,
        'systems': [{'name': system.name, 'folder': str(system.folder.resolve()),
                     'average': {metric: system.record.average(metric) for metric in first.metrics},
                     'cost': dataclasses.asdict(costs[system.name]) if system.name in costs else None,
                     'record': system.record.model_dump()} for system in systems],
        'table': dataclasses.asdict(table),
        'significance': None if significance is None else dataclasses.asdict(significance),
        'notes': list(notes),
    }
    return json.dumps(_finite(content), indent=1, allow_nan=False, ensure_ascii=False) + '\n'


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return 'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
