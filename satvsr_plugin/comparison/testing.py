"""Tests what is given as an option file: by ``basicsr test``, unless that very test was made before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satvsr_plugin.comparison.earlier_test import why_test_again
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.option_check import check_options
from satvsr_plugin.options import load_options
from satvsr_plugin.plugins import load_plugins

SUFFIXES = ('.yml', '.yaml')
_SHOWN_LINES = 15  # of the log of a test that failed


@dataclass(frozen=True)
class OptionTest:
    """A test that an option file describes.

    Attributes:
        file: the option file.
        options: what is in it, with the overrides of the command line.
        folder: where its results are, or will be.
    """

    file: Path
    options: dict[str, Any]
    folder: Path

    @property
    def log(self) -> Path:
        """What ``basicsr test`` prints; beside the results, since that command moves an earlier folder away."""
        return self.folder.with_name(f'{self.folder.name}.log')


def result_folders(
    inputs: Sequence[Path],
    overrides: Sequence[str] = (),
    dataset: str | None = None,
    progress: Callable[[str], None] = print,
) -> tuple[list[Path], list[str]]:
    """Turn result folders and option files into result folders.

    Args:
        inputs: result folders, which are taken as they are, and option files (``.yml``).
        overrides: ``--force_yml`` entries for all option files.
        dataset: the only data set whose earlier results matter; None for all of a file.
        progress: told what is being done, a line at a time.

    Returns:
        A folder for each input, and notes on which results were there before.

    Raises:
        OptionError: an option file is wrong, two write to the same folder, or overrides have nothing to apply to.
        DataError: data are missing, or a test failed; gives the last lines of its log.
    """
    tests = {path: _read(path, overrides) for path in inputs if path.suffix in SUFFIXES and not path.is_dir()}
    if overrides and not tests:
        raise OptionError('--force_yml changes option files, but only result folders are given')
    _check_folders(inputs, tests)
    notes: list[str] = []
    if tests:
        load_plugins()
    for test in tests.values():  # all of them, before the first is run for hours
        check_options(test.options, is_train=False, file=test.file)
        _check_dataset(test, dataset)
    for test in tests.values():
        reason = why_test_again(test.options, test.folder, dataset)
        if reason is None:
            notes.append(f'{test.file}: tested before with the same network, weights, data and metrics; '
                         f'the results in {test.folder} are taken as they are')
        else:
            _run(test, overrides, reason, progress)
    return [tests[path].folder if path in tests else path for path in inputs], notes


def _read(path: Path, overrides: Sequence[str]) -> OptionTest:
    options = load_options(path, overrides)
    name = options.get('name')
    if not isinstance(name, str) or not name:
        raise OptionError(f'{path}: name: is missing; results are kept under it')
    return OptionTest(path, options, Path('results', name))


def _check_folders(inputs: Sequence[Path], tests: dict[Path, OptionTest]) -> None:
    seen: dict[Path, Path] = {}
    for path in inputs:
        folder = (tests[path].folder if path in tests else path).resolve()
        if folder in seen:
            raise OptionError(f'{seen[folder]} and {path}: both stand for the results in {folder}; give each system '
                              'once, and every option file a name of its own')
        seen[folder] = path


def _check_dataset(test: OptionTest, dataset: str | None) -> None:
    names = [block['name'] for block in test.options['datasets'].values()]
    if dataset is not None and dataset not in names:
        raise OptionError(f'--dataset {dataset}: {test.file} tests on {", ".join(names)} only')


def _run(test: OptionTest, overrides: Sequence[str], reason: str, progress: Callable[[str], None]) -> None:
    command = [sys.executable, '-m', 'satvsr_plugin', 'test', '-opt', str(test.file)]
    command += ['--force_yml', *overrides] if overrides else []
    progress(f'testing {test.file} ({reason}); its output goes to {test.log}')
    start = time.monotonic()
    try:
        test.log.parent.mkdir(parents=True, exist_ok=True)
        with test.log.open('w', encoding='utf-8') as log:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                  env={**os.environ, 'SATVSR_REGISTER': '1', 'PYTHONSAFEPATH': '1'}).returncode
    except OSError as error:
        raise DataError(f'{error.filename or test.log}: {error.strerror}') from error
    if code:
        lines = test.log.read_text(encoding='utf-8', errors='replace').splitlines()[-_SHOWN_LINES:]
        raise DataError('\n  '.join([f'{test.file}: the test failed; the end of {test.log}:', *lines]))
    progress(f'tested {test.file} in {time.monotonic() - start:.0f} seconds')
