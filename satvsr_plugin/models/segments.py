"""Cuts clips into overlapping segments, where a network that sees whole clips would run out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

# What BasicVSR++, the most demanding, keeps of every LR pixel of every frame: its own features and those of four
# branches, 64 channels each, one more while it propagates, in float32; besides the results, twice.
_KEPT_FEATURES = 6 * 64
_SHARE_OF_FREE_MEMORY = 0.5  # the rest is for what a network holds of one frame at full resolution


class Segment(NamedTuple):
    """Frames ``start`` to ``stop`` of a clip go through the network; results of ``first`` to ``last`` are kept.

    All are indices in the clip; ``stop`` and ``last`` do not belong to it any more.
    """

    clip: str
    start: int
    stop: int
    first: int
    last: int


def cut(clip: str, length: int, longest: int, overlap: int) -> Iterator[Segment]:
    """Cut a clip into as few segments as possible.

    Neighbouring segments share frames, so that every kept result but those at the clip's ends has at least
    ``overlap`` frames before it and after it, from which the network carries over what it has seen.

    Args:
        clip: its name.
        length: its number of frames.
        longest: number of frames that a segment may have, more than ``2 * overlap``.
        overlap: see above.
    """
    kept = length if length <= longest else longest - 2 * overlap
    for first in range(0, length, kept):
        last = min(first + kept, length)
        yield Segment(clip, max(0, first - overlap), min(length, last + overlap), first, last)


def affordable_frames(height: int, width: int, scale: int, device: torch.device) -> int:
    """How many LR frames of this size a segment may have so that the free memory very likely holds it; at least 1."""
    per_pixel = 4 * (_KEPT_FEATURES + 2 * 3 * scale**2)  # bytes
    return max(1, int(_SHARE_OF_FREE_MEMORY * free_memory(device)) // (per_pixel * height * width))


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a GPU, or in the computer's memory."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    info = Path('/proc/meminfo')
    for line in info.read_text().splitlines() if info.exists() else ():
        name, _, value = line.partition(':')
        if name == 'MemAvailable':
            return int(value.split()[0]) * 1024
    return 2**62  # not Linux: unknown, taken as unlimited


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory; on a CPU only the words of its allocator say so."""
    words = ('not enough memory', "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(phrase in str(error) for phrase in words)
