"""The scores of several systems as one table: aligned text, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from satvsr_plugin.comparison.results import SystemScores
from satvsr_plugin.metrics.score_table import AVERAGE


@dataclass(frozen=True)
class Column:
    """One column of numbers; the values are those of the clips and, last, of their average."""

    label: str
    values: list[float]
    format: str

    def cells(self) -> list[str]:
        return [format(value, self.format) for value in self.values]


@dataclass(frozen=True)
class Table:
    """A row a clip and one for the average, with a group of columns a system."""

    clips: list[str]
    frames: list[int]
    systems: dict[str, list[Column]]

    def leading(self) -> list[list[str]]:
        """What stands before the scores: the column of clips and that of their numbers of frames, with titles."""
        return [['clip', *self.clips, AVERAGE], ['frames', *map(str, self.frames), str(sum(self.frames))]]

    def columns(self) -> list[tuple[str, Column]]:
        """All columns with their full titles, from left to right."""
        return [(f'{name} {column.label}', column) for name, columns in self.systems.items() for column in columns]


def build_table(systems: Sequence[SystemScores]) -> Table:
    """Put systems that were tested on the same clips side by side; the first is the baseline.

    The baseline's metrics make the columns. The first of them is followed by the gain over the baseline.
    """
    baseline = systems[0]
    groups = {system.name: _columns(system, baseline) for system in systems}
    return Table(list(baseline.clips), list(baseline.frames.values()), groups)


def _columns(system: SystemScores, baseline: SystemScores) -> list[Column]:
    columns = []
    for metric in baseline.metrics:
        values, base = _values(system, metric), _values(baseline, metric)
        # as papers print them: similarities, never above 1, with four digits, decibels with two
        digits = '.4f' if all(abs(value) <= 1 for value in base) else '.2f'
        columns.append(Column(metric, values, digits))
        if system is not baseline and metric == baseline.metrics[0]:
            gains = [value - reference for value, reference in zip(values, base, strict=True)]
            columns.append(Column('gain', gains, f'+{digits}'))
    return columns


def _values(system: SystemScores, metric: str) -> list[float]:
    return [*(scores[metric] for scores in system.clips.values()), system.average[metric]]


def to_text(table: Table) -> str:
    """Aligned columns for the terminal, each system's name above its columns."""
    clips, frames = table.leading()
    blocks = [_block('', [clips], str.ljust), _block('', [frames], str.rjust)]
    for name, columns in table.systems.items():
        blocks.append(_block(name, [[column.label, *column.cells()] for column in columns], str.rjust))
    return '\n'.join('   '.join(line).rstrip() for line in zip(*blocks, strict=True))


def _block(name: str, columns: list[list[str]], justify: Callable[[str, int], str]) -> list[str]:
    """Lines of equal width: the name, then the columns side by side."""
    padded = [[justify(cell, max(map(len, column))) for cell in column] for column in columns]
    lines = ['  '.join(cells) for cells in zip(*padded, strict=True)]
    width = max(len(name), len(lines[0]))
    return [name.ljust(width), *(line.rjust(width) for line in lines)]


def to_markdown(table: Table) -> str:
    """A Markdown table."""
    columns = [*table.leading(), *([title, *column.cells()] for title, column in table.columns())]
    titles, *rows = zip(*columns, strict=True)
    lines = [titles, ['---', *('--:' for _ in titles[1:])], *rows]
    return '\n'.join('| ' + ' | '.join(cell.replace('|', '\\|') for cell in line) + ' |' for line in lines) + '\n'


def to_csv(table: Table) -> str:
    """The table with six digits, for further computing."""
    numbers = ([title, *(f'{value:.6f}' for value in column.values)] for title, column in table.columns())
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(zip(*table.leading(), *numbers, strict=True))
    return text.getvalue()
