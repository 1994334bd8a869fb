"""Checkpoints of a training run: weights and training state of one iteration, which belong together.

An experiment keeps ``models/net_g_5000.pth``, ``training_states/5000.state``, and ``training_states/5000.json``, which
is written last: it holds the CRC-32 of the other two, so a checkpoint that was cut short or altered is found. States
without it, of the toolbox's own models, are taken as they are.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.files import crc32_of, save_checkpoint

NEEDED = ('epoch', 'iter', 'optimizers', 'schedulers')  # by the toolbox's training loop


class Checkpoints:
    """The checkpoints in the folders of an experiment.

    Args:
        models: folder of the weights.
        states: folder of the training states, beside ``models``.
    """

    def __init__(self, models: str | Path, states: str | Path) -> None:
        self.models, self.states = Path(models), Path(states)

    def save(self, iteration: int, networks: Mapping[str, Mapping[str, Any]], state: dict[str, Any]) -> None:
        """Write a checkpoint; it counts once all of its files are on the disk.

        Args:
            iteration: how many steps were trained.
            networks: what to save of each network, by its label (``net_g``).
            state: the rest, with the keys of ``NEEDED``.

        Raises:
            WeightsError: a file cannot be written; checkpoints of other iterations are as they were.
        """
        files = {self.models / f'{label}_{iteration}.pth': content for label, content in networks.items()}
        for path, content in files.items():
            save_checkpoint(path, content)
        self._save_state(iteration, state, list(files))

    def replace_state(self, iteration: int, state: dict[str, Any]) -> None:
        """Write the training state of a checkpoint anew; its weights stay.

        Raises:
            WeightsError: a file cannot be written.
        """
        self._save_state(iteration, state, [path for path in self._files(iteration) if path.suffix == '.pth'])

    def _save_state(self, iteration: int, state: dict[str, Any], weights: list[Path]) -> None:
        path = self.states / f'{iteration}.state'
        save_checkpoint(path, state)
        sums = {file.name: crc32_of(file) for file in (*weights, path)}
        try:
            with written_beside(self._record(iteration), durably=True) as partial:
                partial.write_text(json.dumps({'iter': iteration, 'crc32': sums}, indent=2))
        except OSError as error:
            raise WeightsError(f'{self._record(iteration)}: cannot be written ({error.strerror})') from error

    def iterations(self) -> list[int]:
        """The iterations that have a training state, a file called after it, in ascending order."""
        return sorted(int(path.stem) for path in self.states.glob('*.state') if path.stem.isdecimal())

    def load(self, iteration: int) -> dict[str, Any]:
        """Read a training state onto the CPU, without running code from it, and check its weights.

        Raises:
            WeightsError: a file is missing, cut short or altered.
        """
        if self._record(iteration).exists():
            self._check_sums(iteration)
        return read_state(self.states / f'{iteration}.state')

    def _check_sums(self, iteration: int) -> None:
        record = self._record(iteration)
        try:
            sums = json.loads(record.read_bytes())['crc32']
            expected = {self._place(name): int(crc32) for name, crc32 in sums.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise WeightsError(f'{record}: is damaged ({error})') from error
        for path, crc32 in expected.items():
            try:
                found = crc32_of(path)
            except OSError as error:
                raise WeightsError(f'{path}: cannot be read ({error.strerror})') from error
            if found != crc32:
                raise WeightsError(f'{path}: is damaged or was altered, since its checksum is not the one in {record}')

    def remove_partials(self) -> None:
        """Remove what a killed run left half-written; nobody may be writing."""
        for folder in (self.models, self.states):
            for path in folder.glob('.*.partial-*'):
                path.unlink(missing_ok=True)

    def keep_last(self, number: int) -> None:
        """Remove all checkpoints but the last ones; files of other names, such as the best weights, stay.

        Raises:
            OSError: a file cannot be removed.
        """
        kept = self.iterations()[-number:]
        # a kill in the middle of this leaves a record without a state
        records = {int(path.stem) for path in self.states.glob('*.json') if path.stem.isdecimal()}
        for iteration in sorted(records.union(self.iterations()).difference(kept)):
            # the state first: without it the rest is no checkpoint any more; the record last, to be found again
            for path in (self.states / f'{iteration}.state', *self._files(iteration), self._record(iteration)):
                path.unlink(missing_ok=True)

    def _files(self, iteration: int) -> list[Path]:
        return list(self.models.glob(f'net_*_{iteration}.pth'))

    def _record(self, iteration: int) -> Path:
        return self.states / f'{iteration}.json'

    def _place(self, name: str) -> Path:
        folder = self.models if name.endswith('.pth') else self.states
        return folder / Path(name).name  # whatever stands there, no file elsewhere is read


def read_state(path: Path) -> dict[str, Any]:
    """Read one training state onto the CPU, without running code from it; its weights are not looked at.

    Raises:
        WeightsError: it is missing or damaged, or no training state.
    """
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f'{path}: refused, since it is damaged or holds Python objects besides tensors, which could '
                           'run code') from error
    except Exception as error:  # damaged bytes make the loader fail in almost any way
        raise WeightsError(f'{path}: cannot read this training state ({str(error).splitlines()[0]})') from error
    missing = set(NEEDED).difference(state if isinstance(state, dict) else ())
    if missing:
        raise WeightsError(f'{path}: is no training state, since it lacks {", ".join(sorted(missing))}')
    return state
