"""An original checkpoint, whole: read, renamed, recognised, and checked against the network that it is for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.arguments import arguments_of
from satvsr_plugin.weights.building import outline
from satvsr_plugin.weights.files import check_state_dict, compare_keys, load_checkpoint
from satvsr_plugin.weights.network_record import check_network
from satvsr_plugin.weights.official import RENAMED, from_official, unwrap
from satvsr_plugin.weights.pickled_module import is_pickled, load_pickled_module

ARCHS = tuple(RENAMED)

# What to know about arguments that weights do not tell.
HINTS = {
    ('DUF', 'adapt_official_weights'): 'true for weights converted from the authors\' TensorFlow files',
    ('RBPN', 'flow'): 'the published weights saw the flow of pyflow, which has no licence; dis comes nearest to it',
    ('IconVSR', 'keyframe_stride'): '5 in the paper',
}


@dataclass(frozen=True)
class Conversion:
    """Weights in our names, which fit the network without a key missing or left over.

    Attributes:
        arch: name of the network in the registry.
        state_dict: the weights.
        arguments: those of the network that are known, or were read from the weights.
        defaults: where they were read, its other arguments, which leave no trace in weights, with their defaults.
    """

    arch: str
    state_dict: dict[str, Tensor]
    arguments: dict[str, Any]
    defaults: dict[str, Any]

    @property
    def network(self) -> dict[str, Any]:
        """Type and all arguments, as in ``network_g`` of an option file."""
        defaults = {name: value for name, value in self.defaults.items() if value is not None}
        return {'type': self.arch, **self.arguments, **defaults}


def load_original(path: str | Path) -> Mapping[str, Any]:
    """Read anybody's checkpoint without running code in it: a state dict, in wrappers or not, or a whole network.

    Raises:
        WeightsError: the file is missing, damaged, or holds what neither of them is made of.
    """
    try:
        return load_checkpoint(path)
    except WeightsError:
        if not is_pickled(path):
            raise
    return load_pickled_module(path)


def convert(checkpoint: Mapping[str, Any], arch: str | None = None,
            network: Mapping[str, Any] | None = None) -> Conversion:
    """Turn a checkpoint into one of ours.

    Args:
        checkpoint: as :func:`load_original` gives it.
        arch: name of the network; None to take the only one that the weights fit.
        network: type and arguments, where they are known; None to read the arguments from the weights.

    Raises:
        WeightsError: the weights do not fit the network, or without ``arch``, none or several.
    """
    if network is not None:
        return _convert_described(check_network(network), checkpoint)
    if arch is not None:
        return _convert_to(arch, checkpoint)
    fitting = []
    for candidate in ARCHS:
        try:
            fitting.append(_convert_to(candidate, checkpoint))
        except WeightsError:
            continue
    if len(fitting) != 1:
        found = ', '.join(conversion.arch for conversion in fitting) or f'none of {", ".join(ARCHS)}'
        raise WeightsError(f'these weights fit {found}; say with --arch which network they should be of')
    return fitting[0]


def network_section(conversion: Conversion) -> str:
    """The section of an option file that builds the network; what weights do not tell stands there as comments."""
    lines = ['network_g:', f'  type: {conversion.arch}', *_yaml(conversion.arguments)]
    if conversion.defaults:
        lines += ['  # Weights do not tell these; they are the defaults:']
    for line, name in zip(_yaml(conversion.defaults), conversion.defaults, strict=True):
        hint = HINTS.get((conversion.arch, name))
        lines.append(f'  # {line.strip()}' + (f'  ({hint})' if hint else ''))
    return '\n'.join(lines)


def _yaml(arguments: Mapping[str, Any]) -> list[str]:
    words = {True: 'true', False: 'false', None: '~'}
    return [f'  {name}: {words[value] if value is None or isinstance(value, bool) else value}'
            for name, value in arguments.items()]


def _convert_described(network: dict[str, Any], checkpoint: Mapping[str, Any]) -> Conversion:
    arch = network['type']
    if arch in RENAMED:
        state_dict = from_official(arch, checkpoint)
    else:
        state_dict = dict(unwrap(checkpoint))
        check_state_dict(state_dict)
    _check_fit(outline(network, len(state_dict)), state_dict, arch)
    return Conversion(arch, state_dict, {name: value for name, value in network.items() if name != 'type'}, {})


def _convert_to(arch: str, checkpoint: Mapping[str, Any]) -> Conversion:
    state_dict = from_official(arch, checkpoint)
    arguments = arguments_of(arch, state_dict)
    try:
        net = outline({'type': arch, **arguments})
    except WeightsError as error:
        raise WeightsError(f'these weights are of no {arch} that can be built: {error}') from error
    _check_fit(net, state_dict, arch)
    parameters = inspect.signature(type(net)).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in arguments}
    return Conversion(arch, state_dict, arguments, defaults)


def _check_fit(net: nn.Module, state_dict: Mapping[str, Tensor], arch: str) -> None:
    faults = compare_keys(net, state_dict, show=20)
    if faults:
        raise WeightsError(f'these weights do not fit {arch}:\n  ' + '\n  '.join(faults))
