"""The tables of ``scripts/benchmark_training.py``, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from satvsr_plugin.benchmarks.largest_batch import Largest
from satvsr_plugin.benchmarks.training import Row
from satvsr_plugin.benchmarks.training_data import Waiting

NONE = '–'
_OF_TEXT = ('network', 'LR', 'recipe', 'how it was found')  # columns that stand on the left


def speed_tables(rows: Sequence[Row]) -> list[str]:
    """One table for every network and size of patches."""
    tables = []
    for (network, patch), group in groupby(rows, lambda row: (row.network, row.patch)):
        tables.append(_table(
            f'Training steps: {network}, LR {patch}x{patch}',
            ('recipe', 'batch', 'samples/s', 'times plain', 'ms a step', 'TFLOP/s', 'of the ceiling', 'GiB',
             'host share', 'rounds'),
            ([row.recipe, str(row.batch), *_figures(row)] for row in group)))
    return tables


def _figures(row: Row) -> list[str]:
    if row.reason is not None:
        return [_escaped(row.reason)] + [NONE] * 7
    return [_number(row.samples_s, '{:,.4g}'), _number(row.times_plain, '{:.2f}'), _number(row.step_ms, '{:,.4g}'),
            _number(row.tflops, '{:,.3g}'), _number(row.ceiling_share, '{:.0%}'), _number(row.peak_gib, '{:.2f}'),
            _number(row.host_share, '{:.0%}'), str(row.rounds)]


def largest_table(found: Sequence[Largest]) -> str:
    """The largest batches."""
    return _table('Largest batch that fits', ('network', 'LR', 'recipe', 'batch', 'does not fit', 'how it was found'),
                  ([one.network, f'{one.patch}x{one.patch}', one.recipe, _number(one.batch, '{:,}'),
                    _number(one.too_large, '{:,}'), _how(one)] for one in found))


def _how(one: Largest) -> str:
    return ('worked out: ' if one.estimated and one.batch else 'tried: ' if one.batch else '') + _escaped(one.reason)


def waiting_table(found: Sequence[Waiting]) -> str:
    """Shares of waiting."""
    return _table('Waiting for data: drawn clips in raw LMDBs, the toolbox\'s loader and prefetcher',
                  ('network', 'LR', 'recipe', 'batch', 'workers', 'waiting', 'samples/s'),
                  ([one.network, f'{one.patch}x{one.patch}', one.recipe, str(one.batch), str(one.workers),
                    _escaped(one.reason) if one.reason else _number(one.share, '{:.1%}'),
                    _number(one.samples_s, '{:,.4g}')] for one in found))


def _table(title: str, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = '|'.join('---' if column in _OF_TEXT else '---:' for column in columns)
    return '\n'.join([f'### {title}', '', f'| {" | ".join(columns)} |', f'|{head}|',
                      *(f'| {" | ".join(line)} |' for line in lines)])


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)


def _escaped(text: str) -> str:
    return text.replace('|', '\\|')
