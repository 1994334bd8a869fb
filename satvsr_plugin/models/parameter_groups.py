"""Which parameters of a network learn at which rate, and which of them wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from satvsr_plugin.models.model_options import TrainOptions

Named = tuple[str, nn.Parameter]


def parameter_groups(net: nn.Module, train_opt: TrainOptions, rate: float) -> list[dict[str, Any]]:
    """The trainable parameters as the optimizer takes them: all others, deformable offsets, optical flow.

    Args:
        net: the network, bare or wrapped.
        train_opt: its ``dcn_offset_lr_mul`` and ``flow_lr_mul`` are factors on the rates of the two special groups.
        rate: the learning rate of all others.

    Returns:
        Groups that are not empty, the one of all others first.
    """
    offsets = {id(parameter) for parameter in offset_parameters(net)}
    groups: dict[str, list[nn.Parameter]] = {'others': [], 'offsets': [], 'flow': []}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            kind = 'offsets' if id(parameter) in offsets else 'flow' if _is_flow(name) else 'others'
            groups[kind].append(parameter)
    rates = {'others': rate, 'offsets': rate * train_opt.dcn_offset_lr_mul, 'flow': rate * train_opt.flow_lr_mul}
    return [{'params': params, 'lr': rates[kind]} for kind, params in groups.items() if params or kind == 'others']


def offset_parameters(net: nn.Module) -> list[nn.Parameter]:
    """Parameters of the layers that predict deformable offsets: in the network's own word, or the toolbox's names."""
    bare = getattr(net, 'module', net)
    own = getattr(bare, 'offset_parameters', None)
    if own is not None:
        return own()
    return [parameter for name, parameter in bare.named_parameters() if 'conv_offset' in name]


class Waiting:
    """Parameters that do not learn in the first steps of training, as the recipes of the toolbox's networks want it.

    They keep ``requires_grad``, since data parallelism counts on their gradients, but lose the gradient before each
    step.

    Args:
        net: the network, bare or wrapped.
        train_opt: during ``fix_flow`` steps flow networks (and IconVSR's feature extractor) wait, during
            ``tsa_iter`` steps all that is not EDVR's fusion.
    """

    def __init__(self, net: nn.Module, train_opt: TrainOptions) -> None:
        named = list(net.named_parameters())
        self._until = [
            (train_opt.fix_flow or 0, _chosen(named, lambda name: _is_flow(name) or 'edvr.' in name)),
            (train_opt.tsa_iter or 0, _chosen(named, lambda name: 'fusion.' not in name)),
        ]

    def drop_gradients(self, current_iter: int) -> None:
        """Call between ``backward`` and the step of this iteration, which are counted from 1."""
        for steps, parameters in self._until:
            if current_iter <= steps:
                for parameter in parameters:
                    parameter.grad = None


def _chosen(named: list[Named], wanted: Callable[[str], bool]) -> list[nn.Parameter]:
    return [parameter for name, parameter in named if wanted(name)]


def _is_flow(name: str) -> bool:
    return 'spynet.' in name
