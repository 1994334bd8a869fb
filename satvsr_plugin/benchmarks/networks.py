"""The networks that are measured: the paper's, the one that comes along, any of the registry, or a file of weights."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.comparison.cost_measures import count_macs
from satvsr_plugin.errors import OptionError, WeightsError
from satvsr_plugin.weights.building import build
from satvsr_plugin.weights.described import build_described, default_weights, read_weights

# The paper's initialisation lets features grow ten-thousandfold; half types would overflow.
FULL = {'type': 'MSDTGP', 'init': 'gentle'}
OFFSETS = 2.0  # pixels, of a network that is not trained: with all of them zero, sampling would be too easy
COUNT_SIZE = 16  # height and width of the frames that multiply-accumulates are counted on


class Network(NamedTuple):
    """What is needed to build a network anew.

    Attributes:
        name: as in the tables.
        options: type and arguments, a ``network_g``.
        weights: the file; None for a network that is not trained.
    """

    name: str
    options: dict[str, Any]
    weights: Path | None = None

    def build(self, dcn: str | None = None) -> nn.Module:
        """The network on the CPU in evaluation mode, always with the same weights.

        Args:
            dcn: implementation of the deformable convolution; None for what the options say.

        Raises:
            SatVSRError: it cannot be built here.
        """
        options = self.options if dcn is None else {**self.options, 'dcn': dcn}
        if self.weights:
            return build_described(self.weights, options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = build(options).eval()
            offset_parameters = getattr(net, 'offset_parameters', list)
            for bias in (parameter for parameter in offset_parameters() if parameter.dim() == 1):
                nn.init.uniform_(bias, -OFFSETS, OFFSETS)
        return net

    @property
    def takes_dcn(self) -> bool:
        """Whether the implementation of its deformable convolution can be chosen."""
        return 'dcn' in inspect.signature(ARCH_REGISTRY.get(self.options['type'])).parameters


def choose_networks(names: Sequence[str], weights: Path | None) -> list[Network]:
    """The networks by their names, and that of ``weights`` in front.

    Args:
        names: ``full`` (the paper's), ``small`` (the weights that come along) or of the toolbox's registry.
        weights: a file of trained weights that says which network it is of; None for none.

    Raises:
        OptionError: a name is not known.
        WeightsError: a file of weights cannot be used.
    """
    trained = [] if weights is None else [_of_weights(weights.stem, weights)]
    return trained + [_named(name) for name in dict.fromkeys(names)]


def spec_of(name: str, net: nn.Module) -> InputSpec:
    """What a network wants to be given.

    Raises:
        OptionError: it is not known, or frames alone are not enough for it.
    """
    spec = input_spec(net)
    if spec is None:
        raise OptionError(f'--networks {name}: it is not known what this network wants to be given (input_spec)')
    if spec.needs:
        raise OptionError(f'--networks {name}: needs {", ".join(spec.needs)} besides frames; it is not measured here')
    return spec


def macs_a_pixel(net: nn.Module, spec: InputSpec) -> float:
    """Multiply-accumulates for each LR pixel of a result frame; as :func:`count_macs`."""
    return count_macs(net, spec, size=COUNT_SIZE) / 160**2


def _named(name: str) -> Network:
    if name == 'full':
        return Network(name, dict(FULL))
    if name == 'small':
        return _of_weights(name, default_weights())
    if name not in ARCH_REGISTRY:
        raise OptionError(f'--networks {name}: there is no such network; give full, small or a name of the registry: '
                          + ', '.join(sorted(key for key, _ in ARCH_REGISTRY)))
    return Network(name, {'type': name})


def _of_weights(name: str, path: Path) -> Network:
    found = read_weights(path).network
    if found is None:
        raise WeightsError(f'{path}: does not say which network it is of; convert it with scripts/convert_weights.py')
    return Network(name, dict(found), path)
