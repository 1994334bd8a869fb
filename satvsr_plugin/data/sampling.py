"""Which sample comes when in training, and what random numbers it draws: the same on any number of workers.

The toolbox seeds its workers, so what a sample looks like depends on the worker that makes it and on all that this
worker made before. Here every sample has a seed of its own, drawn for its place in the epoch, and batches carry their
place, from which a killed run goes on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from basicsr.data.data_sampler import EnlargedSampler
from torch.utils.data import Dataset, get_worker_info

PLACE = 'place'  # key of a batch


@dataclass(frozen=True)
class Draw:
    """What a sampler asks a data set for.

    Attributes:
        index: in the data set.
        seed: of the sample's random numbers.
        epoch: the pass over the data, from 0.
        position: among the samples of the epoch, those of all processes counted, from 0.
    """

    index: int
    seed: int
    epoch: int
    position: int


class Place(NamedTuple):
    """How far training has come: ``position`` samples of an epoch are done, those of all processes counted."""

    epoch: int
    position: int

    @classmethod
    def after(cls, batch: dict[str, Any], world_size: int) -> Place | None:
        """After a batch of the first process; None where the batch does not carry its place."""
        if PLACE not in batch:
            return None
        place = batch[PLACE]
        return cls(int(place['epoch'][-1]), int(place['position'][-1]) + world_size)


class ResumableSampler(EnlargedSampler):
    """The toolbox's sampler, in its order, with a seed for every sample, and able to begin within an epoch.

    Processes take turns: whatever their number, together they show the same samples in the same order. Where it does
    not divide the samples, the first ones of an epoch are shown once more at its end.

    Args:
        dataset: gives the number of samples.
        num_replicas: number of processes.
        rank: of this process.
        ratio: how often an epoch shows each sample.

    Attributes:
        seed: of the whole run, ``manual_seed``.
        start: where the first epoch of this run begins.
    """

    def __init__(self, dataset: Any, num_replicas: int, rank: int, ratio: float = 1) -> None:
        super().__init__(dataset, num_replicas, rank, ratio)
        self.num_different = math.ceil(len(dataset) * ratio)
        self.seed = 0
        self.start = Place(0, 0)

    def __iter__(self) -> Iterator[Draw]:
        order = torch.randperm(self.num_different, generator=torch.Generator().manual_seed(self.epoch))
        # The order depends on the epoch alone, as in the toolbox; what a sample draws, on the run's seed too.
        generator = torch.Generator().manual_seed(self.seed * 2**20 + self.epoch)
        seeds = torch.randint(2**63 - 1, (self.total_size,), generator=generator)
        for position in self._positions():
            index = int(order[position % self.num_different]) % len(self.dataset)
            yield Draw(index, int(seeds[position]), self.epoch, position)

    def num_left(self) -> int:
        """Samples of this process that the epoch still has; as many as every other process has."""
        return len(self._positions())

    def _positions(self) -> range:
        begin = self.start.position if self.epoch == self.start.epoch else 0
        begin = math.ceil(begin / self.num_replicas) * self.num_replicas
        return range(begin + self.rank, self.total_size, self.num_replicas)


class SeededSamples(Dataset):
    """A training set whose samples draw random numbers from their own seeds, be it with torch, numpy or ``random``.

    Args:
        dataset: any training set; where its samples are dictionaries, they get their place in the epoch.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Any:
        with _seeded(draw.seed):
            sample = self.dataset[draw.index]
        if not isinstance(sample, dict):
            return sample
        return sample | {PLACE: {'epoch': draw.epoch, 'position': draw.position}}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, and put them back where the network's own random numbers come from them too."""
    with nullcontext() if get_worker_info() else random_states_kept():
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Whatever is drawn in the block, the global generators of this process go on as if it had not been."""
    states = random_states()
    try:
        yield
    finally:
        restore_random_states(states)


def random_states() -> dict[str, Any]:
    """The states of the global generators of this process: plain values and tensors, which a checkpoint may hold."""
    state = np.random.get_state(legacy=True)
    assert isinstance(state, tuple)  # as legacy asks
    name, keys, *rest = state
    return {'torch': torch.get_rng_state(), 'numpy': [name, torch.from_numpy(keys.astype(np.int64)), *rest],
            'python': random.getstate()}


def restore_random_states(states: dict[str, Any]) -> None:
    """Put back what :func:`random_states` gave."""
    name, keys, *rest = states['numpy']
    torch.set_rng_state(states['torch'])
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    random.setstate(states['python'])
