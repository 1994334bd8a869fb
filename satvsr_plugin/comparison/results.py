"""Reads the scores that ``basicsr test`` leaves in ``results/<name>/metrics_<dataset>.csv``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.metrics.score_table import AVERAGE, LEADING_COLUMNS


@dataclass(frozen=True)
class SystemScores:
    """What one system reached on one data set.

    Attributes:
        name: how tables and figures call the system.
        folder: its result folder.
        frames: how many frames each clip has.
        clips: ``{clip: {metric: mean over the clip's frames}}``, in the order of the data set.
        average: ``{metric: mean over clips}``.
    """

    name: str
    folder: Path
    frames: dict[str, int]
    clips: dict[str, dict[str, float]]
    average: dict[str, float]

    @property
    def metrics(self) -> list[str]:
        return list(self.average)


def read_systems(
    folders: Sequence[Path], names: Sequence[str] | None = None, dataset: str | None = None
) -> tuple[str, list[SystemScores]]:
    """Read the result folders of systems that were tested on the same clips.

    Args:
        folders: result folders; the first is the baseline.
        names: how to call the systems; by default as their folders are.
        dataset: which data set's scores; may be left out where the folders have exactly one in common.

    Returns:
        The data set's name, and the scores in the order of the folders.

    Raises:
        OptionError: names that do not fit the folders, or a data set has to be chosen.
        DataError: scores are missing or damaged, or the systems were not tested on the same clips and metrics.
    """
    names = _system_names(folders, names)
    dataset = _choose_dataset(folders, dataset)
    systems = [_read_scores(name, folder, dataset) for name, folder in zip(names, folders, strict=True)]
    for system in systems[1:]:
        _check_same_test(systems[0], system)
    return dataset, systems


def best_system(systems: Sequence[SystemScores]) -> SystemScores:
    """The one with the highest average of the first metric; the baseline, which comes first, only if it is alone."""
    return max(systems[1:] or systems, key=lambda system: system.average[systems[0].metrics[0]])


def _system_names(folders: Sequence[Path], names: Sequence[str] | None) -> list[str]:
    if names is not None and len(names) != len(folders):
        raise OptionError(f'--names: {len(names)} names for {len(folders)} result folders; give one a folder')
    names = list(names or (folder.resolve().name for folder in folders))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f'more than one result folder is called {twice[0]!r}; tell the systems apart by --names')
    return names


def _choose_dataset(folders: Sequence[Path], dataset: str | None) -> str:
    tested = [_tested_datasets(folder) for folder in folders]
    common = [name for name in tested[0] if all(name in others for others in tested)]
    if dataset is None and len(common) > 1:
        raise OptionError(f'the systems were tested on several data sets; choose one by --dataset: {", ".join(common)}')
    if (dataset is None and common) or dataset in common:
        return dataset or common[0]
    found = '; '.join(f'{folder}: {", ".join(sets)}' for folder, sets in zip(folders, tested, strict=True))
    wanted = 'a common data set' if dataset is None else repr(dataset)
    raise DataError(f'not every system was tested on {wanted} (found {found}); test all on the same')


def _tested_datasets(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f'{folder}: no such result folder; basicsr test writes results/<name>')
    found = sorted(path.stem.removeprefix('metrics_') for path in folder.glob('metrics_*.csv'))
    if not found:
        raise DataError(
            f'{folder}: no metrics_<dataset>.csv; run basicsr test with val.metrics in the option file '
            f'and a data set that has GT'
        )
    return found


def _read_scores(name: str, folder: Path, dataset: str) -> SystemScores:
    """The last complete table of the file: tests that are run again are appended to it."""
    path = folder / f'metrics_{dataset}.csv'
    header, rows = _read_rows(path)
    ends = [number for number, row in enumerate(rows) if row[1] == AVERAGE]
    if not ends or ends[-1] != len(rows) - 1:
        raise DataError(f'{path}: the last row is not the {AVERAGE!r} over clips, so the file is cut short; test again')
    table = rows[ends[-2] + 1 if len(ends) > 1 else 0 :]
    if len(table) < 2 or len({row[1] for row in table}) < len(table):
        raise DataError(f'{path}: the last table has no clips, or a clip twice; test again')
    scores = {row[1]: dict(zip(header[3:], (_number(path, value) for value in row[3:]), strict=True)) for row in table}
    average = scores.pop(AVERAGE)
    return SystemScores(name, folder, {row[1]: int(_number(path, row[2])) for row in table[:-1]}, scores, average)


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f'{path}: cannot read the scores: {error}') from error
    if not rows or rows[0][:3] != LEADING_COLUMNS or len(rows[0]) < 4:
        raise DataError(f'{path}: the first row must be {",".join(LEADING_COLUMNS)} and the metrics; test again')
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise DataError(f'{path}: row {number} has {len(row)} values instead of {len(rows[0])}; test again')
    return rows[0], rows[1:]


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f'{path}: {text!r} is not a number; test again') from error


def _check_same_test(baseline: SystemScores, system: SystemScores) -> None:
    first, second = f'{baseline.name} ({baseline.folder})', f'{system.name} ({system.folder})'
    lacking = [metric for metric in baseline.metrics if metric not in system.metrics]
    if lacking:
        raise DataError(f'{second} has no {", ".join(lacking)}, which {first} has; test both with the same val.metrics')
    differing = sorted(set(baseline.clips) ^ set(system.clips))
    if differing:
        raise DataError(
            f'{first} and {second} were tested on different clips; only one of them has {", ".join(differing[:5])}'
            f'{", ..." if len(differing) > 5 else ""}'
        )
    for clip, frames in baseline.frames.items():
        if frames != system.frames[clip]:
            raise DataError(f'clip {clip}: {frames} frames in {first}, {system.frames[clip]} in {second}; test again')
