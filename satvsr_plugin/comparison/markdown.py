"""The comparison as a Markdown page: best bold, second best underlined, published figures in italics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from satvsr_plugin.comparison.significance import Significance
from satvsr_plugin.comparison.table import Cell, Row, Table


def to_markdown(
    dataset: str, table: Table, significance: Significance | None, notes: Sequence[str], pictures: Sequence[str]
) -> str:
    """The whole page.

    Args:
        dataset: name of the data set.
        table: of all systems.
        significance: None for a single system.
        notes: remarks that are not the table's own.
        pictures: file names of figures beside the page.
    """
    parts = [f'# Comparison on {_escape(dataset)}', _score_table(table), _bullets(table.notes)]
    if significance is not None:
        parts += [f'## {_escape(significance.metric)} against the best, {_escape(significance.best)}',
                  _difference_table(significance), _bullets(significance.notes)]
    if notes:
        parts += ['## Notes', _bullets(notes)]
    parts += [f'![{_escape(name)}]({name})' for name in pictures]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _score_table(table: Table) -> str:
    names = [f'*{_escape(group.name)}, published ({_escape(group.source)})*' if group.published else _escape(group.name)
             for group in table.groups]
    rows = [[f'{"/".join(map(_escape, table.metrics))} of clip', *names]]
    rows += [[_escape(row.label), *_scores(row, table)] for row in [*table.clips, table.mean]]
    rows += [[_escape(row.label), *(_styled(cells[0], group.published) for cells, group in
                                    zip(row.cells, table.groups, strict=True))] for row in table.below]
    return _table(rows)


def _scores(row: Row, table: Table) -> list[str]:
    return ['/'.join(_styled(cell, group.published) for cell in cells) if any(cell.text for cell in cells) else ''
            for cells, group in zip(row.cells, table.groups, strict=True)]


def _styled(cell: Cell, published: bool) -> str:
    if published and cell.text:
        return f'*{cell.text}*'
    return {None: cell.text, 1: f'**{cell.text}**', 2: f'<u>{cell.text}</u>'}[cell.rank]


def _difference_table(found: Significance) -> str:
    rows = [['system', 'mean difference', '95 % interval', 'better in']]
    for one in found.differences:
        interval = '' if one.low is None else f'{one.low:+.3f} to {one.high:+.3f}'
        rows.append([_escape(one.system), f'{one.mean:+.3f}', interval, f'{one.won:.0%} of the clips'])
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ['---', *('--:' for _ in rows[0][1:])], *rows[1:]]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _bullets(lines: Sequence[str]) -> str:
    return '\n'.join(f'- {_escape(line)}' for line in lines)


def _escape(text: str) -> str:
    """Names and messages as they are, whatever signs they hold."""
    return re.sub(r'([\\`*_\[\]|#])', r'\\\1', escape(text, quote=False)).replace('\n', ' ')
