"""The table for the terminal: aligned columns, the best marked with *, the second best with +."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from satvsr_plugin.comparison.significance import Significance
from satvsr_plugin.comparison.table import Cell, Row, Table

_MARKS = {None: ' ', 1: '*', 2: '+'}
_GAP = '  '


def to_text(table: Table, width: int | None = None) -> str:
    """All rows under a heading of names, metrics and, of published figures, where they stand.

    Args:
        table: of all systems.
        width: of the terminal, in characters: columns that do not fit follow below; None for one block.
    """
    rows = [*table.clips, table.mean]
    ranks = {cell.rank for row in rows for group in row.cells for cell in group}
    marked = ranks != {None}
    labels = ['', 'clip', *(row.label for row in [*rows, *table.below])]
    columns = []
    for number, group in enumerate(table.groups):
        head = [group.name, f'[{group.source}]' if group.published else '/'.join(table.metrics)]
        columns.append([*head, *(_scores(row, number, marked) for row in rows),
                        *(_single(row, number, marked) for row in table.below)])
    blocks = [_block(labels, part, len(table.clips)) for part in _fitting(labels, columns, width)]
    legend = ['* best, + second best' if 2 in ranks else '* best'] if marked else []
    return '\n'.join(['\n\n'.join(blocks), *legend])


def significance_text(found: Significance) -> str:
    """A line a system: by how much it is behind the best, the interval, the share of clips won."""
    lines = [f'{found.metric} against the best, {found.best}:']
    names = max((len(one.system) for one in found.differences), default=0)
    for one in found.differences:
        interval = '' if one.low is None else f'  [{one.low:+.3f}, {one.high:+.3f}]'
        lines.append(f'  {one.system:<{names}}  {one.mean:+.3f}{interval}  better in {one.won:.0%} of the clips')
    return '\n'.join(lines)


def _fitting(labels: Sequence[str], columns: Sequence[list[str]], width: int | None) -> Iterator[list[list[str]]]:
    """As many columns at a time as fit beside the labels, one at least."""
    part: list[list[str]] = []
    used = 0
    for column in columns:
        needed = len(_GAP) + max(map(len, column))
        if part and width is not None and max(map(len, labels)) + used + needed > width:
            yield part
            part, used = [], 0
        part.append(column)
        used += needed
    yield part


def _block(labels: Sequence[str], columns: Sequence[list[str]], clips: int) -> str:
    """Lines, with rules below the heading, the clips and the mean."""
    widths = [max(map(len, column)) for column in columns]
    lines = [_GAP.join([label.ljust(max(map(len, labels))),
                        *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))]).rstrip()
             for label, *cells in zip(labels, *columns, strict=True)]
    rule = '-' * max(map(len, lines))
    for place in (3 + clips, 2 + clips, 2):  # from below, so that the places above stay what they are
        if place < len(lines):
            lines.insert(place, rule)
    return '\n'.join(lines)


def _scores(row: Row, group: int, marked: bool) -> str:
    texts = [_marked(cell, marked) for cell in row.cells[group]]
    return '/'.join(texts) if any(cell.text for cell in row.cells[group]) else ''


def _marked(cell: Cell, marked: bool) -> str:
    return cell.text + (_MARKS[cell.rank] if marked else '')


def _single(row: Row, group: int, marked: bool) -> str:
    text = row.cells[group][0].text
    return text + ' ' if text and marked else text
