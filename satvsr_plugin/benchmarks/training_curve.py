"""Does the fast recipe learn what the plain one learns? The loss of both, step by step, on the same batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.training_data import Feed
from satvsr_plugin.benchmarks.training_model import as_in_training
from satvsr_plugin.benchmarks.training_recipes import Options, Recipe, make_opt
from satvsr_plugin.comparison.figures.palette import styles
from satvsr_plugin.comparison.figures.plots import as_png, look, new_figure
from satvsr_plugin.errors import DataError, TrainingError
from satvsr_plugin.models import SatVSRModel

SMOOTHED = 20  # a curve is averaged over this part of its length
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Curves:
    """The loss of two recipes over the same batches.

    Attributes:
        network, patch, batch: what was trained, and on what.
        losses: recipe -> loss of every step; the one to compare with first.
    """

    network: str
    patch: int
    batch: int
    losses: Mapping[str, list[float]]

    def smoothed(self) -> dict[str, np.ndarray]:
        """The losses averaged over the steps before."""
        return {name: smooth(values) for name, values in self.losses.items()}

    @property
    def difference(self) -> float:
        """Mean of ``(second - first) / first``, without signs, of the smoothed losses in the second half."""
        first, second = (values[len(values) // 2:] for values in self.smoothed().values())
        return float(np.mean(np.abs(second - first) / first))

    def __str__(self) -> str:
        """As Markdown."""
        half = len(next(iter(self.losses.values()))) // 2
        lines = [f'### Loss curves: {self.network}, LR {self.patch}x{self.patch}, batch {self.batch}', '',
                 '| | first step | second half, mean | last, smoothed |', '|---|---:|---:|---:|']
        lines += [f'| {name} | {values[0]:.5f} | {np.mean(values[half:]):.5f} | {smooth(values)[-1]:.5f} |'
                  for name, values in self.losses.items()]
        return '\n'.join([*lines, '', 'Mean relative difference of the smoothed curves over the second half: '
                          f'{self.difference:.2%}'])

    def as_json(self) -> Options:
        return {'network': self.network, 'patch': self.patch, 'batch': self.batch, 'losses': dict(self.losses),
                'difference': self.difference}


def smooth(values: list[float]) -> np.ndarray:
    """Every value as the mean of itself and those before it, a twentieth of all."""
    window = max(1, len(values) // SMOOTHED)
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def measure_curves(network: Network, recipes: tuple[Recipe, Recipe], patch: int, steps: int, root: Path,
                   device: torch.device) -> Curves:
    """Train twice from the same weights, on the same batches in the same order.

    Args:
        network: what is trained.
        recipes: the one to compare with, and the other; their batches have one size.
        patch: height and width of LR.
        steps: how many.
        root: the clips, of :func:`~satvsr_plugin.benchmarks.training_data.draw_clips`.
        device: to train on.

    Raises:
        TrainingError: a recipe cannot be trained, or a loss is no finite number.
    """
    losses = {}
    for recipe in recipes:
        if missing := recipe.missing(network.options):
            raise TrainingError(f'{recipe.name}: {missing}')
        progress = tqdm(_losses(network, recipe, patch, steps, root, device), recipe.name, steps)
        losses[recipe.name] = list(progress)
        if not all(map(math.isfinite, losses[recipe.name])):
            raise TrainingError(f'{recipe.name}: the loss is no finite number at some step; nothing to compare')
    return Curves(network.name, patch, recipes[0].batch, losses)


def _losses(network: Network, recipe: Recipe, patch: int, steps: int, root: Path,
            device: torch.device) -> Iterator[float]:
    warm_up = min(100, steps // 5)
    opt = make_opt(_from_bicubic(network.options), recipe, device, LEARNING_RATE, total_iter=steps, warmup_iter=warm_up,
                   scheduler={'type': 'CosineAnnealingRestartLR', 'periods': [steps], 'eta_min': 1e-7})
    torch.manual_seed(0)
    model = SatVSRModel(opt)
    feed = Feed(root, model, patch, recipe.batch, workers=1, samples=steps * recipe.batch)
    for iteration in range(1, steps + 1):
        model.update_learning_rate(iteration, warm_up)
        model.feed_data(feed())
        with as_in_training(recipe.tf32):
            model.optimize_parameters(iteration)
        yield float(model.get_current_log()['l_pix'])


def _from_bicubic(network: Options) -> Options:
    """Without the bicubic residual MSDTGP would spend all of a short run on getting there."""
    return network | {'residual': 'bicubic'} if network['type'] == 'MSDTGP' else network


def plot_curves(curves: Curves) -> Figure:
    """Raw losses pale, smoothed ones above them."""
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    looks = styles(list(curves.losses))
    for (name, raw), dash in zip(curves.losses.items(), ('-', '--'), strict=True):
        colour = looks[name].colour
        axes.plot(np.arange(1, len(raw) + 1), raw, color=colour, alpha=0.2, linewidth=0.8)
        axes.plot(np.arange(1, len(raw) + 1), smooth(raw), color=colour, linewidth=1.8, linestyle=dash, label=name)
    axes.set_xlabel(f'step ({curves.network}, LR {curves.patch}x{curves.patch}, batch {curves.batch})')
    axes.set_ylabel('loss (pale: raw, lines: smoothed)')
    axes.legend(frameon=False, title=f'difference in the second half: {curves.difference:.2%}')
    return figure


def write_plot(curves: Curves, path: Path) -> None:
    """Write :func:`plot_curves` as a PNG file; never half.

    Raises:
        DataError: the file cannot be written.
    """
    with look():
        content = as_png(plot_curves(curves))
    try:
        with written_beside(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error
