"""The ``network_*`` sections: the network exists, takes these arguments and can be built with them."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.archs.toolbox_networks import input_spec, is_known
from satvsr_plugin.errors import SatVSRError, WeightsError
from satvsr_plugin.option_check.general import registered, section
from satvsr_plugin.option_sentences import Problem, describe, problems_of_call
from satvsr_plugin.weights.files import load_checkpoint

SPYNET = 'download spynet_sintel_final-3d2a1287.pth of the model zoo of BasicSR'
LARGEST = 4096  # features, blocks, frames, ...: many times those of any network
NEED_VALUES = ('SwinIR',)  # networks that compute with the values of tensors while they are built


def check_networks(opt: dict[str, Any]) -> tuple[list[Problem], InputSpec | None]:
    """All networks of a file; those whose input is known are built.

    Returns:
        What is wrong, and what ``network_g`` wants to be given; None where that is not known.
    """
    problems: list[Problem] = []
    spec = None
    for key in opt:
        if str(key).startswith('network_') and section(opt, key):
            has_weights = bool(section(opt, 'path').get(key.replace('network', 'pretrain_network')))
            found, wanted = _check_one(section(opt, key), key, has_weights)
            problems += found
            spec = wanted if key == 'network_g' else spec
    return problems, spec


def network_argument(opt: dict[str, Any], *names: str) -> Any:
    """The value that ``network_g`` gets for the first of these arguments that it has, given or by default."""
    options = section(opt, 'network_g')
    network, _ = registered(ARCH_REGISTRY, options, 'network_g')
    parameters = inspect.signature(network).parameters if network else {}
    for name in names:
        if name in parameters:
            default = parameters[name].default
            return options.get(name, None if default is inspect.Parameter.empty else default)
    return None


def _check_one(options: dict[str, Any], where: str, has_weights: bool) -> tuple[list[Problem], InputSpec | None]:
    network, problems = registered(ARCH_REGISTRY, options, where)
    arguments = {key: value for key, value in options.items() if key != 'type'}
    if network:
        problems = [*problems_of_call(network, arguments, where), *_unfit_files(arguments, where)]
        if is_known(network):  # what others take their numbers for is theirs to say
            problems += _too_large(arguments, where)
    if not network or problems or not is_known(network):
        return problems, None
    try:
        net = built_without_weights(network, arguments)
        if not has_weights and not getattr(getattr(net, 'spynet', None), 'has_weights', True):
            what = f'is missing, and with it the weights of the flow network, which does not learn; {SPYNET}'
            return [Problem(f'{where}.spynet_path', f'{what}, or use flow: dis')], None
        return [], input_spec(net)
    except SatVSRError as error:
        return [Problem(where, str(error))], None
    except Exception as error:  # sizes that make no sense end anywhere in torch
        return [Problem(where, f'{network.__name__} cannot be built with these options: {error}')], None


def _too_large(arguments: dict[str, Any], where: str) -> Iterator[Problem]:
    """Slips of the keyboard, with which it would take hours and all memory to build the network."""
    for key, value in arguments.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, int) and number > LARGEST for number in numbers):
            yield Problem(f'{where}.{key}', f'must be at most {LARGEST}, not {describe(value)}')


def built_without_weights(network: type[nn.Module], arguments: dict[str, Any]) -> nn.Module:
    """A network whose weights take no memory, since nobody knows yet whether this machine holds them."""
    place = 'cpu' if network.__name__ in NEED_VALUES else 'meta'
    with torch.device(place), warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # that the weights of its parts cannot be put in
        return network(**arguments)


def _unfit_files(arguments: dict[str, Any], where: str) -> Iterator[Problem]:
    """Weights of parts of a network: ``spynet_path``, ``edvr_path``."""
    for key, value in arguments.items():
        if not (str(key).endswith('_path') and isinstance(value, str)):
            continue
        file = os.path.expanduser(value)
        if os.path.isfile(file):
            try:
                load_checkpoint(Path(file))  # the toolbox's message would be how to run code in it
            except WeightsError as error:
                yield Problem(f'{where}.{key}', str(error))
            continue
        remedy = 'mend the path, or use ~ to train this part from scratch'
        if key == 'spynet_path':
            remedy = f'{SPYNET}, {remedy}'
        yield Problem(f'{where}.{key}', f'there is no file {value}; {remedy}')
