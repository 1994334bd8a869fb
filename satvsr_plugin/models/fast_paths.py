"""The options that make training faster or smaller, and leave what is learnt as it is: on a network, and in words."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parallel import DataParallel

from satvsr_plugin.errors import OptionError
from satvsr_plugin.models.compilation import compile_in_place
from satvsr_plugin.models.model_options import TrainOptions
from satvsr_plugin.models.recomputation import recompute_blocks


def prepare(net: nn.Module, options: TrainOptions) -> None:
    """Change a network that is about to learn; the names in its state dict stay.

    Args:
        net: as ``model_to_device`` gives it, bare or wrapped for data parallelism.
        options: ``checkpointing`` and ``compile``.

    Raises:
        OptionError: they cannot be had together with what wraps the network, or for this network.
    """
    if isinstance(net, DataParallel) and (options.compile or options.checkpointing):
        raise OptionError('train.compile, train.checkpointing: several GPUs need a process each; start with torchrun '
                          'and --launcher pytorch, or set num_gpu: 1')
    bare = getattr(net, 'module', net)
    if options.checkpointing:
        recompute_blocks(bare)
    if options.compile:
        compile_in_place(bare)


def in_words(options: TrainOptions, optimizer: torch.optim.Optimizer, keeps_memory: bool) -> str:
    """Which of them are on, e.g. ``amp bf16, channels_last, compiled, fused Adam``."""
    paths = {f'amp {options.amp}': options.amp != 'none', 'channels_last': options.channels_last,
             'kept_memory': keeps_memory, 'compiled': options.compile, 'checkpointing': options.checkpointing,
             f'fused {type(optimizer).__name__}': optimizer.defaults.get('fused')}
    return ', '.join(name for name, on in paths.items() if on) or 'none'
