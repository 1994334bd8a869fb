"""The report of a check as JSON, with every finding."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.data.dataset_report.deviation import Deviation
from satvsr_plugin.data.dataset_report.report import Report
from satvsr_plugin.errors import DataError


def write_json(report: Report, path: Path) -> None:
    """Write a report; a file that was there before is replaced.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        with written_beside(path) as partial:
            partial.write_text(json.dumps(to_json(report), indent=1, allow_nan=False) + '\n')
    except OSError as error:
        raise DataError(f'{path}: cannot write the report: {error.strerror}') from error


def to_json(report: Report) -> dict[str, Any]:
    """A report in types that JSON holds. ``psnr`` is null where LR equals our degradation."""
    degradation = report.degradation
    return {
        'in_order': report.in_order,
        'scale': report.scale,
        'sides': {
            side.side: {**side._asdict(), 'root': str(side.root),
                        'formats': [{**form._asdict(), 'clips': clips} for form, clips in side.formats.items()]}
            for side in report.sides},
        'degradation': degradation and {
            'making': degradation.making, **_deviation(degradation.summary),
            'clips': {clip: _deviation(deviation) for clip, deviation in degradation.clips.items()}},
        'unused': list(report.unused),
        'against': [str(root) for root in report.against],
        'findings': [{'kind': finding.kind.code, 'severity': finding.kind.severity.value, 'side': finding.side,
                      'places': list(finding.places), 'message': finding.message} for finding in report.findings],
        'seconds': round(report.seconds, 3),
    }


def _deviation(deviation: Deviation) -> dict[str, int | float | None]:
    return {'pairs': deviation.frames, 'share_differing': deviation.share, 'largest': deviation.largest,
            'mean': deviation.mean, 'psnr': deviation.psnr if math.isfinite(deviation.psnr) else None}
