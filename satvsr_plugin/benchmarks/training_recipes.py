"""The ways to train that are compared: what each has in its option file that the plain one has not."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY

from satvsr_plugin.benchmarks.ceilings import TF32
from satvsr_plugin.models.model_options import TrainOptions

Options = dict[str, Any]

SCALE = 4
PLAIN = 'plain float32'
_AMP_TYPES = {'none': 'float32', 'fp16': 'float16', 'bf16': 'bfloat16'}
_FAST: Options = {'amp': 'bf16', 'channels_last': True}


@dataclass(frozen=True)
class Recipe:
    """One way to train.

    Attributes:
        name: in tables.
        batch: samples a step.
        train: what the ``train`` section has besides the plain one's.
        network: what ``network_g`` has besides.
        fused: whether the optimizer is one kernel instead of many; None: as torch chooses.
        tf32: whether a GPU may multiply float32 with the 10 bits of TF32, as torch does in convolutions if left alone.
    """

    name: str
    batch: int = 1
    train: Options = field(default_factory=dict)
    network: Options = field(default_factory=dict)
    fused: bool | None = None
    tf32: bool = False

    @property
    def kind(self) -> str:
        """The type that most is computed in, as :class:`~satvsr_plugin.benchmarks.ceilings.Ceilings` names it."""
        kind = _AMP_TYPES[self.train.get('amp', 'none')]
        return TF32 if kind == 'float32' and self.tf32 else kind

    @property
    def compiled(self) -> bool:
        return bool(self.train.get('compile'))

    def missing(self, network: Options) -> str | None:
        """What this version lacks for it; None where it lacks nothing.

        Args:
            network: ``network_g`` of the plain recipe.
        """
        options = [f'train.{name}' for name in self.train if name not in TrainOptions.model_fields]
        known = inspect.signature(ARCH_REGISTRY.get(network['type'])).parameters
        options += [f'network_g.{name} of {network["type"]}' for name in self.network if name not in known]
        return f'there is no option {", ".join(options)}' if options else None


def make_opt(network: Options, recipe: Recipe, device: torch.device, rate: float = 1e-4, **train: Any) -> Options:
    """Options of ``SatVSRModel``, as the toolbox hands them to it.

    Args:
        network: ``network_g`` of the plain recipe.
        recipe: what to change.
        device: to train on.
        rate: the learning rate, unless the recipe brings an optimizer of its own.
        train: further keys of the ``train`` section, below the recipe's.
    """
    optimizer: Options = {'type': 'Adam', 'lr': rate, 'betas': [0.9, 0.99]}
    if recipe.fused is not None:
        optimizer['fused'] = recipe.fused
    return {
        'name': recipe.name, 'model_type': 'SatVSRModel', 'scale': SCALE, 'is_train': True,
        'num_gpu': int(device.type == 'cuda'), 'dist': False, 'rank': 0, 'world_size': 1, 'manual_seed': 0,
        'network_g': network | recipe.network, 'datasets': {}, 'path': {'models': '', 'training_states': ''},
        'logger': {'print_freq': 100},
        'train': {'total_iter': 10**6, 'optim_g': optimizer, 'grad_clip_norm': 1.0,
                  'scheduler': {'type': 'MultiStepLR', 'milestones': [10**6]},
                  'pixel_opt': {'type': 'CharbonnierLoss'}} | train | recipe.train,
        'val': {},
    }


def plain_recipe(device: torch.device, batch: int = 1) -> Recipe:
    """The one that all are compared with: float32 in full precision, nothing compiled or fused."""
    return Recipe(PLAIN, batch, fused=False if device.type == 'cuda' else None)


def fast_recipe(device: torch.device, batch: int, compiled: bool) -> Recipe:
    """What helps, together: bf16 and channels_last; on a GPU also the fused optimizer and TF32 where float32 stays."""
    on_gpu = device.type == 'cuda'
    name = 'bf16, channels_last' + (', fused' if on_gpu else '') + (', compile' if compiled else '')
    return Recipe(name, batch, _FAST | ({'compile': True} if compiled else {}), fused=on_gpu or None, tf32=on_gpu)


def recipes(device: torch.device, batches: Sequence[int], with_compile: bool, in_full: bool = True) -> list[Recipe]:
    """The recipes to measure, the plain one first, those that are worth least, or cost most, last.

    Args:
        device: to train on.
        batches: sizes of batches for the fast recipe.
        with_compile: add those that compile the network.
        in_full: False leaves out what is between the plain and the fast recipe.
    """
    fast, largest = fast_recipe(device, 1, compiled=False), max(batches)
    found = [plain_recipe(device), *(_steps_between(device) if in_full else []), fast]
    compiled = [fast_recipe(device, batch, compiled=True) for batch in dict.fromkeys((min(16, largest), 1))
                ] if with_compile else []
    if in_full and device.type == 'cuda':
        found += compiled[:1] + _around(fast)
        compiled = compiled[1:]
    found += [replace(fast, batch=batch) for batch in batches if batch > 1]
    if in_full:
        found.append(replace(fast, name=f'{fast.name}, checkpointing', batch=largest,
                                   train=fast.train | {'checkpointing': True}))
    return found + compiled


def _steps_between(device: torch.device) -> list[Recipe]:
    plain = plain_recipe(device)
    found = [replace(plain, name='float32, channels_last', train={'channels_last': True})]
    if device.type == 'cuda':
        found += [replace(plain, name='TF32', tf32=True),
                  replace(plain, name='bf16, channels_last', train=_FAST, tf32=True),
                  replace(plain, name='fp16 with scaler, channels_last', train=_FAST | {'amp': 'fp16'}, tf32=True)]
    return found


def _around(fast: Recipe) -> list[Recipe]:
    """The fast recipe with the averaged weights, and with each implementation of the deformable convolution."""
    return [replace(fast, name=f'{fast.name}, EMA', train=fast.train | {'ema_decay': 0.999}),
            *(replace(fast, name=f'{fast.name}, dcn: {dcn}', network={'dcn': dcn})
              for dcn in ('mmcv', 'torchvision', 'triton'))]
