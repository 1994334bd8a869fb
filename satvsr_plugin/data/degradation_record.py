"""``degradation.json`` beside LR clips: what is needed to make each of them again.

For every LR folder it holds a list of runs, each with its settings and, for every clip, the values that it drew:

    {"LR4x": [{"satvsr_plugin": "0.1.0", "scale": 4, "kind": "bd", "blur": [1.2, 2.0], "anisotropic": false,
               "noise": [0.0, 0.0], "jpeg": null, "seed": 0, "crop": false, "bicubic": false,
               "clips": {"000": {"blur": 1.4783, "across": null, "angle": null, "noise": 0.0, "jpeg": null}}}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from satvsr_plugin import __version__
from satvsr_plugin.data.clip_source import natural_order
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.errors import DataError

RECORD = 'degradation.json'

Record = dict[str, list[dict[str, Any]]]


def settings_of(degradation: Degradation, bicubic: bool, crop: bool) -> dict[str, Any]:
    """A run without its clips, of what JSON can hold."""
    jpeg = degradation.jpeg
    return {
        'satvsr_plugin': __version__,
        'scale': degradation.scale,
        'kind': degradation.kind,
        'blur': [float(value) for value in degradation.blur_range],
        'anisotropic': degradation.anisotropic,
        'noise': [float(value) for value in degradation.noise],
        'jpeg': None if jpeg is None else list(jpeg),
        'seed': degradation.seed,
        'crop': crop,
        'bicubic': bicubic,
    }


def read_record(output: Path) -> Record:
    """The record in a folder; an empty one where there is none.

    Raises:
        DataError: there is a file of that name that is something else.
    """
    path = output / RECORD
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
        if all(isinstance(run['clips'], dict) for runs in record.values() for run in runs):
            return record
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DataError(f'{path}: cannot read the file: {error.strerror}') from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):  # no JSON, or JSON of other contents
        pass
    raise DataError(f'{path}: is not a record of this program, or is damaged; move it away, or choose another output '
                    'folder')


def joined(record: Record, folder: str, settings: dict[str, Any], clips: dict[str, dict[str, Any]],
           mixed: Iterable[str]) -> Record:
    """A record with one more run in it; joining the same run twice changes nothing.

    Args:
        record: what is known already.
        folder: name of the LR folder.
        settings: see :func:`settings_of`.
        clips: clip -> drawn values.
        mixed: those of ``clips`` that hold frames of earlier runs too; what is known of these stays.
    """
    replaced = set(clips) - set(mixed)
    runs, mine = [], dict(clips)
    for run in record.get(folder, []):
        if {**run, 'clips': None} == {**settings, 'clips': None}:
            mine = {**run['clips'], **mine}
        elif rest := {clip: drawn for clip, drawn in run['clips'].items() if clip not in replaced}:
            runs.append({**run, 'clips': rest})
    runs.append({**settings, 'clips': {clip: mine[clip] for clip in natural_order(mine)}})
    record = {**record, folder: runs}
    return {name: record[name] for name in natural_order(record)}
