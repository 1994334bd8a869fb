"""The ``datasets`` section, and whether data, network and ``scale`` fit one another."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from basicsr.utils.registry import DATASET_REGISTRY
from pydantic import BaseModel

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.option_check.general import model_class, name_problems, registered, section
from satvsr_plugin.option_check.networks import network_argument
from satvsr_plugin.option_check.schema import DatasetOptions, TrainDatasetOptions
from satvsr_plugin.option_check.shared_memory import shared_memory_problems
from satvsr_plugin.option_check.validation import score_problems
from satvsr_plugin.option_sentences import Problem, problems_of_section


def data_problems(opt: dict[str, Any], is_train: bool, spec: InputSpec | None) -> Iterator[Problem]:
    """All data sets of a file, and what has to agree with them.

    Args:
        opt: the options.
        is_train: whether they are for training.
        spec: what ``network_g`` wants to be given; None where that is not known.
    """
    datasets = section(opt, 'datasets')
    if is_train and 'train' not in datasets:
        yield Problem('datasets.train', 'is missing; training needs it')
    if not is_train and not datasets:
        yield Problem('datasets', 'is empty; testing needs at least one data set')
    for phase in datasets:
        yield from _phase_problems(str(phase), is_train)
        if section(datasets, phase):
            yield from _problems_of_one(opt, str(phase), section(datasets, phase), spec)
    yield from _shared_names(datasets)
    network_scale = spec.scale if spec else network_argument(opt, 'scale', 'upscale')
    if isinstance(opt.get('scale'), int) and isinstance(network_scale, int) and network_scale != opt['scale']:
        yield Problem('network_g.scale', f'is {network_scale}, but scale is {opt["scale"]}; make them equal')


def _phase_problems(phase: str, is_train: bool) -> Iterator[Problem]:
    kind = phase.split('_')[0]  # the toolbox's rule: val, val_1, val_anything
    if is_train and phase != 'train' and kind != 'val':
        yield Problem(f'datasets.{phase}', 'is not used in training; call it train, val or val_NAME, or remove it')
    if not is_train and kind not in ('test', 'val'):
        yield Problem(f'datasets.{phase}', 'is not used in testing; call it test, val, test_NAME or val_NAME, '
                                           'or remove it')


def _shared_names(datasets: dict[str, Any]) -> Iterator[Problem]:
    """Results are kept under the name of the data set: a second one would overwrite the first one's."""
    first: dict[str, str] = {}
    for phase in datasets:
        name = section(datasets, phase).get('name')
        if phase != 'train' and isinstance(name, str) and first.setdefault(name, phase) != phase:
            yield Problem(f'datasets.{phase}.name', f"is {name}, like datasets.{first[name]}'s; choose another, since "
                                                    'results are kept by name')


def _problems_of_one(opt: dict[str, Any], phase: str, options: dict[str, Any],
                     spec: InputSpec | None) -> Iterator[Problem]:
    """One data set; one that declares its options is built, so that what is wrong with its files shows now."""
    where = f'datasets.{phase}'
    dataset_class, problems = registered(DATASET_REGISTRY, options, where)
    declared = getattr(dataset_class, 'options_type', None)
    filled = _as_the_toolbox_fills(opt, phase, options)
    if declared:
        problems = [_at_the_top(item, options) for item in problems_of_section(declared, filled, where)]
    elif dataset_class:
        problems = _missing_paths(filled, where)
    told = {item.where for item in problems}
    loader = TrainDatasetOptions if phase == 'train' else DatasetOptions
    problems += [item for item in problems_of_section(loader, options, where) if item.where not in told]
    problems += name_problems(options.get('name'), f'{where}.name')
    problems += [*_loader_problems(opt, phase, options, where),
                 *_frame_problems(opt, options, declared, where, spec)]
    if spec and 'flows' in spec.needs and not options.get('flow_root'):
        problems.append(Problem(f'{where}.flow_root', 'is missing, but network_g is given precomputed flow; make it '
                                                      'with scripts/estimate_flow.py, or set network_g.flow: dis'))
    if spec and declared and phase == 'train':
        problems += _patch_problems(opt, options, dataset_class, where, spec)
    yield from problems
    if declared and not problems:
        yield from _build_problems(opt, dataset_class, filled, where, spec)


def _as_the_toolbox_fills(opt: dict[str, Any], phase: str, options: dict[str, Any]) -> dict[str, Any]:
    """The block as the data set gets it from the toolbox's ``parse_options``."""
    filled = {**deepcopy(options), 'phase': phase.split('_')[0]}
    if 'scale' in opt:
        filled['scale'] = opt['scale']
    for key in ('dataroot_gt', 'dataroot_lq'):
        if isinstance(filled.get(key), str):
            filled[key] = os.path.expanduser(filled[key])
    return filled


def _at_the_top(item: Problem, options: dict[str, Any]) -> Problem:
    """Complaints about ``scale`` belong to the top level, from where the toolbox copies it."""
    from_the_top = item.where.endswith('.scale') and 'scale' not in options
    return Problem('scale', item.what) if from_the_top else item


