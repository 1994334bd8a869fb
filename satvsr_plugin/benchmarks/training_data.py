"""Drawn clips in LMDBs, and the toolbox's own loader over them: what a training run would read."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basicsr import train as toolbox_training
from basicsr.data import build_dataset

from satvsr_plugin.benchmarks.measuring import synchronize
from satvsr_plugin.benchmarks.training_model import as_in_training, frames_of
from satvsr_plugin.benchmarks.training_recipes import SCALE
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.data.simulation import SimulationOptions, simulate_dataset
from satvsr_plugin.models import SatVSRModel

Batch = dict[str, Any]
SAMPLES = 200_000  # of an epoch: more than a measurement takes, since between epochs the loader starts anew
WARM_UP = 3  # steps that are not counted


def draw_clips(folder: Path, clips: int, frames: int, size: int) -> Path:
    """Draw clips and pack GT and LR into raw LMDBs; returns what to give as ``dataroot``."""
    with contextlib.redirect_stderr(io.StringIO()):  # their progress bars
        simulate_dataset(folder, SimulationOptions(clips=clips, test_clips=0, frames=frames, size=size))
        root = folder / 'train'
        for side in ('GT', f'LR{SCALE}x'):
            write_lmdb(ClipFolder(root / side), root / f'{side}.lmdb', 'raw')
    return root


class Feed:
    """Batches as ``basicsr train`` gets them: its data set, sampler, loader and prefetcher.

    Args:
        root: of :func:`draw_clips`.
        model: that is fed.
        patch: height and width of LR.
        batch: samples a step.
        workers: processes that read.
        samples: of an epoch; at its end the sampler begins another.
    """

    def __init__(self, root: Path, model: SatVSRModel, patch: int, batch: int, workers: int,
                 samples: int = SAMPLES) -> None:
        on_gpu, sees_clips = model.device.type == 'cuda', model.spec.sees == 'clip'
        opt = {
            'phase': 'train', 'scale': SCALE, 'name': 'drawn',
            'type': 'Jilin189RecurrentDataset' if sees_clips else 'Jilin189Dataset',
            'dataroot': str(root), 'io_backend': {'type': 'lmdb'}, 'gt_size': SCALE * patch,
            'num_frame': frames_of(model.spec), 'random_reverse': True, 'use_rot': True,
            'batch_size_per_gpu': batch, 'num_worker_per_gpu': workers,
            'prefetch_mode': 'cuda' if on_gpu else None, 'pin_memory': on_gpu}
        data = build_dataset(opt)
        self._sampler = toolbox_training.EnlargedSampler(data, 1, 0, max(1, samples / len(data)))
        loader = toolbox_training.build_dataloader(
            data, opt, num_gpu=model.opt['num_gpu'], dist=False, sampler=self._sampler, seed=0)
        self._epoch = 0
        self._sampler.set_epoch(0)
        self._batches = (toolbox_training.CUDAPrefetcher(loader, model.opt) if on_gpu
                         else toolbox_training.CPUPrefetcher(loader))
        self._batches.reset()

    def __call__(self) -> Batch:
        """The next batch, of the next epoch where this one is over."""
        batch = self._batches.next()
        if batch is None:
            self._epoch += 1
            self._sampler.set_epoch(self._epoch)
            self._batches.reset()
            batch = self._batches.next()
        return batch


@dataclass
class Waiting:
    """How long training waits for data.

    Attributes:
        network, patch, recipe, batch: what is trained, and how.
        workers: processes that read.
        share: of the time in which the training loop waits for its next batch.
        samples_s: samples a second, waiting included.
        reason: why there are no figures.
    """

    network: str
    patch: int
    recipe: str
    batch: int
    workers: int
    share: float | None = None
    samples_s: float | None = None
    reason: str | None = None


def waiting_share(fetch: Callable[[], Batch], step: Callable[[Batch], None], wait: Callable[[], None],
                  seconds: float, warm_up: int) -> tuple[float, float]:
    """Train for a while and time the waiting.

    Args:
        fetch: waits for a batch.
        step: trains on one.
        wait: until the device is done.
        seconds: how long, at least one step.
        warm_up: steps before that.

    Returns:
        The share of the time in which ``fetch`` was waited for, and steps a second.
    """
    for _ in range(warm_up):
        step(fetch())
    wait()
    waited, steps, start = 0.0, 0, time.perf_counter()
    while time.perf_counter() - start < seconds or not steps:
        before = time.perf_counter()
        batch = fetch()
        waited += time.perf_counter() - before
        step(batch)
        steps += 1
    wait()
    total = time.perf_counter() - start
    return waited / total, steps / total


def measure_waiting(model: SatVSRModel, feed: Feed, workers: int, tf32: bool, seconds: float) -> tuple[float, float]:
    """:func:`waiting_share` of a model that trains on a feed.

    Args:
        model, feed: what trains on what.
        workers: of the feed.
        tf32: as of the recipe.
        seconds: how long.
    """
    iteration = 0

    def step(batch: Batch) -> None:
        nonlocal iteration
        iteration += 1
        model.feed_data(batch)
        model.optimize_parameters(iteration)

    with as_in_training(tf32):
        return waiting_share(feed, step, lambda: synchronize(model.device), seconds, warm_up_steps(workers))


def warm_up_steps(workers: int) -> int:
    """Steps until the batches that the workers made while they started are used up."""
    return WARM_UP + 2 * workers
