"""The ``train`` section: steps, losses, optimizer, learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY
from torch import nn

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.models.recomputation import NO_BLOCKS, recomputed_blocks
from satvsr_plugin.option_check.general import registered, section
from satvsr_plugin.option_check.networks import built_without_weights, network_argument
from satvsr_plugin.option_check.schema import SCHEDULERS, ForeignTrainOptions, OptimizerOptions
from satvsr_plugin.option_sentences import Problem, problems_of_call, problems_of_section
from satvsr_plugin.options import unknown_name

_OPTIMIZERS = ('Adam',)  # the toolbox builds no other
_LOSSES = ('pixel_opt', 'perceptual_opt', 'gan_opt', 'ldl_opt', 'feature_matching_opt')  # of the toolbox's models


def train_problems(opt: dict[str, Any], model: type | None, spec: InputSpec | None) -> Iterator[Problem]:
    """The whole section.

    Args:
        opt: the options.
        model: the class of ``model_type``; ``train_options`` (a pydantic model) declares its options.
        spec: what ``network_g`` gives and wants; None where that is not known.
    """
    train = section(opt, 'train')
    if not train:
        return
    yield from problems_of_section(getattr(model, 'train_options', ForeignTrainOptions), train, 'train')
    for key in train:
        if str(key).startswith('optim_') and section(train, key):
            yield from _optimizer_problems(section(train, key), f'train.{key}')
    if section(train, 'scheduler'):
        yield from _scheduler_problems(section(train, 'scheduler'), train.get('total_iter'))
    losses = [key for key in _LOSSES if section(train, key)]
    if not losses:
        yield Problem('train.pixel_opt', 'is missing; there is no loss to train with')
    for key in losses:
        yield from _loss_problems(section(train, key), f'train.{key}')
    if section(train, 'aux_opt'):
        yield from _aux_loss_problems(opt, section(train, 'aux_opt'), spec)
    if train.get('fix_flow') and not network_argument(opt, 'spynet_path') and not section(opt, 'path').get(
            'pretrain_network_g'):
        yield Problem('train.fix_flow', 'keeps the flow network from learning, but nothing says where its weights '
                                        'come from; give network_g.spynet_path, or remove fix_flow')
    if train.get('checkpointing') is True and spec is not None:
        yield from _checkpointing_problems(section(opt, 'network_g'))


def _checkpointing_problems(network: dict[str, Any]) -> Iterator[Problem]:
    """A network that was built already, so that it can be."""
    arguments = {key: value for key, value in network.items() if key != 'type'}
    if not recomputed_blocks(built_without_weights(ARCH_REGISTRY.get(network['type']), arguments)):
        yield Problem('train.checkpointing', f'is true, but {network["type"]} {NO_BLOCKS}')


def _aux_loss_problems(opt: dict[str, Any], options: dict[str, Any], spec: InputSpec | None) -> Iterator[Problem]:
    """The loss on a network's extra outputs: whether the network gives them, and the data what else it needs."""
    where = 'train.aux_opt'
    loss, _ = registered(LOSS_REGISTRY, options, where)
    yield from _loss_problems(options, where)
    if loss is None:
        return
    if not hasattr(loss, 'needs'):
        yield Problem(f'{where}.type', f'{loss.__name__} compares results, not extra outputs of a network; use it as '
                                       'pixel_opt, and remove aux_opt')
        return
    missing = [name for name in loss.needs if spec is None or name not in spec.extras]
    if missing:
        yield Problem(f'{where}.type', f'{loss.__name__} needs {", ".join(missing)}, which network_g does not give; '
                                       'remove aux_opt')
    dataset, _ = registered(DATASET_REGISTRY, section(opt, 'datasets', 'train'), 'datasets.train')
    if getattr(loss, 'needs_all_gt', False) and not getattr(dataset, 'gt_of_all_frames', True):
        yield Problem('datasets.train.type', f'{dataset.__name__} gives GT of the centre frame only, but '
                                             f'{loss.__name__} needs it of all frames; use Jilin189RecurrentDataset')


def _optimizer_problems(options: dict[str, Any], where: str) -> Iterator[Problem]:
    problems = problems_of_section(OptimizerOptions, options, where)
    name = options.get('type')
    if name in _OPTIMIZERS:
        arguments = {key: value for key, value in options.items() if key not in OptimizerOptions.model_fields}
        problems += problems_of_call(getattr(torch.optim, name), arguments, where, filled=('params',))
        problems += _refused_by_torch(name, options, where) if not problems else []
    elif isinstance(name, str):
        problems.append(Problem(f'{where}.type', f'{name} cannot be used; {unknown_name(name, _OPTIMIZERS)}'))
    yield from problems


def _refused_by_torch(name: str, options: dict[str, Any], where: str) -> list[Problem]:
    """Values out of range, and ways to compute that exclude one another (``fused`` and ``foreach``)."""
    arguments = {key: value for key, value in options.items() if key != 'type'}
    weight = nn.Parameter(torch.zeros(1, device='cuda' if torch.cuda.is_available() else 'cpu'))
    weight.grad = torch.zeros_like(weight)
    try:
        getattr(torch.optim, name)([weight], **arguments).step()
    except (ValueError, RuntimeError, TypeError, AssertionError) as error:
        return [Problem(where, f'torch.optim.{name} refuses it: {error}')]
    return []


def _scheduler_problems(options: dict[str, Any], total_iter: Any) -> Iterator[Problem]:
    where, name = 'train.scheduler', options.get('type')
    if str(name) not in SCHEDULERS:
        what = 'is missing' if name is None else f'there is no scheduler {name}'
        yield Problem(f'{where}.type', f'{what}; {unknown_name(name, list(SCHEDULERS))}')
        return
    problems = problems_of_section(SCHEDULERS[str(name)], options, where)
    yield from problems
    if not problems and 'periods' in options and isinstance(total_iter, (int, float)):
        covered = sum(options['periods'])
        if covered < total_iter:
            yield Problem(f'{where}.periods', f'cover {covered:g} steps of {total_iter:g} (train.total_iter); '
                                              'make the periods longer')


def _loss_problems(options: dict[str, Any], where: str) -> Iterator[Problem]:
    loss, problems = registered(LOSS_REGISTRY, options, where)
    if loss:
        arguments = {key: value for key, value in options.items() if key != 'type'}
        problems = problems_of_call(loss, arguments, where)
        if arguments.get('reduction', 'mean') not in ('mean', 'sum'):
            problems.append(Problem(f'{where}.reduction', 'must be mean or sum: training needs a single number'))
    yield from problems
    if loss and not problems and loss.__module__.startswith('satvsr_plugin.'):
        try:
            loss(**arguments)
        except SatVSRError as error:
            yield Problem(where, str(error))
