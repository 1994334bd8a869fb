"""The ``datasets`` section, and whether data, network and ``scale`` fit one another."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import DATASET_REGISTRY
from pydantic import BaseModel

from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.option_check.general import model_class, registered, section
from satvsr_plugin.option_check.networks import network_argument
from satvsr_plugin.option_check.schema import DatasetOptions, TrainDatasetOptions
from satvsr_plugin.option_check.validation import score_problems
from satvsr_plugin.option_sentences import Problem, problems_of_section


def data_problems(opt: dict[str, Any], is_train: bool) -> Iterator[Problem]:
    """All data sets of a file, and what has to agree with them."""
    datasets = section(opt, 'datasets')
    if is_train and 'train' not in datasets:
        yield Problem('datasets.train', 'is missing; training needs it')
    if not is_train and not datasets:
        yield Problem('datasets', 'is empty; testing needs at least one data set')
    for phase in datasets:
        yield from _phase_problems(str(phase), is_train)
        if section(datasets, phase):
            yield from _problems_of_one(opt, str(phase), section(datasets, phase))
    yield from _shared_names(datasets)
    network_scale = network_argument(opt, 'scale', 'upscale')
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


def _problems_of_one(opt: dict[str, Any], phase: str, options: dict[str, Any]) -> Iterator[Problem]:
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
    problems += [*_loader_problems(phase, options, where), *_frame_problems(opt, options, declared, where)]
    yield from problems
    if declared and not problems:
        yield from _build_problems(opt, dataset_class, filled, where)


def _as_the_toolbox_fills(opt: dict[str, Any], phase: str, options: dict[str, Any]) -> dict[str, Any]:
    """The block as the data set gets it from the toolbox's ``parse_options``."""
    filled = {**deepcopy(options), 'phase': phase.split('_')[0]}
    if 'scale' in opt:
        filled['scale'] = opt['scale']
    for key in ('dataroot_gt', 'dataroot_lq'):
        if isinstance(filled.get(key), str):
            filled[key] = str(Path(filled[key]).expanduser())
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
        and not Path(value).exists()
    ]


def _loader_problems(phase: str, options: dict[str, Any], where: str) -> Iterator[Problem]:
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


def _frame_problems(opt: dict[str, Any], options: dict[str, Any], declared: type[BaseModel] | None,
                    where: str) -> Iterator[Problem]:
    """The window of the data against that of the network, for networks with a window of fixed length."""
    wanted = network_argument(opt, 'num_frame')
    field = declared.model_fields.get('num_frame') if declared else None
    num_frame = options.get('num_frame', field.default if field else None)
    if isinstance(wanted, int) and isinstance(num_frame, int) and num_frame != wanted:
        yield Problem(f'{where}.num_frame', f'is {num_frame}, but network_g.num_frame is {wanted}; make them equal')


def _build_problems(opt: dict[str, Any], dataset_class: type, options: dict[str, Any], where: str) -> Iterator[Problem]:
    try:
        dataset = _build_quietly(dataset_class, options)
        if options['phase'] != 'train' and hasattr(model_class(opt), 'val_options'):
            yield from score_problems(opt, dataset)
    except SatVSRError as error:
        yield Problem(where, str(error))
        return
    channels, wanted = getattr(dataset, 'channels', None), network_argument(opt, 'num_in_ch')
    if isinstance(channels, int) and isinstance(wanted, int) and channels != wanted:
        yield Problem('network_g.num_in_ch', f'is {wanted}, but the frames of {where} have {channels} channels; '
                                             'make them equal')
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
