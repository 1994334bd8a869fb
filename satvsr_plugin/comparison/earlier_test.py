"""Whether results that are there already are those that an option file would give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from basicsr.utils.registry import DATASET_REGISTRY

from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.metrics.arguments import full_arguments
from satvsr_plugin.models.model_options import ValOptions
from satvsr_plugin.models.recording import settings_of
from satvsr_plugin.test_record import TestRecord, WeightsRecord, read_record, record_path
from satvsr_plugin.weights import crc32_of, load_checkpoint


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
    if options['model_type'] != 'SatVSRModel':
        yield 'another model'
    if (record.scale, record.network) != (options.get('scale'), options['network_g']):
        yield 'another network'
    val = options.get('val') or {}
    if not _same_metrics(val.get('metrics') or {}, record.metrics):
        yield 'other metrics'
    if val.get('save_img') and record.pictures is None:
        yield 'a test that saved no pictures'
    if not _same_weights(options['path'], record.weights):
        yield 'other weights'
    if not _same_frames(data, ValOptions.model_validate(val), record):
        yield 'other frames or other settings'


def _same_metrics(wanted: Mapping[str, Mapping], found: Mapping[str, Mapping]) -> bool:
    return list(wanted) == list(found) and all(full_arguments(wanted[name]) == found[name] for name in wanted)


def _same_weights(path: Mapping[str, Any], found: WeightsRecord | None) -> bool:
    file = path.get('pretrain_network_g')
    if file is None or found is None:
        return file is None and found is None
    file = Path(file).expanduser().resolve()
    if str(file) != found.path or crc32_of(file) != found.crc32:
        return False
    wanted = path.get('param_key_g', 'params')
    if wanted == found.param_key:
        return True
    # Where the key is not in the file, another one was taken in its place, and may be again.
    return wanted not in load_checkpoint(file) and found.param_key in ('params', 'the whole file')


def _same_frames(data: dict[str, Any], val_opt: ValOptions, record: TestRecord) -> bool:
    """Settings, paths, clips and names of frames; what is in the files is not read again."""
    dataset = DATASET_REGISTRY.get(data['type'])(data)
    pairs = getattr(dataset, 'pairs', None)
    if pairs is None:  # a data set of the toolbox, which does not tell
        return False
    if settings_of(dataset.options, val_opt) != record.settings:
        return False
    roots = [str(clips.root.resolve()) if clips else None for clips in (pairs.lq, pairs.gt)]
    if roots != [record.dataset.lq, record.dataset.gt] or dataset.options.io_backend.type != record.dataset.backend:
        return False
    names: dict[str, list[str]] = {}
    for clip, path in zip(dataset.data_info['folder'], dataset.data_info['lq_path'], strict=True):
        names.setdefault(clip, []).append(Path(path).stem)
    return names == {clip: found.frames for clip, found in record.clips.items()}
