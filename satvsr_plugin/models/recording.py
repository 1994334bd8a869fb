"""Writes down what was tested, on what and how, for comparisons (see :mod:`satvsr_plugin.test_record`)."""

from __future__ import annotations

import os
import zlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import distributed

from satvsr_plugin.data.jilin189_options import WindowOptions
from satvsr_plugin.machine import package_versions, processor_name
from satvsr_plugin.metrics.arguments import full_arguments
from satvsr_plugin.models.model_options import ValOptions
from satvsr_plugin.models.scores import Scores
from satvsr_plugin.test_record import ClipRecord, DatasetRecord, TestRecord

if TYPE_CHECKING:
    from satvsr_plugin.models.validation import Validation

_PACKAGES = ('satvsr-plugin', 'basicsr', 'torch', 'mmcv')


class FrameFacts(NamedTuple):
    """What identifies a frame and its reference."""

    shape: tuple[int, int, int]
    bit_depth: int
    lq_crc32: int
    gt_crc32: int | None

    @classmethod
    def of(cls, result: np.ndarray, lq: np.ndarray, gt: np.ndarray | None, bit_depth: int) -> FrameFacts:
        """Of a result (h, w, c), and LR and GT frames as integers."""
        height, width, bands = result.shape
        return cls((height, width, bands), bit_depth, zlib.crc32(np.ascontiguousarray(lq).data),
                   None if gt is None else zlib.crc32(np.ascontiguousarray(gt).data))


def gather(facts: dict[int, FrameFacts]) -> dict[int, FrameFacts]:
    """Join what all processes have collected, by index in the data set."""
    if not distributed.is_initialized():
        return facts
    parts: list[dict[int, FrameFacts]] = [{}] * distributed.get_world_size()
    distributed.all_gather_object(parts, facts)
    return {index: fact for part in parts for index, fact in part.items()}


def make_record(validation: Validation, facts: dict[int, FrameFacts], scores: Scores | None) -> TestRecord:
    """The record of a test on a data set of ours.

    Args:
        validation: the finished test.
        facts: of all frames.
        scores: of all frames; None where nothing was scored.
    """
    model, dataset = validation.model, validation.dataset
    pairs, device = dataset.pairs, model.device
    return TestRecord(
        name=model.opt['name'],
        scale=model.opt['scale'],
        network=dict(model.opt['network_g']),
        weights=model.weights,
        dataset=DatasetRecord(name=validation.name, backend=dataset.options.io_backend.type,
                              lq=str(pairs.lq.root.resolve()), gt=pairs.gt and str(pairs.gt.root.resolve())),
        settings=settings_of(dataset.options, model.val_opt),
        metrics={name: full_arguments(metric) for name, metric in validation.metrics.items()} if scores else {},
        pictures=_pattern(validation) if validation.save_img else None,
        clips=_clips(dataset.data_info, facts, scores),
        finished=datetime.now().astimezone().isoformat(timespec='seconds'),
        device=torch.cuda.get_device_name(device) if device.type == 'cuda' else f'CPU, {processor_name()}',
        versions=package_versions(_PACKAGES))


def settings_of(options: WindowOptions, val_opt: ValOptions) -> dict[str, Any]:
    """Options of a test that change what a network is shown, besides the clips."""
    return {'num_frame': options.num_frame, 'padding': options.padding,
            'flow_root': options.flow_root and str(options.flow_root.resolve()),
            'segment_length': val_opt.segment_length, 'segment_overlap': val_opt.segment_overlap}


def _pattern(validation: Validation) -> str:
    """Where the pictures are, from the folder of the record, with {clip} and {frame}."""
    path = validation.picture_path('\0clip', '\0frame')
    relative = os.path.relpath(path, validation.model.opt['path']['log'])
    escaped = relative.replace('{', '{{').replace('}', '}}')
    return escaped.replace('\0clip', '{clip}').replace('\0frame', '{frame}')


def _clips(info: dict[str, list[Any]], facts: dict[int, FrameFacts], scores: Scores | None) -> dict[str, ClipRecord]:
    places: dict[str, list[int]] = {}
    for index, clip in enumerate(info['folder']):
        places.setdefault(clip, []).append(index)
    clips = {}
    for clip, indices in places.items():
        found = [facts[index] for index in indices]
        height, width, bands = found[0].shape
        values = scores.values[indices].T.tolist() if scores else []
        clips[clip] = ClipRecord(
            height=height, width=width, bands=bands, bit_depth=found[0].bit_depth,
            frames=[Path(info['lq_path'][index]).stem for index in indices],
            lq_crc32=[fact.lq_crc32 for fact in found],
            gt_crc32=[fact.gt_crc32 for fact in found if fact.gt_crc32 is not None],
            scores=dict(zip(scores.metrics, values, strict=True)) if scores else {})
    return clips
