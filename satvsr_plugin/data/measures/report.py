"""Measures as a table for people, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.data.measures.clip import ClipMeasures
from satvsr_plugin.data.measures.collection import Measures, SetMeasures
from satvsr_plugin.data.measures.flicker import Flicker
from satvsr_plugin.errors import DataError

_LEGEND = ('energy: share between 0.25 and 0.375 cycles/px; noise: deviation in grey levels of 255, over clips; '
           'drift: px from frame to frame\n(median, and in brackets where 10 and 90 % lie)')
_FLICKER_LEGEND = ('flicker: mean change of luma from frame to frame where GT stands still, in grey levels of 255, of '
                   'results and of GT')


def render_table(measures: Measures) -> str:
    """A line a set."""
    rows = [['', 'clips', 'frames', 'energy', 'noise', 'drift']]
    with_flicker = any(found.flicker for found in measures.sets.values())
    rows[0] += ['flicker', 'of GT', 'ratio'] if with_flicker else []
    for name, found in measures.sets.items():
        rows.append([name, str(len(found.clips)), str(found.frames), f'{found.share:.3%}', _spread(found.noises),
                     _spread(found.speeds), *_flicker_cells(found.flicker, with_flicker)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return '\n'.join([*lines, _LEGEND, *([_FLICKER_LEGEND] if with_flicker else [])])


def write_json(measures: Measures, path: Path) -> None:
    """Write all measures; a file that was there before is replaced.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        with written_beside(path) as partial:
            partial.write_text(json.dumps(to_json(measures), indent=1, allow_nan=False) + '\n', encoding='utf-8')
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error


def to_json(measures: Measures) -> dict[str, Any]:
    """Measures in types that JSON holds; a ratio that is no number is null."""
    return {'tile': measures.tile, 'sets': {name: _set(found) for name, found in measures.sets.items()}}


def _set(found: SetMeasures) -> dict[str, Any]:
    spectrum = found.spectrum
    return {
        'root': str(found.root),
        'frames': found.frames,
        'share_of_energy': found.share,
        'noise': _percentiles(found.noises),
        'drift': _percentiles(found.speeds),
        'flicker': _flicker(found.flicker),
        'spectrum': {'cycles_per_px': spectrum.frequency.tolist(), 'mean_db': spectrum.mean.tolist(),
                     'p10_db': spectrum.low.tolist(), 'p90_db': spectrum.high.tolist()},
        'clips': {name: _clip(clip) for name, clip in found.clips.items()},
    }


def _clip(clip: ClipMeasures) -> dict[str, Any]:
    return {'frames': clip.frames, 'noise': clip.noise, 'drifts': clip.drifts, 'flicker': _flicker(clip.flicker)}


def _flicker(flicker: Flicker | None) -> dict[str, float | None] | None:
    if flicker is None:
        return None
    ratio = flicker.ratio if math.isfinite(flicker.ratio) else None
    return {'result': flicker.result, 'gt': flicker.gt, 'ratio': ratio}


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return dict(zip(('p10', 'median', 'p90'), map(float, np.percentile(values, (10, 50, 90))), strict=True))


def _spread(values: Sequence[float]) -> str:
    found = _percentiles(values)
    return f'{found["median"]:.2f} ({found["p10"]:.2f} to {found["p90"]:.2f})' if found else '-'


def _flicker_cells(flicker: Flicker | None, wanted: bool) -> list[str]:
    if not wanted:
        return []
    return [f'{value:.3f}' for value in (flicker.result, flicker.gt, flicker.ratio)] if flicker else ['-'] * 3
