"""Finished frames from the folder that they were made in to where they belong; survives being killed on the way.

What has been moved is gone from the first folder, so whoever goes on moves the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from satvsr_plugin.errors import DataError


def refuse_existing(output: Path, paths: Iterable[Path]) -> None:
    """Refuse to write over files.

    Args:
        output: the folder that gets them.
        paths: below it, each beginning with one of its folders, e.g. ``LR4x/000/017.png``.

    Raises:
        DataError: some are there already.
    """
    there: dict[str, list[Path]] = {}
    for path in paths:
        if os.path.lexists(output / path):
            there.setdefault(path.parts[0], []).append(path.relative_to(path.parts[0]))
    for folder, found in there.items():
        raise DataError(
            f'{output / folder}: {len(found)} of the frames are there already ({found[0]}); '
            'choose another output folder or add --overwrite'
        )


def publish(staging: Path, output: Path, folders: Iterable[str], overwrite: bool) -> None:
    """Move what lies in ``staging/<folder>`` to ``output/<folder>``.

    A folder that is not there yet appears at once; otherwise its clips do, and frames of clips that are there.

    Raises:
        DataError: a file is there already and ``overwrite`` is not set; nothing has been moved then.
        OSError: something cannot be moved; the rest waits in ``staging``.
    """
    waiting = [folder for folder in folders if (staging / folder).exists()]
    if not overwrite:
        files = (path for folder in waiting for path in sorted((staging / folder).rglob('*')) if path.is_file())
        refuse_existing(output, (path.relative_to(staging) for path in files))
    for folder in waiting:
        _move(staging / folder, output / folder)


def _move(new: Path, target: Path) -> None:
    if new.is_dir() and target.is_dir():
        for child in sorted(new.iterdir()):
            _move(child, target / child.name)
        new.rmdir()
    else:
        os.replace(new, target)
