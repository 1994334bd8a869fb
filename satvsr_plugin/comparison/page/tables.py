"""The scores and the differences as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from satvsr_plugin.comparison.figures.palette import Style
    from satvsr_plugin.comparison.significance import Difference, Significance
    from satvsr_plugin.comparison.table import Cell, Group, Row, Table

_RANKS = {1: ' class="best"', 2: ' class="second"', None: ''}


def score_table(table: Table, look: Mapping[str, Style]) -> str:
    """The table: a column a metric and system, a row a clip, then the mean and the rows below it.

    Headers are buttons: those of columns sort the clips, those of rows sort the systems.
    """
    metrics = len(table.metrics)
    names = ''.join(_name(group, number, metrics, look) for number, group in enumerate(table.groups))
    columns = ''.join(
        f'<th scope="col" data-group="{number}" data-better="{better}"{_grey(group)}>'
        f'<button type="button" class="sort">{escape(metric)}</button></th>'
        for number, group in enumerate(table.groups)
        for metric, better in zip(table.metrics, table.better, strict=True)
    )
    head = (f'<tr><th rowspan="2" scope="col" class="corner"><button type="button" class="sort">clip</button></th>'
            f'{names}</tr><tr>{columns}</tr>')
    clips = ''.join(_row(row, table, 'clip') for row in table.clips)
    foot = _row(table.mean, table, 'mean') + ''.join(_row(row, table, 'below') for row in table.below)
    return f'<table id="scores"><thead>{head}</thead><tbody>{clips}</tbody><tfoot>{foot}</tfoot></table>'


def _name(group: Group, number: int, metrics: int, look: Mapping[str, Style]) -> str:
    style = look.get(group.name) if not group.published else None
    chip = f'<span class="chip" style="background:{style.colour}"></span>' if style else ''
    source = f'<small>{escape(group.source)}</small>' if group.source else ''
    return (f'<th scope="colgroup" colspan="{metrics}" data-group="{number}"{_grey(group)}>'
            f'{chip}{escape(group.name)}{source}</th>')


def _row(row: Row, table: Table, kind: str) -> str:
    metrics = len(table.metrics)
    cells = ''
    for number, (group, found) in enumerate(zip(table.groups, row.cells, strict=True)):
        span = f' colspan="{metrics}"' if len(found) < metrics else ''
        cells += ''.join(
            f'<td data-group="{number}"{_grey(group)}{span}{_value(cell)}><span{_RANKS[cell.rank]}>'
            f'{escape(cell.text) or "–"}</span></td>' for cell in found)
    better = 'lower' if kind == 'below' else table.better[0]
    return (f'<tr class="{kind}"><th scope="row" data-better="{better}">'
            f'<button type="button" class="sort">{escape(row.label)}</button></th>{cells}</tr>')


def _value(cell: Cell) -> str:
    return '' if cell.value is None else f' data-value="{cell.value!r}"'


def _grey(group: Group) -> str:
    return ' class="published"' if group.published else ''


def difference_table(found: Significance) -> str:
    """What every other system lacks to the best one."""
    rows = ''.join(_difference(difference, found.metric) for difference in found.differences)
    return ('<table id="differences"><thead><tr><th scope="col">system</th>'
            f'<th scope="col">{escape(found.metric)} minus that of {escape(found.best)}</th>'
            f'<th scope="col">95 % interval</th><th scope="col">better in</th></tr></thead>'
            f'<tbody>{rows}</tbody></table>')


def _difference(difference: Difference, metric: str) -> str:
    interval = '–'
    if difference.low is not None and difference.high is not None:
        interval = f'{_signed(difference.low, metric)} … {_signed(difference.high, metric)}'
    return (f'<tr><th scope="row">{escape(difference.system)}</th><td>{_signed(difference.mean, metric)}</td>'
            f'<td>{interval}</td><td>{difference.won:.0%} of the clips</td></tr>')


def _signed(value: float, metric: str) -> str:
    """With a real minus sign; decibels with two digits, similarities with four."""
    text = f'{value:+.2f} dB' if 'psnr' in metric.lower() else f'{value:+.4f}'
    return text.replace('-', '\N{MINUS SIGN}')
