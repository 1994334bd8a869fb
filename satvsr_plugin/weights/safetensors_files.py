"""Weights as safetensors: a header in JSON and numbers, in which no code can hide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.network_record import NETWORK, VERSION, record_entries

SUFFIX = '.safetensors'
FORMAT = 'satvsr_plugin'


def read_safetensors(path: str | Path) -> dict[str, Any]:
    """Read a file as the checkpoint that a ``.pth`` would hold.

    Returns:
        The state dict under ``params``; in files of ours ``network``, as JSON, and ``satvsr_plugin``, the version.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
            state_dict = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no dictionary)
    except FileNotFoundError as error:
        raise WeightsError(f'{path}: no such file') from error
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise WeightsError(f'{path}: cannot be read as safetensors, since it is damaged or something else '
                           f'({error}); get it again') from error
    checkpoint: dict[str, Any] = {'params': state_dict}
    if metadata.get('format') == FORMAT:
        checkpoint |= {entry: metadata[key] for key, entry in ((NETWORK, NETWORK), ('version', VERSION))
                       if key in metadata}
    return checkpoint


def write_safetensors(path: str | Path, state_dict: Mapping[str, Tensor], network: Mapping[str, Any],
                      half: bool = False) -> None:
    """Write weights and what rebuilds their network; the file appears under its name only when it is complete.

    Args:
        path: the file.
        state_dict: the weights.
        network: type and arguments, as in ``network_g`` of an option file.
        half: store in float16: half the size, and weights that are rounded to 11 bits.

    Raises:
        WeightsError: a weight is no finite number or beyond float16's range, or the file cannot be written.
    """
    record = record_entries(network)
    metadata = {'format': FORMAT, 'version': record[VERSION], NETWORK: json.dumps(record[NETWORK])}
    # Copies: the format knows neither strides nor weights that two layers share.
    stored = {key: value.clone(memory_format=torch.contiguous_format)
              for key, value in stored_numbers(path, state_dict, half).items()}
    try:
        with written_beside(Path(path)) as partial:
            partial.write_bytes(save(stored, metadata))  # save_file would let nobody but its owner read the file
    except (OSError, SafetensorError) as error:
        raise WeightsError(f'{path}: cannot be written ({error})') from error


def stored_numbers(path: str | Path, state_dict: Mapping[str, Tensor], half: bool = False) -> dict[str, Tensor]:
    """Weights as they go into a file, on the CPU.

    Args:
        path: the file, for errors.
        state_dict: the weights.
        half: floating-point numbers become float16.

    Raises:
        WeightsError: one is no finite number, or beyond float16's range.
    """
    if spoilt := not_finite(state_dict):
        raise WeightsError(f'{path}: not written, since {spoilt} holds NaN or infinity; take an earlier checkpoint')
    stored = {key: value.detach().cpu() for key, value in state_dict.items()}
    if half:
        stored = {key: value.half() if value.is_floating_point() else value for key, value in stored.items()}
        if beyond := not_finite(stored):
            raise WeightsError(f'{path}: not written, since {beyond} goes beyond 65,504, the largest number of half '
                               'precision; store it in float32, without half')
    return stored


def not_finite(state_dict: Mapping[str, Tensor]) -> str:
    """Names of weights that are NaN or infinite, as text; empty where all are numbers."""
    keys = [key for key, value in state_dict.items() if not torch.isfinite(value).all()]
    return ', '.join(keys[:3]) + (f' and {len(keys) - 3} more' if len(keys) > 3 else '')
