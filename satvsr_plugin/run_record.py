"""A record of every start of a training or a test: all that is needed to do it again, in one JSON file each."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from satvsr_plugin.git_state import git_state, plugin_state
from satvsr_plugin.machine import machine_facts

FOLDER = 'runs'


def write_run_record(folder: Path, options: Mapping[str, Any], command: Sequence[str]) -> Path:
    """Write down a run that begins; to be called by one process of it.

    Args:
        folder: of the experiment or the results; the record goes to ``runs/<date>_<time>.json`` in it.
        options: as the toolbox uses them, with ``--force_yml`` applied.
        command: the command line.

    Returns:
        The file. It is never one that was there before, and never half-written.

    Raises:
        OSError: it cannot be written.
    """
    now = datetime.now().astimezone()
    record = {
        'format': 1,
        'started': now.isoformat(timespec='seconds'),
        'command': list(command),
        'current_folder': str(Path.cwd()),
        'seed': options.get('manual_seed'),
        'processes': options.get('world_size', 1),
        'gpus': [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        **machine_facts(),
        'git': {'plugin': plugin_state(), 'current_folder': git_state(Path.cwd())},
        'options': options,
    }
    text = json.dumps(_plain(record), indent=1, ensure_ascii=False, allow_nan=True)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    stem = path = folder / FOLDER / f'{now:%Y%m%d_%H%M%S}.json'
    number = 1
    while not _write_new(path, text):
        number += 1
        path = stem.with_stem(f'{stem.stem}_{number}')
    return path


def _write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; whether that was so.

    The hidden file beside it, which only one process can make, keeps the name for whoever holds it.
    """
    partial = path.with_name(f'.{path.name}.partial')
    try:
        file = partial.open('x', encoding='utf-8', errors='backslashreplace')
    except FileExistsError:
        return False
    try:
        with file:
            if path.exists():
                return False
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _plain(value: Any) -> Any:
    """What JSON can hold: keys as text, and anything but plain values as the text that Python prints."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, type(None))) else str(value)
