r"""The table for a paper in LaTeX: booktabs, best bold, second best underlined, published figures grey."""

from __future__ import annotations

import re

from satvsr_plugin.comparison.table import Cell, Row, Table

_SPECIAL = {
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '<': r'\textless{}',
    '>': r'\textgreater{}', '|': r'\textbar{}', '"': r'\textquotedbl{}', '\n': ' ', '−': '$-$',
    **{sign: f'\\{sign}' for sign in '&%$#_{}'},
}  # fmt: skip


def to_latex(dataset: str, table: Table) -> str:
    """A ``table`` environment with notes below; its first lines say which packages it needs."""
    names = [_grey(escape(f'{group.name}, {group.source}'), True) if group.published else escape(group.name)
             for group in table.groups]
    lines = [
        r'% \usepackage[T1]{fontenc}, \usepackage{booktabs}, \usepackage{xcolor}',
        r'\begin{table}[t]',
        r'\centering',
        rf'\caption{{{escape("/".join(table.metrics))} on {escape(dataset)}.}}',
        rf'\begin{{tabular}}{{l{"c" * len(table.groups)}}}',
        r'\toprule',
        _line('Clip', names),
        r'\midrule',
        *(_line(escape(row.label), _scores(row, table)) for row in table.clips),
        r'\midrule',
        _line(escape(table.mean.label), _scores(table.mean, table)),
        *([r'\midrule'] if table.below else []),
        *(_line(escape(row.label), [_styled(cells[0], group.published) for cells, group in
                                    zip(row.cells, table.groups, strict=True)]) for row in table.below),
        r'\bottomrule',
        r'\end{tabular}',
        *(rf'\par\footnotesize {escape(note)}' for note in table.notes),
        r'\end{table}',
    ]
    return '\n'.join(lines) + '\n'


def escape(text: str) -> str:
    """Any text as LaTeX prints it literally."""
    return re.sub('|'.join(map(re.escape, _SPECIAL)), lambda sign: _SPECIAL[sign[0]], text)


def _line(label: str, cells: list[str]) -> str:
    return ' & '.join([label, *cells]) + r' \\'


def _scores(row: Row, table: Table) -> list[str]:
    return ['/'.join(_styled(cell, group.published) for cell in cells) if any(cell.text for cell in cells) else ''
            for cells, group in zip(row.cells, table.groups, strict=True)]


def _styled(cell: Cell, published: bool) -> str:
    text = escape(cell.text)
    if published:
        return _grey(text, bool(text))
    return {None: text, 1: rf'\textbf{{{text}}}', 2: rf'\underline{{{text}}}'}[cell.rank]


def _grey(text: str, grey: bool) -> str:
    return rf'\textcolor{{gray}}{{{text}}}' if grey else text
