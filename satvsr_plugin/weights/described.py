"""Weights that say which network they are of, so that a file alone is enough to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.building import build, outline
from satvsr_plugin.weights.conversion import convert
from satvsr_plugin.weights.files import check_state_dict, compare_keys, load_checkpoint, save_checkpoint
from satvsr_plugin.weights.network_record import VERSION, check_network, read_record, record_entries
from satvsr_plugin.weights.official import unwrap
from satvsr_plugin.weights.safetensors_files import SUFFIX, not_finite, stored_numbers, write_safetensors

SHIPPED = Path(__file__).with_name('shipped')
DEFAULT = SHIPPED / 'MSDTGP_small_x4.safetensors'
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_SMALL = 2**20  # bytes, of what a network holds besides its weights
_REMEDY = 'give the option file that the network was trained with: --opt FILE'


@dataclass(frozen=True)
class Weights:
    """What a checkpoint holds.

    Attributes:
        state_dict: the weights as they are in the file, float16 where they are stored so; EMA weights if there are any.
        network: type and arguments, as in ``network_g`` of an option file; None where neither the file nor the
            weights tell them.
        version: of this plugin, which wrote the file; None for files of others.
        path: the file.
        guessed: whether the network was read from the weights' shapes. What leaves no trace in them is at its
            default then, e.g. IconVSR's ``keyframe_stride``.
    """

    state_dict: dict[str, Tensor]
    network: dict[str, Any] | None
    version: str | None
    path: Path
    guessed: bool = False


def read_weights(path: str | Path, network: Mapping[str, Any] | None = None) -> Weights:
    """Read a checkpoint, ``.safetensors`` or ``.pth``, without running code in it.

    Args:
        path: the file.
        network: type and arguments where they are known; what the file says is then not looked at.

    Raises:
        WeightsError: the file is missing or damaged, or what it says about its network is.
    """
    checkpoint = load_checkpoint(path)
    version = checkpoint.get(VERSION)
    try:
        state_dict = unwrap(checkpoint)
        check_state_dict(state_dict)
    except WeightsError as error:
        raise WeightsError(f'{path}: {error}') from error
    try:
        found = read_record(checkpoint) if network is None else check_network(network)
    except WeightsError as error:
        raise WeightsError(f'{path}: {error}; {_REMEDY}') from error
    state_dict = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    guess = _guess(state_dict) if found is None else None
    return Weights(state_dict, found or guess, version if isinstance(version, str) else None, Path(path),
                   guessed=guess is not None)


def build_described(path: str | Path | None, network: Mapping[str, Any] | None = None) -> nn.Module:
    """Build the network that a checkpoint is of, with its weights.

    Args:
        path: the file, ``.safetensors`` or ``.pth``; None for a network that has no weights, such as ``Bicubic``.
        network: type and arguments, as in ``network_g`` of an option file, instead of what the file says.

    Returns:
        The network on the CPU, in evaluation mode and float32.

    Raises:
        WeightsError: the file cannot be read, does not say which network it is of, does not fit it, or is spoilt.
    """
    if path is None:
        return _build_without_weights(network)
    weights = read_weights(path, network)
    if weights.network is None:
        raise WeightsError(f'{path}: does not say which network it is of, and weights do not tell all that changes the '
                           f'result, such as residual; {_REMEDY}. Original checkpoints: convert them with '
                           'scripts/convert_weights.py')
    try:
        net = _build(weights.network, weights.state_dict, is_trusted=network is not None)
    except WeightsError as error:
        remedy = _REMEDY if network is None else 'check network_g in the option file'
        raise WeightsError(f'{path}: {error}\nIf the file is the right one, {remedy}') from error
    if spoilt := not_finite(net.state_dict()):
        raise WeightsError(f'{path}: {spoilt} holds NaN or infinity, the network is spoilt; take an earlier checkpoint')
    return net.eval()


def save_described(path: str | Path, state_dict: Mapping[str, Tensor], network: Mapping[str, Any],
                   half: bool = False) -> None:
    """Write weights with what rebuilds their network: safetensors if the name ends so, otherwise a ``.pth``.

    Raises:
        WeightsError: as :func:`write_safetensors`.
    """
    if Path(path).suffix.lower() == SUFFIX:
        write_safetensors(path, state_dict, network, half)
    else:
        save_checkpoint(path, {'params': stored_numbers(path, state_dict, half), **record_entries(network)})


def default_weights() -> Path:
    """The weights that come with this package: a small MSDTGP for x4.

    Raises:
        WeightsError: they are not there.
    """
    if not DEFAULT.is_file():
        raise WeightsError(f'{DEFAULT}: the weights that come with this package are missing; install it anew, or give '
                           'weights of your own: --weights FILE')
    return DEFAULT


def _build(network: Mapping[str, Any], state_dict: Mapping[str, Tensor], is_trusted: bool) -> nn.Module:
    """Build and load; of an untrusted description, memory is taken only once the weights are found to be there."""
    candidate = build(network) if is_trusted else outline(network, len(state_dict))
    faults = compare_keys(candidate, state_dict) or _other_numbers(candidate, state_dict)
    if faults:
        raise WeightsError(f'these weights do not fit {network["type"]}:\n  ' + '\n  '.join(faults))
    if not is_trusted and _bytes_needed(candidate) > 2 * _bytes_stored(state_dict) + _SMALL:
        raise WeightsError(f'the file holds fewer numbers than {network["type"]} needs')
    net = candidate if is_trusted else build(network)
    net.load_state_dict(state_dict)
    return net


def _other_numbers(net: nn.Module, state_dict: Mapping[str, Tensor]) -> list[str]:
    """Weights of another kind of number, which torch would convert without a word."""
    kinds = [(key, value.dtype, state_dict[key].dtype) for key, value in net.state_dict().items()]
    return [f'{key} holds {found}, not {wanted}' for key, wanted, found in kinds
            if found != wanted and not (wanted in _FLOATS and found in _FLOATS)][:5]


def _bytes_needed(net: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*net.parameters(), *net.buffers()))


def _bytes_stored(state_dict: Mapping[str, Tensor]) -> int:
    """Of a pickled file, tensors may repeat few numbers without end, or share them."""
    storages = (tensor.untyped_storage() for tensor in state_dict.values())
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _guess(state_dict: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The only network that the weights fit; None if its ``residual``, which leaves no trace, changes the result."""
    try:
        conversion = convert(state_dict)
    except WeightsError:
        return None
    return None if 'residual' in conversion.defaults else conversion.network


def _build_without_weights(network: Mapping[str, Any] | None) -> nn.Module:
    if network is None:
        raise WeightsError('there is nothing to run: give weights with --weights FILE')
    net = build(check_network(network))
    if net.state_dict():
        raise WeightsError(f'{network["type"]} needs weights: give --weights FILE, or path.pretrain_network_g in the '
                           'option file')
    return net.eval()
