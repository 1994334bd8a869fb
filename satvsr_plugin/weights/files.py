"""Checkpoint files: reading them without running code, writing them whole, loading them into networks."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.safetensors_files import SUFFIX, read_safetensors

_CHUNK = 2**24  # bytes


def load_checkpoint(path: str | Path) -> dict:
    """Read a ``.pth`` or ``.safetensors`` file onto the CPU without running any code in it.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything but tensors and plain containers.
    """
    if Path(path).suffix.lower() == SUFFIX:
        return read_safetensors(path)
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f'{path}: no such file') from error
    except pickle.UnpicklingError as error:
        raise WeightsError(f'{path}: refused, since it is damaged or holds Python objects besides tensors, which '
                           'could run code; save its state_dict() with the program it came from') from error
    except Exception as error:  # damaged bytes make the loader fail in almost any way
        raise WeightsError(f'{path}: cannot be read as a PyTorch checkpoint ({error})') from error
    if not isinstance(checkpoint, dict):
        raise WeightsError(f'{path}: holds a {type(checkpoint).__name__}, not a state dict')
    return checkpoint


def crc32_of(path: str | Path) -> int:
    """The CRC-32 of a whole file, which tells whether it is the same as before."""
    crc32 = 0
    with Path(path).open('rb') as file:
        while chunk := file.read(_CHUNK):
            crc32 = zlib.crc32(chunk, crc32)
    return crc32


def save_checkpoint(path: str | Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a half-written file is never seen under its final name, not even after a power cut.

    Raises:
        WeightsError: the file cannot be written.
    """
    try:
        with written_beside(Path(path), durably=True) as partial, open(partial, 'wb') as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:
        # PyTorch's own error is about positions in the file; the one before it says what the system refused.
        reason = error.__context__ if isinstance(error.__context__, OSError) else error
        raise WeightsError(f'{path}: cannot be written ({reason})') from error


def load_into(net: torch.nn.Module, checkpoint: Mapping, path: str | Path, param_key: str | None = 'params',
              strict: bool = True) -> tuple[str, list[str]]:
    """Load a checkpoint's weights into a network, whose number type they take.

    Args:
        net: the bare network (not wrapped for data parallelism).
        checkpoint: as :func:`load_checkpoint` gives it: a state dict, or several under keys like ``params_ema``.
        path: how errors name the file.
        param_key: which state dict; one that is missing falls back to ``params``, then to the file's root.
        strict: whether every key must be on both sides. Otherwise tensors that do not fit are left out.

    Returns:
        Where in the file the weights were found, and what was left out, as lines to print.

    Raises:
        WeightsError: keys are missing or left over, or shapes differ; lists them. Without ``strict``: nothing fits.
    """
    found = next((key for key in (param_key, 'params') if key in checkpoint), None)
    state = checkpoint if found is None else checkpoint[found]
    try:
        check_state_dict(state)
    except WeightsError as error:
        raise WeightsError(f'{path}: {error}') from error
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    faults = compare_keys(net, state)
    if strict and faults:
        raise WeightsError(f'{path}: these weights do not fit {type(net).__name__}:\n  ' + '\n  '.join(faults) +
                           '\nCheck the arguments of network_g (scale, num_feat, num_frame, ...), or convert an '
                           'original checkpoint with scripts/convert_weights.py')
    ours = net.state_dict()
    fitting = {k: v for k, v in state.items() if k in ours and v.shape == ours[k].shape}
    if ours and not fitting:
        raise WeightsError(f'{path}: none of these weights fits {type(net).__name__}')
    net.load_state_dict(fitting, strict=strict)
    return found or 'the whole file', faults


def compare_keys(net: torch.nn.Module, state_dict: Mapping[str, Tensor], show: int = 5) -> list[str]:
    """What keeps a state dict from fitting a network, as lines to print; empty when it fits.

    Args:
        net: the network.
        state_dict: the weights.
        show: how many keys a line names before it only counts.
    """
    ours = net.state_dict()
    shapes = [f'{key} is {tuple(state_dict[key].shape)}, needs {tuple(ours[key].shape)}'
              for key in ours if key in state_dict and state_dict[key].shape != ours[key].shape]
    found = {'missing': [k for k in ours if k not in state_dict],
             'left over': [k for k in state_dict if k not in ours], 'of another shape': shapes}
    return [f'{len(keys)} {what}: ' + ', '.join(keys[:show]) + (', ...' if len(keys) > show else '')
            for what, keys in found.items() if keys]


def check_state_dict(state_dict: object) -> None:
    """Raise WeightsError for anything but tensors under names."""
    if not isinstance(state_dict, Mapping):
        raise WeightsError(f'not a state dict, but a {type(state_dict).__name__}')
    strangers = [key for key, value in state_dict.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if strangers or not state_dict:
        raise WeightsError(f'not a state dict of tensors: it holds {", ".join(map(str, strangers[:5])) or "nothing"}')
