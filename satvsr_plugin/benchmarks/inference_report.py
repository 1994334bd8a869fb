"""What ``benchmark_inference.py`` found, as Markdown and as JSON with the same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from satvsr_plugin.benchmarks.ceilings import Ceilings
from satvsr_plugin.benchmarks.inference import Row, SpeedTable
from satvsr_plugin.benchmarks.quality import Quality
from satvsr_plugin.benchmarks.scaling import Growth
from satvsr_plugin.benchmarks.where import KINDS, Shares

_SPEED = ('ms a frame', 'frames/s', 'times plain', 'GFLOP/s', 'of the matrix product', 'of the ceiling', 'memory, MiB',
          'largest difference', 'PSNR to plain, dB')
_EXPLAINED = """\
Plain is float32 in torch's own operators, contiguous, without TF32. A frame is a result frame; moving frames to the
device and back is not counted. Two FLOP are one multiply-accumulate of a convolution or matrix product. Shares are of
the ceilings of the row's type; "the ceiling" is the higher of the two. Memory is what a call takes at its peak over
what is held before it; with CUDA graphs, what they keep for it. The largest difference from plain is in standard
deviations of plain's result; PSNR to plain is for a peak of that result's range."""


@dataclass
class Report:
    """All results, filled as they come.

    Attributes:
        machine: facts by name.
        ceilings: None until they are measured.
        speed: one table for each network and size.
        quality: of a network and size (in words), its variants.
        where: likewise, the plain and the fastest variant.
        growth: with ``--scaling``.
        skipped: what was not measured, and why.
    """

    machine: dict[str, str]
    ceilings: Ceilings | None = None
    speed: list[SpeedTable] = field(default_factory=list)
    quality: dict[str, list[Quality]] = field(default_factory=dict)
    where: dict[str, list[Shares]] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """As Markdown."""
        parts = ['\n'.join(f'- {name}: {value}' for name, value in self.machine.items())]
        if self.ceilings:
            parts.append(str(self.ceilings))
        if self.speed:
            parts.append(_EXPLAINED)
        parts += map(_speed_table, self.speed)
        parts += [_quality_table(what, rows) for what, rows in self.quality.items()]
        parts += [_where_table(what, rows) for what, rows in self.where.items()]
        parts += map(_growth_table, self.growth)
        if self.skipped:
            parts.append('\n'.join(['### Not measured', '',
                                    *(f'- {what}' for what in self.skipped)]))
        return '\n\n'.join(parts)

    def to_json(self) -> str:
        """The same numbers; those that were not measured are null."""
        content: dict[str, Any] = {
            'machine': self.machine,
            'ceilings': self.ceilings and self.ceilings._asdict(),
            'speed': [{**table._asdict(), 'rows': _as_dicts(table.rows)} for table in self.speed],
            'quality': {what: _as_dicts(rows) for what, rows in self.quality.items()},
            'where': {what: _as_dicts(rows) for what, rows in self.where.items()},
            'growth': [{**growth._asdict(), 'steps': _as_dicts(growth.steps), 'exponent': growth.exponent,
                        'memory_growth': growth.memory_growth} for growth in self.growth],
            'skipped': self.skipped,
        }
        finite = json.loads(json.dumps(content), parse_constant=lambda _: None)  # JSON knows no infinity
        return json.dumps(finite, indent=2) + '\n'


def _as_dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]


def _table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    columns = list(columns)
    lines = [f'### {title}', '', '| ' + ' | '.join(['', *columns]) + ' |', '|---|' + '---:|' * len(columns)]
    return '\n'.join(lines + ['| ' + ' | '.join(row) + ' |' for row in rows])


def _speed_table(table: SpeedTable) -> str:
    gflop = 2 * table.macs_a_pixel * table.size**2 / 1e9
    title = (f'{table.network}, LR {table.size}x{table.size} ({table.macs_a_pixel / 1e6:.2f} M multiply-accumulates '
             f'an LR pixel, {gflop:,.1f} GFLOP a frame)')
    return _table(title, _SPEED, [[row.variant, *_cells(row)] for row in table.rows])


def _cells(row: Row) -> list[str]:
    if row.note:
        return [f'not measured: {row.note.replace("|", "/")}'] + [''] * (len(_SPEED) - 1)
    return [_number(row.milliseconds), _number(row.frames_a_second), _fixed(row.times_plain, 2), _number(row.gflops),
            _percent(row.share_of_matmul), _percent(row.share_of_best),
            _fixed(None if row.peak_memory is None else row.peak_memory / 2**20, 1),
            '' if row.difference is None else f'{row.difference:.1e}' if row.difference else '0',
            'the same' if row.difference == 0 else _fixed(row.psnr, 1)]


def _quality_table(what: str, rows: list[Quality]) -> str:
    return _table(f'Quality: {what}', ('PSNR against GT (8 bit, Y), dB', 'from plain, dB'),
                  [[row.variant, f'{row.psnr:.3f}', f'{round(row.from_plain, 4) + 0.0:+.4f}'] for row in rows])


def _where_table(what: str, rows: list[Shares]) -> str:
    return _table(f'Where the time goes: {what}', (*KINDS, 'ms in all'),
                  [[row.variant, *(_percent(row.shares[kind]) for kind in KINDS), _number(row.milliseconds)]
                   for row in rows])


def _growth_table(growth: Growth) -> str:
    lines = [_table(growth.title, ('ms', f'ms for each {growth.per}', 'memory, MiB'), [
        [f'{growth.unit} {step.amount}', _number(step.milliseconds), f'{step.each:.4g}',
         _fixed(step.peak_memory / 2**20, 1)] for step in growth.steps])]
    if growth.exponent is not None:
        memory = '' if growth.memory_growth is None else (
            f'; the last takes {growth.memory_growth:.2f} times the memory of the first')
        lines.append(f'Time grows with the power {growth.exponent:.2f} of the number of {growth.per}s{memory}.')
    if growth.note:
        lines.append(f'No more were measured: {growth.note}')
    return '\n\n'.join(lines)


def _number(value: float | None) -> str:
    """Three digits or more."""
    return '' if value is None else f'{value:,.0f}' if value >= 1000 else f'{value:.3g}' if value < 100 \
        else f'{value:.1f}'


def _fixed(value: float | None, digits: int) -> str:
    return '' if value is None else f'{value:,.{digits}f}'


def _percent(value: float | None) -> str:
    return '' if value is None else f'{100 * value:.1f} %'
