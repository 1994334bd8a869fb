"""The ``network_*`` sections: the network exists, takes these arguments and can be built with them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from basicsr.utils.registry import ARCH_REGISTRY

from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.option_check.general import registered, section
from satvsr_plugin.option_sentences import Problem, problems_of_call


def network_problems(opt: dict[str, Any]) -> Iterator[Problem]:
    """All networks of a file."""
    for key in opt:
        if str(key).startswith('network_') and section(opt, key):
            yield from _problems_of_one(section(opt, key), key)


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


def _problems_of_one(options: dict[str, Any], where: str) -> Iterator[Problem]:
    network, problems = registered(ARCH_REGISTRY, options, where)
    arguments = {key: value for key, value in options.items() if key != 'type'}
    if network:
        problems = problems_of_call(network, arguments, where)
    yield from problems
    if network and not problems and network.__module__.startswith('satvsr_plugin.'):
        try:
            network(**arguments)
        except SatVSRError as error:
            yield Problem(where, str(error))
        except Exception as error:  # sizes that make no sense end anywhere in torch
            yield Problem(where, f'{network.__name__} cannot be built with these options: {error}')
