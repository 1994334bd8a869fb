"""The table for the terminal: aligned columns, the best marked with *, the second best with +."""

from __future__ import annotations

from collections.abc import Sequence

from satvsr_plugin.comparison.significance import Significance
from satvsr_plugin.comparison.table import Cell, Row, Table

_MARKS = {None: ' ', 1: '*', 2: '+'}
_GAP = '  '


def to_text(table: Table) -> str:
    """All rows under a heading of names, metrics and, of published figures, where they stand."""
    rows = [*table.clips, table.mean]
    ranks = {cell.rank for row in rows for group in row.cells for cell in group}
    marked = ranks != {None}
    heads = [['', 'clip'], *([group.name, f'[{group.source}]' if group.published else '/'.join(table.metrics)]
                             for group in table.groups)]
    columns = [[*heads[0], *(row.label for row in rows), *(row.label for row in table.below)]]
    for number, head in enumerate(heads[1:]):
        columns.append([*head, *(_scores(row, number, marked) for row in rows),
                        *(_single(row, number, marked) for row in table.below)])
    widths = [max(map(len, column)) for column in columns]
    lines = [_GAP.join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                    zip(line[1:], widths[1:], strict=True))]).rstrip()
             for line in zip(*columns, strict=True)]
    rule = '-' * max(map(len, lines))
    ends = [2, 2 + len(table.clips), 3 + len(table.clips)]  # of the heading, the clips, the mean
    parts = [lines[start:end] for start, end in zip([0, *ends], [*ends, len(lines)], strict=True)]
    legend = ['* best, + second best' if 2 in ranks else '* best'] if marked else []
    return '\n'.join([*_ruled([part for part in parts if part], rule), *legend])


def significance_text(found: Significance) -> str:
    """A line a system: by how much it is behind the best, the interval, the share of clips won."""
    lines = [f'{found.metric} against the best, {found.best}:']
    names = max((len(one.system) for one in found.differences), default=0)
    for one in found.differences:
        interval = '' if one.low is None else f'  [{one.low:+.3f}, {one.high:+.3f}]'
        lines.append(f'  {one.system:<{names}}  {one.mean:+.3f}{interval}  better in {one.won:.0%} of the clips')
    return '\n'.join(lines)


def _ruled(parts: Sequence[Sequence[str]], rule: str) -> list[str]:
    lines = list(parts[0])
    for part in parts[1:]:
        lines += [rule, *part]
    return lines


def _scores(row: Row, group: int, marked: bool) -> str:
    texts = [_marked(cell, marked) for cell in row.cells[group]]
    return '/'.join(texts) if any(cell.text for cell in row.cells[group]) else ''


def _marked(cell: Cell, marked: bool) -> str:
    return cell.text + (_MARKS[cell.rank] if marked else '')


def _single(row: Row, group: int, marked: bool) -> str:
    text = row.cells[group][0].text
    return text + ' ' if text and marked else text
