"""The systems of a comparison: what ``basicsr test`` left in their result folders, under a short name each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from satvsr_plugin.comparison.likeness import check_alike
from satvsr_plugin.comparison.metrics import better, leading_metric
from satvsr_plugin.comparison.naming import system_names
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.test_record import TestRecord, read_record, record_path, recorded_datasets


@dataclass(frozen=True)
class System:
    """One system of a comparison.

    Attributes:
        name: how tables, figures and the page call it.
        folder: its result folder, ``results/<name of the experiment>``.
        record: what it was tested on and the score of every frame.
    """

    name: str
    folder: Path
    record: TestRecord


def read_systems(
    folders: Sequence[Path], names: Sequence[str] | None = None, dataset: str | None = None
) -> list[System]:
    """Read the result folders of systems that were tested alike.

    Args:
        folders: result folders; the first is the baseline.
        names: how to call the systems; by default their networks' short names decide.
        dataset: which data set's results; may be left out where the folders have exactly one in common.

    Returns:
        The systems in the order of the folders.

    Raises:
        OptionError: names that do not fit the folders, or a data set has to be chosen.
        DataError: records are missing or damaged, or the systems were not tested alike.
    """
    dataset = choose_dataset(folders, dataset)
    records = [_read_scored(folder, dataset) for folder in folders]
    systems = [System(name, folder, record) for name, folder, record in
               zip(system_names(records, names), folders, records, strict=True)]
    check_alike({system.name: system.record for system in systems})
    return systems


def choose_dataset(folders: Sequence[Path], dataset: str | None = None) -> str:
    """The data set that all folders have results of; the errors are those of :func:`read_systems`."""
    tested = [_tested_datasets(folder) for folder in folders]
    common = [name for name in tested[0] if all(name in others for others in tested)]
    if dataset is None and len(common) > 1:
        raise OptionError(f'the systems were tested on several data sets; choose one by --dataset: {", ".join(common)}')
    if (dataset is None and common) or dataset in common:
        return dataset or common[0]
    found = '; '.join(f'{folder}: {", ".join(sets)}' for folder, sets in zip(folders, tested, strict=True))
    wanted = 'a common data set' if dataset is None else repr(dataset)
    raise DataError(f'not every system was tested on {wanted} (found {found}); test all on the same')


def best_system(systems: Sequence[System]) -> System:
    """The one with the best average PSNR (or first metric); the baseline, which comes first, only if it is alone."""
    base = systems[0].record
    metric = leading_metric(base)
    sign = 1 if better(base.metrics[metric]) == 'higher' else -1
    return max(systems[1:] or systems, key=lambda system: sign * system.record.average(metric))


def _tested_datasets(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f'{folder}: no such result folder; basicsr test writes results/<name>')
    found = recorded_datasets(folder)
    if not found:
        raise DataError(f'{folder}: no test_<dataset>.json; run basicsr test, with val.metrics in the option file '
                        'and a data set that has GT')
    return found


def _read_scored(folder: Path, dataset: str) -> TestRecord:
    path = record_path(folder, dataset)
    record = read_record(path)
    unscored = [clip for clip, found in record.clips.items() if not found.scores]
    if unscored or not record.metrics:
        raise DataError(f'{path}: has no scores; test again on a data set that has GT, with val.metrics')
    return record
