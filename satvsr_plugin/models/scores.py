"""Scores of every frame of a data set, averaged as the published tables do, and kept as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import distributed as dist

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

    def append_csv(self, path: Path, iteration: int | str) -> None:
        """Append a row a clip and their average to a CSV file, which gets its header when it is new."""
        new = not path.exists()
        with path.open('a', newline='') as file:
            writer = csv.writer(file)
            if new:
                writer.writerow([*LEADING_COLUMNS, *self.metrics])
            for clip, scores in self.per_clip().items():
                writer.writerow([iteration, clip, self.clips.count(clip), *(f'{v:.6f}' for v in scores.values())])
            average = (f'{v:.6f}' for v in self.average().values())
            writer.writerow([iteration, AVERAGE, len(self.clips), *average])

    def __str__(self) -> str:
        """An aligned table, a row a clip."""
        rows = [*self.per_clip().items(), (AVERAGE, self.average())]
        width = max(len(clip) for clip, _ in rows)
        header = f'{"clip":<{width}}' + ''.join(f'  {metric:>10}' for metric in self.metrics)
        lines = [f'{clip:<{width}}' + ''.join(f'  {value:>10.4f}' for value in scores.values())
                 for clip, scores in rows]
        return '\n'.join([header, *lines])
