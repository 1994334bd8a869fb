"""What is known about the files in a download folder, so that nothing is fetched, hashed or unpacked twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.data.download.zenodo import RemoteFile

NAME = '.download.json'


class Ledger:
    """Notes on a folder's files, kept in the folder. Lost or damaged notes cost time only.

    A file counts as verified while it has the size and the time of change that it had when its MD5 sum was right.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            notes = json.loads((folder / NAME).read_text())
        except (OSError, ValueError, RecursionError):
            notes = {}
        self._notes: dict[str, Any] = notes if isinstance(notes, dict) else {}

    def is_verified(self, file: RemoteFile) -> bool:
        """Whether the file is there, unchanged since it was found right."""
        path = self._folder / file.name
        return path.is_file() and self._note(file).get('state') == _state(path)

    def set_verified(self, file: RemoteFile) -> None:
        """Note that the file is there and right."""
        self._change(file, state=_state(self._folder / file.name))

    def unpacked(self, file: RemoteFile) -> list[str]:
        """Names of what was unpacked from the file; none if some of that is no longer there."""
        names = self._note(file).get('unpacked')
        names = names if isinstance(names, list) else []
        return names if all((self._folder / str(name)).exists() for name in names) else []

    def set_unpacked(self, file: RemoteFile, names: list[str]) -> None:
        """Note what was unpacked from the file."""
        self._change(file, unpacked=names)

    def _note(self, file: RemoteFile) -> dict[str, Any]:
        """About this version of the file."""
        note = self._notes.get(file.name)
        return note if isinstance(note, dict) and note.get('md5') == file.md5 else {}

    def _change(self, file: RemoteFile, **changes: Any) -> None:
        self._notes[file.name] = {**self._note(file), 'md5': file.md5, **changes}
        with written_beside(self._folder / NAME) as partial:
            partial.write_text(json.dumps(self._notes, indent=1))


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
