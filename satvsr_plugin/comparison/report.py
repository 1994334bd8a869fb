"""The whole comparison: tests what has to be tested, reads results, and writes tables, figures and the page."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from satvsr_plugin.comparison.cost import Cost, measure_costs
from satvsr_plugin.comparison.data_files import to_csv, to_json
from satvsr_plugin.comparison.figures import FigureChoice, write_figures
from satvsr_plugin.comparison.latex import to_latex
from satvsr_plugin.comparison.markdown import to_markdown
from satvsr_plugin.comparison.naming import check_names
from satvsr_plugin.comparison.page import write_page
from satvsr_plugin.comparison.plain_text import significance_text, to_text
from satvsr_plugin.comparison.published import Mode, choose_published
from satvsr_plugin.comparison.results import System, read_systems
from satvsr_plugin.comparison.significance import Significance, significance
from satvsr_plugin.comparison.table import Table, build_table
from satvsr_plugin.comparison.testing import result_folders
from satvsr_plugin.errors import DataError, OptionError


@dataclass(frozen=True)
class Choices:
    """What a comparison is made of.

    Attributes:
        names: how to call the systems; by default their networks' short names decide.
        dataset: which data set's results; may be left out where the systems have exactly one in common.
        overrides: ``--force_yml`` entries for option files.
        published: whether to show published figures, see :func:`~.published.choose_published`.
        cost: whether to show, and where it is not known measure, what the systems cost.
        remeasure: measure the cost again where it is known.
        figures: which frame and crop the figures show.
        report_frames: frames of every clip on the page.
    """

    names: Sequence[str] | None = None
    dataset: str | None = None
    overrides: Sequence[str] = ()
    published: Mode = 'auto'
    cost: bool = True
    remeasure: bool = False
    figures: FigureChoice = field(default_factory=FigureChoice)
    report_frames: int = 3


@dataclass(frozen=True)
class Comparison:
    """What a comparison gave: aligned text for the terminal, remarks for the user, the files written."""

    text: str
    notes: list[str]
    files: list[Path]


def compare(
    inputs: Sequence[Path], output: Path, choices: Choices = Choices(), progress: Callable[[str], None] = print
) -> Comparison:
    """Compare systems, and write the comparison into a folder.

    Args:
        inputs: result folders of ``basicsr test``, or option files to test; the first is the baseline.
        output: gets ``comparison.md``, ``.csv``, ``.tex`` and ``.json``, the figures and ``report.html``.
        choices: what to compare and show.
        progress: told what takes time, a line at a time.

    Raises:
        OptionError: option files, names, data set or crop do not fit.
        DataError: results or pictures are missing, damaged or not of the same test. Nothing is written to ``output``
            then.
    """
    _check_early(inputs, output, choices)
    folders, notes = result_folders(inputs, choices.overrides, choices.dataset, progress)
    systems = read_systems(folders, choices.names, choices.dataset)
    costs, cost_notes = measure_costs(systems, remeasure=choices.remeasure, progress=progress) if choices.cost \
        else ({}, [])
    columns, published_notes = choose_published(systems, choices.published)
    table = build_table(systems, costs, columns, published_notes)
    tested = significance(systems)
    with _staging(output) as stage:
        notes += [*cost_notes, *_write(Path(stage), systems, table, tested, costs, [*notes, *cost_notes], choices)]
        files = _publish(Path(stage), output)
    width = shutil.get_terminal_size((120, 24)).columns
    text = '\n\n'.join([to_text(table, width), *([significance_text(tested)] if tested else [])])
    return Comparison(text, [*table.notes, *(tested.notes if tested else []), *notes], files)


def _check_early(inputs: Sequence[Path], output: Path, choices: Choices) -> None:
    """Tests may take hours: what is wrong without them is told before."""
    if choices.names is not None:
        check_names(choices.names, len(inputs))
    if choices.report_frames < 1:
        raise OptionError(f'--report-frames {choices.report_frames}: give at least 1')
    if output.exists() and not output.is_dir():
        raise DataError(f'{output}: cannot write: there is a file of this name; choose another folder by --output')


def _write(stage: Path, systems: Sequence[System], table: Table, tested: Significance | None,
           costs: Mapping[str, Cost], notes: Sequence[str], choices: Choices) -> list[str]:
    """Write all files into a folder; returns what figures and page have to say."""
    dataset = systems[0].record.dataset.name
    figures = write_figures(systems, costs, stage, choices.figures)
    page = write_page(systems, table, tested, figures, stage, choices.report_frames)
    remarks = [*notes, *figures.notes, *page.notes]
    texts = {
        'comparison.md': to_markdown(dataset, table, tested, remarks, [path.name for path in figures.files]),
        'comparison.csv': to_csv(table),
        'comparison.tex': to_latex(dataset, table),
        'comparison.json': to_json(systems, table, costs, tested, remarks),
    }
    for name, text in texts.items():
        (stage / name).write_text(text, encoding='utf-8')
    return [*figures.notes, *page.notes]


def _staging(output: Path) -> tempfile.TemporaryDirectory:
    """A folder on the disk of ``output`` where everything is written first."""
    place = next(folder for folder in (output, *output.resolve().parents) if folder.is_dir())
    try:
        return tempfile.TemporaryDirectory(prefix='.comparison-', dir=place)
    except OSError as error:
        raise DataError(f'{output}: cannot write: {error.strerror}') from error


def _publish(stage: Path, output: Path) -> list[Path]:
    """Move every file to its final name, the tables first; returns them."""
    order = ('.md', '.csv', '.tex', '.json', '.png')
    names = sorted((path.name for path in stage.iterdir()),
                   key=lambda name: (order.index(Path(name).suffix) if Path(name).suffix in order else 9, name))
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(stage / name, output / name)
    except OSError as error:
        raise DataError(f'{output}: cannot write: {error.strerror}') from error
    return [output / name for name in names]
