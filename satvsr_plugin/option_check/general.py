"""The top level of an option file, its ``path`` and its ``logger``."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import torch
from basicsr.utils.registry import MODEL_REGISTRY, Registry

from satvsr_plugin.option_check.schema import EvalFileOptions, TrainFileOptions
from satvsr_plugin.option_sentences import Problem, describe, problems_of_section
from satvsr_plugin.options import unknown_name


def section(opt: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The section at ``keys``; empty where there is none or something else (which is reported once, elsewhere)."""
    found: Any = opt
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def registered(registry: Registry, options: dict[str, Any], where: str, key: str = 'type') -> tuple[Any, list[Problem]]:
    """Look up the class or function that a section names.

    Args:
        registry: the toolbox's registry.
        options: the section.
        where: the section's name, for the messages.
        key: the option that holds the name.

    Returns:
        It, or None, and what is wrong with the name.
    """
    name, where = options.get(key), f'{where}.{key}' if where else key
    if name is None:
        return None, [Problem(where, 'is missing; add it')]
    if not isinstance(name, str):
        return None, [Problem(where, f'must be a name, not {describe(name)}')]
    for known in (name, f'{name}_basicsr'):  # the toolbox looks up both
        if known in registry:
            return registry.get(known), []
    return None, [Problem(where, f'there is no {name}; {unknown_name(name, sorted(registry.keys()))}')]


def model_class(opt: dict[str, Any]) -> type | None:
    """The class of ``model_type``; None where there is no such class."""
    return registered(MODEL_REGISTRY, opt, '', 'model_type')[0]


def general_problems(opt: dict[str, Any], is_train: bool, model: type | None) -> Iterator[Problem]:
    """The top level: the toolbox's keys, unknown keys, what this machine lacks."""
    kind = TrainFileOptions if is_train else EvalFileOptions
    yield from problems_of_section(kind, opt)
    if isinstance(opt.get('model_type'), str):
        yield from registered(MODEL_REGISTRY, opt, '', 'model_type')[1]
    yield from name_problems(opt.get('name'), 'name')
    yield from _unknown_keys(opt, list(kind.model_fields), closed=hasattr(model, 'train_options'))
    if 'val' in opt and opt['val'] is None:
        yield Problem('val', 'is empty; fill it or remove the line')
    if isinstance(opt.get('num_gpu'), int) and opt['num_gpu'] > 0 and not torch.cuda.is_available():
        yield Problem('num_gpu', f'is {opt["num_gpu"]}, but PyTorch sees no GPU; use auto, or 0 for the CPU')
    if is_train:
        yield from _logger_problems(section(opt, 'logger'))


def name_problems(name: Any, where: str) -> Iterator[Problem]:
    """A name under which something is saved must not lead to another folder."""
    if isinstance(name, str) and (re.search(r'[/\\\x00-\x1f\x7f]', name) or name in ('.', '..')):
        yield Problem(where, f'{name!r} cannot be the name of a folder; leave out /, \\ and control characters')


def _unknown_keys(opt: dict[str, Any], known: list[str], closed: bool) -> Iterator[Problem]:
    """Unknown top-level keys; models of the toolbox that do not declare theirs may read any: only likely slips."""
    for key in opt:
        if key in known or str(key).startswith('network_'):
            continue
        if closed or get_close_matches(str(key), known, n=1, cutoff=0.75):
            yield Problem(str(key), f'unknown option; {unknown_name(key, known)}')


def _logger_problems(logger: dict[str, Any]) -> Iterator[Problem]:
    uses_tensorboard = logger.get('use_tb_logger') is True
    uses_wandb = section(logger, 'wandb').get('project') is not None
    if uses_wandb and not uses_tensorboard:
        yield Problem('logger.wandb', 'needs use_tb_logger: true; set it, or wandb.project: ~')
    for wanted, module in ((uses_tensorboard, 'tensorboard'), (uses_wandb, 'wandb')):
        if wanted and importlib.util.find_spec(module) is None:
            yield Problem('logger', f'{module} is not installed; run "pip install {module}" or switch it off')


def path_problems(opt: dict[str, Any], is_train: bool) -> Iterator[Problem]:
    """The ``path`` section; of an unknown key the toolbox would make a folder."""
    labels = [key.removeprefix('network_') for key in opt if str(key).startswith('network_')]
    known = ['resume_state', 'ignore_resume_networks']
    known += [f'{prefix}_{label}' for label in labels for prefix in ('pretrain_network', 'strict_load', 'param_key')]
    for key, value in section(opt, 'path').items():
        where = f'path.{key}'
        if key not in known:
            yield Problem(where, f'unknown option; {unknown_name(key, known)}')
        elif value is None:
            continue
        elif key.startswith('strict_load') and not isinstance(value, bool):
            yield Problem(where, f'must be true or false, not {describe(value)}')
        elif key.startswith('param_key') and not isinstance(value, str):
            yield Problem(where, f'must be text like params or params_ema, not {describe(value)}')
        elif key.startswith('pretrain_network') or (key == 'resume_state' and is_train):
            yield from _file_problems(value, where)


def _file_problems(value: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(where, f'must be the path of a file, not {describe(value)}')
    elif not os.path.isfile(os.path.expanduser(value)):
        yield Problem(where, f'there is no file {value}; mend the path, or use ~ for none')
