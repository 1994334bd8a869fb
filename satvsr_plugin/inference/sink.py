"""The interface to an output, and what all outputs share: restarts, and that only one run is at work.

The unit of work that is finished or not is a part, a contiguous range of frames. A run that is stopped leaves its
finished parts and, in the hidden file ``.infer.json`` beside them, the record of what it was making; the next run with
the same record goes on there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from satvsr_plugin.atomic import locked
from satvsr_plugin.data.video import Frame
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.durable import refusals_told, write_durably

RECORD = '.infer.json'


class Sink(ABC):
    """Where results go. A context manager; all else is for use inside it.

    Of several processes on one output, one prepares it and finishes it, and the others (``shared``) only write parts,
    each its own; they may begin when that one has entered.

    Args:
        output: file or folder, as the user named it.
        work: folder of unfinished work; ``output`` itself where that is a folder.
        length: number of frames.
        record: all that decides what is made; anything that JSON can hold.
        overwrite: begin anew whatever is there.
        shared: another process prepares the output.
        remarks: what a user should know about what is written.
    """

    def __init__(self, output: Path, work: Path, length: int, record: dict[str, Any], overwrite: bool, shared: bool,
                 remarks: Sequence[str] = ()) -> None:
        self.output = output
        self.length = length
        self.remarks = tuple(remarks)
        self._work = work
        self._record: dict[str, Any] = json.loads(json.dumps(record))
        self._overwrite, self._shared = overwrite, shared
        self._made = False
        self._stack = ExitStack()

    @abstractmethod
    def missing(self) -> list[range]:
        """The parts that are not finished yet, in order."""

    @abstractmethod
    def write(self, index: int, image: np.ndarray, frame: Frame) -> None:
        """Write the result of a frame; frames of a part in order. The part is finished when its last one is written.

        Args:
            index: number of the frame, from 0.
            image: (scale * h, scale * w, c) uint8 or uint16, as the input.
            frame: what was super-resolved; its image is not looked at.

        Raises:
            DataError: it cannot be written, e.g. because the disk is full; finished parts stay.
        """

    @abstractmethod
    def interrupt(self) -> str | None:
        """After Ctrl-C: leave something usable, from which the next run goes on. Returns a sentence that says what."""

    @abstractmethod
    def _put_in_place(self) -> None:
        """Make the output of its finished parts."""

    @abstractmethod
    def _existing(self) -> list[Path]:
        """Files that results will have the names of."""

    @abstractmethod
    def _clear(self) -> None:
        """Remove what would be taken for a finished part."""

    @abstractmethod
    def _clean(self) -> None:
        """Remove what a killed run left half-written."""

    def finish(self) -> None:
        """Put the output in its place when all parts are finished.

        Raises:
            DataError: parts are missing; the output cannot be written.
        """
        if lacking := sum(map(len, self.missing())):
            raise DataError(f'{self.output}: {lacking} of {self.length} frames are missing; run the same command again')
        with refusals_told(self.output):
            self._put_in_place()
            (self._work / RECORD).unlink(missing_ok=True)
            if self._work != self.output:
                shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self) -> Sink:
        if not self._shared:
            with ExitStack() as stack, refusals_told(self.output):
                self._made = not self._work.exists()
                stack.callback(self._remove_if_empty)
                stack.enter_context(locked(self._work))
                self._prepare()
                self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _prepare(self) -> None:
        found = self._found_record()
        if self._overwrite or found != self._record:
            if not self._overwrite:
                self._refuse_to_lose(found)
            self._clear()
            write_durably(self._work / RECORD, json.dumps(self._record, indent=2).encode())
        self._clean()

    def _found_record(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self._work / RECORD).read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _refuse_to_lose(self, found: dict[str, Any] | None) -> None:
        if found is not None and self._has_results():
            differing = [key for key in {**found, **self._record} if found.get(key) != self._record.get(key)]
            raise DataError(f'{self.output}: holds unfinished results of another run (other {", ".join(differing)}); '
                            'go on with the options of that run, name another output, or begin anew with --overwrite')
        if existing := self._existing():
            others = f' (and {len(existing) - 1} more results)' if len(existing) > 1 else ''
            raise DataError(f'{existing[0]}: exists already{others}; name another output, or replace it with '
                            '--overwrite')

    def _has_results(self) -> bool:
        return any(not name.startswith('.') for name in os.listdir(self._work))

    def _remove_if_empty(self) -> None:
        """A run that failed before its first result leaves no trace."""
        if self._work.is_dir() and set(os.listdir(self._work)) <= {RECORD}:
            (self._work / RECORD).unlink(missing_ok=True)
            if self._made:
                self._work.rmdir()


def remove_partials(folder: Path, names: Collection[str]) -> None:
    """Remove what :func:`satvsr_plugin.atomic.written_beside` left of files of these names when it was killed."""
    for entry in os.listdir(folder):
        match = re.fullmatch(r'\.(.+)\.partial-\d+', entry)
        if match and match[1] in names:
            (folder / entry).unlink(missing_ok=True)
