"""The network that super-resolves a user's video: by weights alone, or by an option file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from satvsr_plugin.errors import OptionError
from satvsr_plugin.options import load_options
from satvsr_plugin.weights.described import build_described, default_weights


class LoadedNetwork(NamedTuple):
    """A network that is ready to run.

    Attributes:
        net: in evaluation mode.
        weights: the file that its weights came from; None for networks without any.
        description: its type and arguments where an option file says them; otherwise the weights do.
        remark: what it is, a line to print.
    """

    net: nn.Module
    weights: Path | None
    description: dict[str, Any] | None
    remark: str


def load_network(weights: Path | None, opt: Path | None, overrides: Sequence[str] = ()) -> LoadedNetwork:
    """Build the network that the user asked for, with its weights.

    Args:
        weights: a checkpoint; without one that of the option file, or the weights that come with this package.
        opt: an option file, whose ``network_g`` says what the network is; without it the weights say it.
        overrides: changes to the option file, ``key:key=value``.

    Raises:
        OptionError: the option file is wrong.
        WeightsError: the weights cannot be read, do not say what network they belong to, or do not fit it.
    """
    if opt is None:
        if overrides:
            raise OptionError('--force_yml changes an option file; add --opt FILE')
        weights = weights or default_weights()
        net = build_described(weights)
        return LoadedNetwork(net, weights, None, f'network: {type(net).__name__} of {weights}')
    options = load_options(opt, overrides)
    network = options.get('network_g')
    if not isinstance(network, dict) or 'type' not in network:
        raise OptionError(f'{opt}: has no network_g with a type, so that there is nothing to run')
    weights = weights or (options.get('path') or {}).get('pretrain_network_g')
    net = build_described(weights and Path(weights), network)
    return LoadedNetwork(net, weights and Path(weights), network,
                         f'network: {network["type"]} of {opt}, weights: {weights or "none"}')
