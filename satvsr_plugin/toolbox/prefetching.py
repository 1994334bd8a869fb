"""``prefetch_mode: cuda`` of the toolbox (BasicSR 1.4.2), which may give its memory away while it is still read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from satvsr_plugin.errors import OptionError


class CUDAPrefetcher:
    """Copies the next batch to the GPU on a stream of its own while the network is at work on this one.

    The toolbox's does not tell the allocator that the network's stream reads what its own stream has made: once a batch
    is dropped, the next copy may be written over it while kernels that are queued still read it. Besides, it starts the
    workers of the loader twice, and loads the first batch twice.

    A batch keeps its place in the epoch, which is what a run goes on from: the one that is fetched already, but not yet
    trained on, does not count.

    Args:
        loader: gives dictionaries; needs ``pin_memory``, else the copies wait.
        opt: the toolbox's options.

    Raises:
        OptionError: there is no GPU, or training does not use it.
    """

    def __init__(self, loader: DataLoader, opt: dict[str, Any]) -> None:
        if opt['num_gpu'] == 0 or not torch.cuda.is_available():
            raise OptionError('datasets.train.prefetch_mode: is cuda, but training runs on the CPU; use ~ or cpu')
        self.loader = loader
        self.stream = torch.cuda.Stream()
        self.batch: dict[str, Any] | None = None

    def reset(self) -> None:
        """Begin the epoch that the sampler was set to."""
        self._batches = iter(self.loader)
        self._fetch()

    def next(self) -> dict[str, Any] | None:
        """The batch that was fetched, None at the end of an epoch; its tensors are on the GPU."""
        current = torch.cuda.current_stream()
        current.wait_stream(self.stream)
        batch = self.batch
        for value in (batch or {}).values():
            if isinstance(value, Tensor):
                value.record_stream(current)
        self._fetch()
        return batch

    def _fetch(self) -> None:
        batch = next(self._batches, None)
        if batch is not None:
            with torch.cuda.stream(self.stream):
                batch = {key: value.to('cuda', non_blocking=True) if isinstance(value, Tensor) else value
                         for key, value in batch.items()}
        self.batch = batch
