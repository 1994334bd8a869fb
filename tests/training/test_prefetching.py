"""``prefetch_mode: cuda`` on streams that only write down what is asked of them, and page-locked batches."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from satvsr_plugin.errors import OptionError
from satvsr_plugin.option_check.data import data_problems
from satvsr_plugin.toolbox import training
from satvsr_plugin.toolbox.prefetching import CUDAPrefetcher

toolbox_train = importlib.import_module('basicsr.train')  # only now: satvsr_plugin mends the import


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the GPU, in order."""
    found: list[str] = []
    streams = []

    class Stream:
        def __init__(self) -> None:
            streams.append(self)
            self.name = ('network', 'copies')[len(streams) - 1]

        def wait_stream(self, other: Stream) -> None:
            found.append(f'{self.name} waits for {other.name}')

    @contextmanager
    def inside(stream: Stream) -> Iterator[None]:
        found.append(f'on {stream.name}')
        yield
        found.append(f'off {stream.name}')

    def to(self: torch.Tensor, device: str, non_blocking: bool = False) -> torch.Tensor:
        found.append(f'{int(self)} to {device}{"" if non_blocking else ", waiting"}')
        return self

    network = Stream()
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'Stream', Stream)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda: network)
    monkeypatch.setattr(torch.cuda, 'stream', inside)
    monkeypatch.setattr(torch.Tensor, 'to', to)
    monkeypatch.setattr(torch.Tensor, 'record_stream',
                        lambda self, stream: found.append(f'{int(self)} is read by {stream.name}'))
    return found


class Batches:
    """Two batches an epoch."""

    def __init__(self) -> None:
        self.begun = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.begun += 1
        return iter([{'lq': torch.tensor(10 * self.begun + number), 'place': {'epoch': [self.begun]}, 'key': 'text'}
                     for number in (1, 2)])


def test_the_network_reads_a_batch_before_its_memory_may_be_given_away(events: list[str]) -> None:
    prefetcher = CUDAPrefetcher(Batches(), {'num_gpu': 1})
    assert events == []
    prefetcher.reset()
    assert events == ['on copies', '11 to cuda', 'off copies']
    del events[:]
    batch = prefetcher.next()
    assert int(batch['lq']) == 11 and batch['place'] == {'epoch': [1]} and batch['key'] == 'text'
    assert events == ['network waits for copies', '11 is read by network', 'on copies', '12 to cuda', 'off copies']


def test_epochs_begin_and_end(events: list[str]) -> None:
    batches = Batches()
    prefetcher = CUDAPrefetcher(batches, {'num_gpu': 1})
    seen = []
    for _ in range(2):
        prefetcher.reset()
        while (batch := prefetcher.next()) is not None:
            seen.append(int(batch['lq']))
        assert prefetcher.batch is None
    assert seen == [11, 12, 21, 22]
    assert batches.begun == 2  # the toolbox's begins three times


def test_the_training_loop_uses_it() -> None:
    assert toolbox_train.CUDAPrefetcher is CUDAPrefetcher


@pytest.mark.parametrize('there', [True, False])
def test_without_gpu_it_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: there)
    with pytest.raises(OptionError, match=r'datasets\.train\.prefetch_mode: is cuda, but training runs on the CPU'):
        CUDAPrefetcher(Batches(), {'num_gpu': 0 if there else 1})
    options = {'num_gpu': 0, 'datasets': {'train': {
        'name': 'a', 'type': 'REDSDataset', 'pin_memory': True, 'prefetch_mode': 'cuda', 'batch_size_per_gpu': 1,
        'num_worker_per_gpu': 0}}}
    told = [item.what for item in data_problems(options, True, None) if item.where.endswith('prefetch_mode')]
    assert told == [f'is cuda, but {"num_gpu is 0" if there else "PyTorch sees no GPU"}; use ~ or cpu']


@pytest.mark.parametrize('there, num_gpu, given, locked', [
    (True, 1, {}, True), (True, 0, {}, False), (False, 1, {}, False), (True, 1, {'pin_memory': False}, False)])
def test_batches_for_a_gpu_are_page_locked_by_themselves(monkeypatch: pytest.MonkeyPatch, there: bool, num_gpu: int,
                                                         given: dict, locked: bool) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: there)
    asked: list[dict[str, Any]] = []

    class Loader:
        pass

    def build(_dataset: Any, options: dict[str, Any], **_: Any) -> Loader:
        asked.append(options)
        return Loader()

    training._build_dataloader(build, [0], given, sampler=object(), num_gpu=num_gpu)
    assert asked[0]['pin_memory'] is locked
