"""Several processes on one video: started by torchrun, each takes a contiguous share of the frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from torch import distributed

LONGEST_WAIT = timedelta(days=7)  # for the slowest process, at the end


@dataclass(frozen=True)
class Processes:
    """This process's place among those that work on the same video.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        local_rank: its number on this computer, which chooses its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prepares and finishes the output."""
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """The first process's value, in all of them; any plain Python object."""
        if self.count == 1:
            return value
        holder = [value if self.is_first else None]
        distributed.broadcast_object_list(holder)
        return holder[0]

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            distributed.barrier()

    def take(self, parts: Sequence[range]) -> list[range]:
        """This process's share of the parts, contiguous and about as many frames as the others'."""
        total, before, mine = sum(map(len, parts)), 0, []
        for part in parts:
            middle = before + len(part) / 2
            if int(middle * self.count / total) == self.rank:
                mine.append(part)
            before += len(part)
        return mine


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """What torchrun started, joined over gloo: only a few numbers are exchanged, whatever computes the frames."""
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1:
        yield Processes()
        return
    distributed.init_process_group('gloo', timeout=LONGEST_WAIT)
    try:
        yield Processes(distributed.get_rank(), count, int(os.environ.get('LOCAL_RANK', '0')))
    finally:
        distributed.destroy_process_group()
