"""Small result folders as ``basicsr test`` leaves them: two clips, three frames, a baseline and a better system."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from satvsr_plugin.data.image_io import write_image

CLIPS = ('000', '001')
FRAMES = ('00', '01', '02')
SCORES = {
    'Bicubic': {'000': (30.0, 0.88), '001': (31.5, 0.901234)},
    'Net': {'000': (32.125, 0.93), '001': (31.25, 0.9)},
}


def write_scores(folder: Path, scores: dict[str, tuple[float, ...]], dataset: str = 'Drawn') -> Path:
    """Append one table to ``metrics_<dataset>.csv``, as the model does; returns the file."""
    path = folder / f'metrics_{dataset}.csv'
    new = not path.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with path.open('a', newline='') as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(['iter', 'clip', 'frames', 'psnr', 'ssim'])
        for clip, values in scores.items():
            writer.writerow([folder.name, clip, len(FRAMES), *(f'{value:.6f}' for value in values)])
        means = np.mean(list(scores.values()), axis=0)
        writer.writerow([folder.name, 'average', len(FRAMES) * len(scores), *(f'{value:.6f}' for value in means)])
    return path


def draw_gt(clip: str, frame: str) -> np.ndarray:
    """A textured picture with a flat quarter at the upper left, (64, 80, 3) uint8."""
    rng = np.random.default_rng(int(clip) * 100 + int(frame))
    picture = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    picture[:32, :40] = 128
    return picture


def write_pictures(folder: Path, change: Callable[[np.ndarray], np.ndarray], label: str) -> None:
    """Save a changed GT as each frame's result."""
    for clip in CLIPS:
        for frame in FRAMES:
            path = folder / 'visualization' / 'Drawn' / clip / f'{frame}_{label}.png'
            write_image(path, change(draw_gt(clip, frame)))