def _missing_paths(options: dict[str, Any], where: str) -> list[Problem]:
    return [
        Problem(f'{where}.{key}', f'there is no {value}; mend the path')
        for key, value in options.items()
        if (str(key).startswith('dataroot') or key == 'meta_info_file') and isinstance(value, str)
        and not os.path.exists(value)
    ]


def _loader_problems(opt: dict[str, Any], phase: str, options: dict[str, Any], where: str) -> Iterator[Problem]:
    """What ``torch.utils.data.DataLoader`` and the toolbox's prefetcher refuse."""
    workers = options.get('num_worker_per_gpu') if phase == 'train' else 0  # the toolbox evaluates without workers
    if options.get('persistent_workers') is True and workers == 0:
        remedy = 'raise num_worker_per_gpu or set it to false' if phase == 'train' else 'set it to false'
        yield Problem(f'{where}.persistent_workers', f'is true, but there are no workers; {remedy}')
    if phase != 'train' or options.get('prefetch_mode') != 'cuda':
        return
    if options.get('pin_memory') is not True:
        yield Problem(f'{where}.pin_memory', 'must be true for prefetch_mode: cuda')
    if not torch.cuda.is_available():
        yield Problem(f'{where}.prefetch_mode', 'is cuda, but PyTorch sees no GPU; use ~ or cpu')
    elif opt.get('num_gpu') == 0:
        yield Problem(f'{where}.prefetch_mode', 'is cuda, but num_gpu is 0; use ~ or cpu')


def _frame_problems(opt: dict[str, Any], options: dict[str, Any], declared: type[BaseModel] | None, where: str,
                    spec: InputSpec | None) -> Iterator[Problem]:
    """The window of the data against that of the network, for networks with a window of fixed length."""
    wanted = spec.num_frame if spec else network_argument(opt, 'num_frame')
    if spec and spec.sees != 'window':
        return
    field = declared.model_fields.get('num_frame') if declared else None
    num_frame = options.get('num_frame', field.default if field else None)
    if isinstance(wanted, int) and isinstance(num_frame, int) and num_frame != wanted:
        given = network_argument(opt, 'num_frame')
        whose = f'network_g.num_frame is {wanted}' if given == wanted else f'{_network_name(opt)} takes {wanted} frames'
        yield Problem(f'{where}.num_frame', f'is {num_frame}, but {whose}; make them equal')


def _patch_problems(opt: dict[str, Any], options: dict[str, Any], dataset_class: Any, where: str,
                    spec: InputSpec) -> Iterator[Problem]:
    """Training patches against what the network and its losses want."""
    # a data set of another plugin may declare options without saying this
    if spec.sees == 'clip' and not getattr(dataset_class, 'gt_of_all_frames', True):
        yield Problem(f'{where}.type', f'{dataset_class.__name__} gives GT of the centre frame only, but '
                                       f'{_network_name(opt)} makes all frames; use Jilin189RecurrentDataset')
    size = options.get('gt_size')
    lq_size = size // spec.scale if isinstance(size, int) else 0
    if lq_size > 0 and spec.fit(lq_size) != lq_size:
        # training on patches that were filled up would teach the network about borders that are not there
        yield Problem(f'{where}.gt_size', f'is {size}, so LR patches have {lq_size} pixels a side, which '
                                          f'{_network_name(opt)} cannot take; use {spec.fit(lq_size) * spec.scale}')


def _network_name(opt: dict[str, Any]) -> str:
    return f'network_g ({section(opt, "network_g").get("type")})'


def _build_problems(opt: dict[str, Any], dataset_class: type, options: dict[str, Any], where: str,
                    spec: InputSpec | None) -> Iterator[Problem]:
    try:
        dataset = _build_quietly(dataset_class, options)
        evaluated = options['phase'] != 'train' and hasattr(model_class(opt), 'val_options')
        if evaluated:
            yield from score_problems(opt, dataset)
        if evaluated or options['phase'] == 'train':  # the toolbox's models evaluate without workers
            yield from shared_memory_problems(opt, options, dataset, where)
    except SatVSRError as error:
        yield Problem(where, str(error))
        return
    channels, wanted = getattr(dataset, 'channels', None), spec.bands if spec else network_argument(opt, 'num_in_ch')
    if isinstance(channels, int) and isinstance(wanted, int) and channels != wanted:
        if network_argument(opt, 'num_in_ch') == wanted:
            yield Problem('network_g.num_in_ch', f'is {wanted}, but the frames of {where} have {channels} channels; '
                                                 'make them equal')
        else:
            yield Problem('network_g.type', f'{_network_name(opt)} takes frames of {wanted} channels only, but those '
                                            f'of {where} have {channels}; choose another network')
    if options['phase'] == 'train':
        # The loader drops an incomplete batch: with too few windows training would end without a single step.
        windows = int(len(dataset) * options.get('dataset_enlarge_ratio', 1))
        if windows < options['batch_size_per_gpu']:
            yield Problem(f'{where}.batch_size_per_gpu', f'is {options["batch_size_per_gpu"]}, but the data set has '
                                                         f'{windows} windows; lower it, or set dataset_enlarge_ratio')


def _build_quietly(dataset_class: type, options: dict[str, Any]) -> Any:
    """The data set without its warnings: the toolbox builds it again, and then they are shown."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        return dataset_class(options)
    finally:
        logging.disable(disabled)
