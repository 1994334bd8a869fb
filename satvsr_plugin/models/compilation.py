"""torch.compile in training: networks that are compiled in place, and what is told where that is not possible."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from satvsr_plugin.errors import OptionError

BACKEND = 'inductor'
OWN_NETWORKS = 'satvsr_plugin.archs'  # they have no graph breaks, which is tested; with those of others nobody knows


def compile_in_place(net: nn.Module) -> None:
    """Compile at the first call, for each new size of the input, keeping the names in the state dict as they are."""
    net.compile(fullgraph=type(net).__module__.startswith(OWN_NETWORKS), backend=BACKEND)


@contextmanager
def uncompiled(compiles: bool) -> Iterator[None]:
    """Here compiled networks run as if they were not: of inputs of many sizes, each would be compiled.

    Args:
        compiles: whether anything is compiled; else torch's compiler, which is large, is not even imported.
    """
    with torch.compiler.set_stance('force_eager') if compiles else nullcontext():
        yield


@contextmanager
def compile_errors_told(compiles: bool) -> Iterator[None]:
    """What the compiler cannot do, in one message.

    Args:
        compiles: as above.

    Raises:
        OptionError: a network cannot be compiled on this machine.
    """
    if not compiles:
        yield
        return
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    try:
        yield
    except (TorchDynamoException, FailOnRecompileLimitHit) as error:
        cause = getattr(error, 'inner_exception', error)
        reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), '')
        raise OptionError(
            f'train.compile: torch.compile cannot compile this network here ({type(cause).__name__}: {reason}). It '
            'needs Triton on a GPU and a C++ compiler (g++) on a CPU; set compile: false to train without') from error
