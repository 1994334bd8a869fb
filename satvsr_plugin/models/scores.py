"""Scores of every frame of a data set, averaged as the published tables do, and kept as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import distributed as dist

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.metrics.score_table import AVERAGE, LEADING_COLUMNS


class Scores:
    """Scores of all frames; ranks fill their own and share them with :meth:`gather`.

    Args:
        clips: the clip of every frame of the data set, in its order.
        metrics: names of the metrics.
        device: where to keep them (NCCL gathers on GPUs only).
    """

    def __init__(self, clips: Sequence[str], metrics: Sequence[str], device: torch.device) -> None:
        self.clips = list(clips)
        self.metrics = list(metrics)
        self.values = torch.zeros(len(clips), len(metrics), dtype=torch.float64, device=device)

    def put(self, frame: int, values: Sequence[float]) -> None:
        """Store the values of all metrics for one frame, in the order of ``metrics``."""
        self.values[frame] = torch.tensor(values, dtype=torch.float64)

    def gather(self) -> None:
        """Join what all processes have filled."""
        if dist.is_initialized():
            dist.all_reduce(self.values)

    def per_clip(self) -> dict[str, dict[str, float]]:
        """Mean over the frames of each clip: ``{clip: {metric: mean}}``."""
        rows: dict[str, list[int]] = {}
        for row, clip in enumerate(self.clips):
            rows.setdefault(clip, []).append(row)
        means = {clip: self.values[index].mean(0).tolist() for clip, index in rows.items()}
        return {clip: dict(zip(self.metrics, mean, strict=True)) for clip, mean in means.items()}

    def average(self) -> dict[str, float]:
        """Mean over clips of the clips' means: every clip counts the same, whatever its length."""
        clips = self.per_clip().values()
        return {metric: sum(clip[metric] for clip in clips) / len(clips) for metric in self.metrics}

    def write_csv(self, path: Path, iteration: int | str) -> None:
        """Add a row a clip and their average to a CSV file; rows of the same iteration, of a killed run, are replaced.

        Raises:
            OSError: it cannot be written, and is as it was.
        """
        header = [*LEADING_COLUMNS, *self.metrics]
        earlier: list[list[str]] = []
        if path.exists():
            with path.open(newline='') as file:
                earlier = [row for row in csv.reader(file) if row[:1] not in ([LEADING_COLUMNS[0]], [str(iteration)])]
        rows = [[iteration, clip, self.clips.count(clip), *(f'{v:.6f}' for v in scores.values())]
                for clip, scores in self.per_clip().items()]
        rows.append([iteration, AVERAGE, len(self.clips), *(f'{v:.6f}' for v in self.average().values())])
        with written_beside(path) as partial, partial.open('w', newline='') as file:
            csv.writer(file).writerows([header, *earlier, *rows])

    def __str__(self) -> str:
        """An aligned table, a row a clip."""
        rows = [*self.per_clip().items(), (AVERAGE, self.average())]
        width = max(len(clip) for clip, _ in rows)
        header = f'{"clip":<{width}}' + ''.join(f'  {metric:>10}' for metric in self.metrics)
        lines = [f'{clip:<{width}}' + ''.join(f'  {value:>10.4f}' for value in scores.values())
                 for clip, scores in rows]
        return '\n'.join([header, *lines])
