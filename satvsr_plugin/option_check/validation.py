"""The ``val`` section: validation during training, and testing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from basicsr.models.sr_model import SRModel
from basicsr.models.video_base_model import VideoBaseModel
from basicsr.utils.registry import METRIC_REGISTRY

from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.models.pictures import score, to_hwc, to_integers
from satvsr_plugin.option_check.general import name_problems, registered, section
from satvsr_plugin.option_check.schema import ForeignValOptions
from satvsr_plugin.option_sentences import Problem, describe, problems_of_call, problems_of_section
from satvsr_plugin.options import unknown_name


def val_problems(opt: dict[str, Any], is_train: bool, model: type | None) -> Iterator[Problem]:
    """The whole section.

    Args:
        opt: the options.
        is_train: whether they are for training, where the section may be left out.
        model: the class of ``model_type``; ``val_options`` (a pydantic model) declares its options.
    """
    if not isinstance(opt.get('val'), dict):
        return
    val = opt['val']
    declared = getattr(model, 'val_options', None)
    yield from problems_of_section(declared or ForeignValOptions, val, 'val')
    for key in ('val_freq', 'save_img') if is_train else ('save_img',):
        if val.get(key) is None:
            yield Problem(f'val.{key}', 'is missing; add it')
    if not declared and model:
        yield from _toolbox_model_problems(val, is_train, model)
    yield from name_problems(val.get('suffix'), 'val.suffix')
    metrics = section(val, 'metrics')
    for name in metrics:
        yield from _metric_problems(section(metrics, name), f'val.metrics.{name}')
    best = val.get('best_metric')
    if declared and isinstance(best, str) and best not in metrics:
        yield Problem('val.best_metric', f'there is no metric {best}; {unknown_name(best, list(metrics))}')


def score_problems(opt: dict[str, Any], dataset: Any) -> Iterator[Problem]:
    """Whether the metrics can score the pictures of a data set: its first GT against itself.

    Otherwise bands, sizes or values that do not suit a metric would end a training at its first validation.

    Args:
        opt: the options.
        dataset: gives samples as ``Jilin189TestDataset`` does.
    """
    metrics = section(opt, 'val', 'metrics')
    sound = [name for name in metrics if not list(_metric_problems(section(metrics, name), name))]
    sample = dataset[0] if sound else {}
    if 'gt' not in sample:
        return
    picture = to_hwc(sample['gt'])
    gt = to_integers(picture, sample.get('bit_depth', 8))
    for name in sound:
        try:
            score(picture, gt, sample['lq_path'], name, metrics[name])
        except SatVSRError as error:
            yield Problem(f'val.metrics.{name}', str(error))


def _toolbox_model_problems(val: dict[str, Any], is_train: bool, model: type) -> Iterator[Problem]:
    """Keys that the toolbox's models read without a default."""
    if issubclass(model, VideoBaseModel) and 'metrics' not in val:
        yield Problem('val.metrics', f'is missing; {model.__name__} reads it (~ for none)')
    if issubclass(model, VideoBaseModel) and is_train and val.get('save_img'):
        yield Problem('val.save_img', f'{model.__name__} cannot save pictures while training; set it to false')
    if issubclass(model, SRModel) and not is_train and val.get('save_img') and 'suffix' not in val:
        yield Problem('val.suffix', f'is missing; {model.__name__} reads it (~ for none)')


def _metric_problems(options: dict[str, Any], where: str) -> Iterator[Problem]:
    metric, problems = registered(METRIC_REGISTRY, options, where)
    if metric:
        arguments = {key: value for key, value in options.items() if key != 'type'}
        problems = problems_of_call(metric, arguments, where, filled=('img', 'img2'))
    if options.get('better', 'higher') not in ('higher', 'lower'):
        problems.append(Problem(f'{where}.better', f'must be higher or lower, not {describe(options["better"])}'))
    yield from problems
