"""Activation checkpointing: blocks keep their input alone and compute the rest again in the backward pass.

The forward pass of these blocks runs twice a step; what is kept for the backward pass falls to less than a half, which
is what limits patches and batches.
"""

from __future__ import annotations

from functools import partial

from basicsr.archs.arch_util import ResidualBlockNoBN
from torch import nn
from torch.utils.checkpoint import checkpoint

from satvsr_plugin.archs.blocks import DownUnit, ResBlock, UpUnit
from satvsr_plugin.archs.sofvsr_arch import ShuffleBlock
from satvsr_plugin.errors import OptionError

# Of our networks and the toolbox's. None draws random numbers or keeps statistics, which a second run would change.
BLOCKS = (ResBlock, UpUnit, DownUnit, ShuffleBlock, ResidualBlockNoBN)

NO_BLOCKS = 'has no blocks that could be computed again; set it to false'


def recomputed_blocks(net: nn.Module) -> list[nn.Module]:
    """The blocks of a network that :func:`recompute_blocks` is for."""
    return [module for module in net.modules() if isinstance(module, BLOCKS)]


def recompute_blocks(net: nn.Module) -> None:
    """Make the blocks of a network forget in the forward pass what they can compute again; its state dict stays.

    Raises:
        OptionError: the network has none.
    """
    blocks = recomputed_blocks(net)
    if not blocks:
        raise OptionError(f'train.checkpointing: {type(net).__name__} {NO_BLOCKS}')
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
