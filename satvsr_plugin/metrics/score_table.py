"""The format of ``metrics_<dataset>.csv``, which the model writes and the comparison reads."""

from __future__ import annotations

LEADING_COLUMNS = ['iter', 'clip', 'frames']  # then a column a metric
AVERAGE = 'average'  # stands for the clip in a table's last row: the mean over clips
