"""Order and random numbers of training samples: the same on any number of processes and workers, and after a stop."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from satvsr_plugin.data.sampling import (
    Place,
    ResumableSampler,
    SeededSamples,
    random_states,
    random_states_kept,
    restore_random_states,
)

NUMBER = 23


class _Numbers(Dataset):
    """Samples that draw from all generators."""

    def __len__(self) -> int:
        return NUMBER

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {'index': index, 'drawn': torch.tensor([torch.rand(()).item(), np.random.rand(), random.random()],
                                                      dtype=torch.float64)}


def sampler(num_replicas: int = 1, rank: int = 0, ratio: float = 1, epoch: int = 0, seed: int = 3,
            start: Place | None = None) -> ResumableSampler:
    made = ResumableSampler(_Numbers(), num_replicas, rank, ratio)
    made.seed, made.start = seed, start or made.start
    made.set_epoch(epoch)
    return made


def batches(workers: int, batch: int = 1, **arguments: Any) -> list[dict[str, Any]]:
    return list(DataLoader(SeededSamples(_Numbers()), batch, sampler=sampler(**arguments), num_workers=workers,
                           drop_last=True))


@pytest.mark.parametrize('ratio', [1, 3])
def test_the_order_is_the_toolbox_s(ratio: int) -> None:
    from basicsr.data.data_sampler import EnlargedSampler

    theirs = EnlargedSampler(_Numbers(), 1, 0, ratio)
    theirs.set_epoch(4)
    assert [draw.index for draw in sampler(ratio=ratio, epoch=4)] == list(theirs)


@pytest.mark.parametrize('processes', [2, 3, 4])
def test_every_sample_is_seen_once_an_epoch_by_one_of_the_processes(processes: int) -> None:
    shares = [list(sampler(processes, rank)) for rank in range(processes)]
    assert {len(share) for share in shares} == {-(-NUMBER // processes)}
    together = [draw for turn in zip(*shares, strict=True) for draw in turn]
    alone = list(sampler())
    assert together[:NUMBER] == alone  # same order, same random numbers
    assert [draw.index for draw in together[NUMBER:]] == [draw.index for draw in alone[:len(together) - NUMBER]]


def test_what_is_drawn_depends_on_sample_epoch_and_seed_only() -> None:
    alone = batches(workers=0)
    for workers in (1, 4):
        assert all(torch.equal(a['drawn'], b['drawn']) and a['index'] == b['index']
                   for a, b in zip(alone, batches(workers), strict=True))
    drawn = torch.cat([batch['drawn'] for batch in alone])
    assert drawn.unique().numel() == 3 * NUMBER
    for other in (batches(0, epoch=1), batches(0, seed=4)):
        assert not torch.isin(torch.cat([batch['drawn'] for batch in other]), drawn).any()


@pytest.mark.parametrize('batch, processes', [(2, 1), (3, 1), (2, 2)])
def test_a_resumed_epoch_goes_on_with_the_next_sample(batch: int, processes: int) -> None:
    seen = batches(0, batch=2)[:3]
    place = Place.after(seen[-1], world_size=1)
    assert place == Place(0, 6)
    rest = [index for rank in range(processes)
            for item in batches(0, batch=batch, num_replicas=processes, rank=rank, start=place)
            for index in item['index'].tolist()]
    left = [draw.index for draw in sampler()][6:]
    assert set(rest) <= set(left) and len(rest) == len(set(rest))
    assert len(rest) == len(left) // (batch * processes) * batch * processes
    assert sampler(processes, 0, start=place).num_left() == len(left) // processes + (len(left) % processes > 0)
    assert [draw.index for draw in sampler(epoch=1, start=place)] == [draw.index for draw in sampler(epoch=1)]


def test_without_workers_the_network_s_random_numbers_go_on_undisturbed() -> None:
    torch.manual_seed(0)
    expected = torch.rand(5)
    torch.manual_seed(0)
    samples = iter(SeededSamples(_Numbers())[draw] for draw in sampler())
    found = []
    for _ in range(5):
        next(samples)
        found.append(torch.rand(()))
    assert torch.equal(torch.stack(found), expected)


def test_random_states_survive_a_checkpoint(tmp_path) -> None:
    torch.save(random_states(), tmp_path / 'states.pth')
    with random_states_kept():
        expected = torch.rand(3), np.random.rand(3), [random.random() for _ in range(3)]
    again = torch.rand(3), np.random.rand(3), [random.random() for _ in range(3)]
    restore_random_states(torch.load(tmp_path / 'states.pth', weights_only=True))
    found = torch.rand(3), np.random.rand(3), [random.random() for _ in range(3)]
    for numbers in (again, found):
        assert torch.equal(numbers[0], expected[0])
        assert (numbers[1] == expected[1]).all()
        assert numbers[2] == expected[2]
