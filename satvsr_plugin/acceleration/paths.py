"""Which fast paths a network takes in inference, and what keeps it from one; can be imported without torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from satvsr_plugin.acceleration.allocator import can_keep_freed_memory
from satvsr_plugin.errors import OptionError

if TYPE_CHECKING:
    import torch

PathName = Literal['channels_last', 'fused', 'kept_memory', 'compiled', 'graphs', 'subpixel']
NAMES: tuple[str, ...] = get_args(PathName)
FastOption = str | Sequence[str]  # auto, none, or names


class FastPaths(NamedTuple):
    """All off: the plain network.

    Attributes:
        channels_last: weights and features with the channels innermost.
        fused: on a CPU: weights packed once, PReLUs and sums computed in passing, alignment on all cores.
        kept_memory: on a CPU: freed memory is kept for the next tensor, see ``allocator``.
        compiled: by ``torch.compile``, without graph breaks; takes a minute at the start, and for each new size.
        graphs: on a GPU: CUDA graphs, which spare the launching of kernels; compiled, too.
        subpixel: strided layers as convolutions without a stride.
        windows: how many windows a batch has; 0: by their size.
    """

    channels_last: bool = False
    fused: bool = False
    kept_memory: bool = False
    compiled: bool = False
    graphs: bool = False
    subpixel: bool = False
    windows: int = 1

    def __str__(self) -> str:
        names = [name for name in NAMES if getattr(self, name)]
        if self.windows != 1:
            names.append(f'{self.windows or "several"} windows at once')
        return ', '.join(names) or 'none'


def choose_fast_paths(option: FastOption, device: torch.device) -> FastPaths:
    """From what the user wants to what is done.

    Args:
        option: ``auto``: what is safe and starts at once; ``none``; or some of ``NAMES``.
        device: where the network computes.

    Raises:
        OptionError: a name is not known, or cannot be had on this device.
    """
    if option == 'none':
        return FastPaths()
    if option == 'auto':
        if device.type != 'cpu':
            return FastPaths(channels_last=True, windows=0)
        return FastPaths(channels_last=True, fused=fused_problem() is None, kept_memory=can_keep_freed_memory())
    names = {name.strip() for name in ([option] if isinstance(option, str) else option) if name.strip()}
    unknown = names - set(NAMES)
    if unknown or not names:
        raise OptionError(f'fast: {", ".join(sorted(unknown)) or "no name"} is not known; choose auto or none, each '
                          f'alone, or some of {", ".join(NAMES)}')
    for name, fault in (('fused', _fused_refused(names, device)), ('kept_memory', _kept_memory_refused(device)),
                        ('graphs', _graphs_refused(device))):
        if name in names and fault:
            raise OptionError(f'fast: {name}: {fault}')
    if 'graphs' in names:
        names.add('compiled')
    return FastPaths(**dict.fromkeys(names, True), windows=int(device.type == 'cpu'))


@cache
def fused_problem() -> str | None:
    """As ``fused_fault``, found out once."""
    from satvsr_plugin.acceleration.fused import fused_fault

    return fused_fault()


def _fused_refused(names: set[str], device: torch.device) -> str | None:
    if device.type != 'cpu':
        return 'is for CPUs'
    if 'subpixel' in names or 'compiled' in names:
        return 'cannot be had together with compiled or subpixel'
    return fused_problem()


def _kept_memory_refused(device: torch.device) -> str | None:
    if device.type != 'cpu':
        return 'is for CPUs'
    return None if can_keep_freed_memory() else 'needs glibc, and no setting of its own in the environment'


def _graphs_refused(device: torch.device) -> str | None:
    return None if device.type == 'cuda' else 'CUDA graphs need a CUDA GPU'
