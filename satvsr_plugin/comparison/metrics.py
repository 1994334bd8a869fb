"""What a comparison has to know about metrics: their labels, how papers print them, which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from satvsr_plugin.errors import DataError
from satvsr_plugin.test_record import TestRecord

_PSNR = ('satvsr_psnr', 'calculate_psnr')
_SSIM = ('satvsr_ssim', 'calculate_ssim')
_LOWER = ('calculate_niqe', 'calculate_fid')  # the toolbox's that are distances, where the option file does not tell


def kind(metric: Mapping[str, Any]) -> str:
    """``PSNR`` or ``SSIM``, ours or the toolbox's; else the metric's type."""
    name = metric['type']
    return 'PSNR' if name in _PSNR else 'SSIM' if name in _SSIM else name


def labels(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """How the table calls each metric: by its kind, or as the option file does where a kind is there twice."""
    kinds = [kind(metric) for metric in metrics.values()]
    known = ('PSNR', 'SSIM')
    return {name: found if found in known and kinds.count(found) == 1 else name
            for name, found in zip(metrics, kinds, strict=True)}


def better(metric: Mapping[str, Any]) -> Literal['higher', 'lower']:
    """Which way is better: by the metric's own word, or else by its type."""
    return metric.get('better', 'lower' if metric['type'] in _LOWER else 'higher')


def printed(metric: Mapping[str, Any], value: float) -> str:
    """A value as papers print it: decibels with two digits, similarities as ``.9580``, anything else with four."""
    if kind(metric) == 'PSNR':
        return f'{value:.2f}'
    text = f'{value:.4f}'
    return text.replace('0.', '.', 1) if kind(metric) == 'SSIM' and abs(value) < 1 and '0.' in text[:3] else text


def leading_metric(record: TestRecord) -> str:
    """The name of the metric that systems are ordered by: the first PSNR, or else the first of all.

    Raises:
        DataError: there is no metric.
    """
    names = [name for name, metric in record.metrics.items() if kind(metric) == 'PSNR'] or list(record.metrics)
    if not names:
        raise DataError(f'the test {record.name} has no metrics; test again with val.metrics in the option file')
    return names[0]


def is_published_protocol(metric: Mapping[str, Any]) -> bool:
    """Whether a metric is PSNR or SSIM as in the published tables: Y of 8-bit pictures, nothing cropped."""
    if metric.get('crop_border', 0) != 0:
        return False
    if metric['type'].startswith('satvsr_'):
        peak = metric.get('data_range') in (None, 255)
        return kind(metric) in ('PSNR', 'SSIM') and metric.get('color', 'y') == 'y' and peak and \
            metric.get('quantize', True) is True
    return kind(metric) in ('PSNR', 'SSIM') and metric.get('test_y_channel', False) is True
