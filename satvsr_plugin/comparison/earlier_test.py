"""Whether results that are there already are those that an option file would give."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from basicsr.utils.registry import DATASET_REGISTRY, METRIC_REGISTRY

from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.test_record import TestRecord, WeightsRecord, read_record, record_path
from satvsr_plugin.weights import load_checkpoint

_CHUNK = 2**24  # bytes


def why_test_again(options: Mapping[str, Any], folder: Path, dataset: str | None = None) -> str | None:
    """What stands against taking the results in a folder for those of an option file; None where nothing does.

    Args:
        options: of the file, found sound by ``check_options``.
        folder: the results.
        dataset: the only data set that matters; None for all of the file.

    Raises:
        SatVSRError: the file's weights or data cannot be read.
    """
    wanted = {phase: block for phase, block in options['datasets'].items() if dataset in (None, block['name'])}
    for phase, block in wanted.items():
        path = record_path(folder, block['name'])
        if not path.is_file():
            return f'no results on {block["name"]} yet'
        try:
            record = read_record(path)
        except SatVSRError:
            return f'{path} cannot be read'
        data = {**block, 'phase': phase.split('_')[0], 'scale': options.get('scale')}
        reason = next(_differences(options, data, record), None)
        if reason:
            return f'{path} is of {reason}'
    return None


def _differences(options: Mapping[str, Any], data: dict[str, Any], record: TestRecord) -> Iterator[str]:
    """Ordered by what they cost to find."""
    if (record.scale, record.network) != (options.get('scale'), options['network_g']):
        yield 'another network'
    val = options.get('val') or {}
    if not _same_metrics(val.get('metrics') or {}, record.metrics):
        yield 'other metrics'
    if val.get('save_img') and record.pictures is None:
        yield 'a test that saved no pictures'
    if not _same_weights(options['path'], record.weights):
        yield 'other weights'
    if not _same_frames(data, record):
        yield 'other frames'


def _same_metrics(wanted: Mapping[str, Mapping], found: Mapping[str, Mapping]) -> bool:
    return list(wanted) == list(found) and all(_arguments(wanted[name]) == _arguments(found[name]) for name in wanted)


def _arguments(metric: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(METRIC_REGISTRY.get(metric['type'])).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    return {key: value for key, value in {**defaults, **metric}.items() if key != 'better'}


def _same_weights(path: Mapping[str, Any], found: WeightsRecord | None) -> bool:
    file = path.get('pretrain_network_g')
    if file is None or found is None:
        return file is None and found is None
    file = Path(file).expanduser().resolve()
    if str(file) != found.path or _crc32(file) != found.crc32:
        return False
    wanted = path.get('param_key_g', 'params')
    if wanted == found.param_key:
        return True
    # Where the key is not in the file, another one was taken in its place, and may be again.
    return wanted not in load_checkpoint(file) and found.param_key in ('params', 'the whole file')


def _crc32(path: Path) -> int:
    crc32 = 0
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            crc32 = zlib.crc32(chunk, crc32)
    return crc32


def _same_frames(data: dict[str, Any], record: TestRecord) -> bool:
    """Paths, clips and names of frames; what is in the files is not read again."""
    dataset = DATASET_REGISTRY.get(data['type'])(data)
    pairs = getattr(dataset, 'pairs', None)
    if pairs is None:  # a data set of the toolbox, which does not tell
        return False
    roots = [str(clips.root.resolve()) if clips else None for clips in (pairs.lq, pairs.gt)]
    if roots != [record.dataset.lq, record.dataset.gt] or dataset.options.io_backend.type != record.dataset.backend:
        return False
    names: dict[str, list[str]] = {}
    for clip, path in zip(dataset.data_info['folder'], dataset.data_info['lq_path'], strict=True):
        names.setdefault(clip, []).append(Path(path).stem)
    return names == {clip: found.frames for clip, found in record.clips.items()}
