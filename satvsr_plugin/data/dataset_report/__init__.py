"""The check of a data set: is anything missing, damaged, doubled, and how was LR made?

Collecting (:mod:`listing`, :mod:`frames`), judging (:mod:`clip_judge`, :mod:`copy_judge`, :mod:`pair_judge`) and
rendering (:mod:`text`, :mod:`as_json`) are apart.
"""

from __future__ import annotations

from satvsr_plugin.data.dataset_report.as_json import write_json
from satvsr_plugin.data.dataset_report.layout import explicit_layout, find_layout
from satvsr_plugin.data.dataset_report.report import Report, check_dataset
from satvsr_plugin.data.dataset_report.text import render_text

__all__ = ['Report', 'check_dataset', 'explicit_layout', 'find_layout', 'render_text', 'write_json']
