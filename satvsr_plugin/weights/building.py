"""Networks of the toolbox's registry, built from a section of options that was found sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from satvsr_plugin.errors import SatVSRError, WeightsError

# Networks of the toolbox that load or download files of their own as soon as they are built, whatever a record says.
READ_FILES = ('DFDNet', 'VGGFeatureExtractor')
SPARE_PARAMETERS = 100  # of layers that a constructor makes and replaces


def build(network: Mapping[str, Any]) -> nn.Module:
    """Build a network as an option file does.

    Args:
        network: its type and arguments.

    Raises:
        WeightsError: it is not registered, or cannot be built with these arguments.
    """
    arguments = {name: value for name, value in network.items() if name != 'type'}
    try:
        constructor = ARCH_REGISTRY.get(network['type'])
    except KeyError as error:
        raise WeightsError(f'there is no network {network["type"]:.60}; install the plugin that has it') from error
    if constructor.__name__ in READ_FILES:
        raise WeightsError(f'{constructor.__name__} is no network for super-resolution')
    try:
        return constructor(**arguments)
    except SatVSRError as error:
        raise WeightsError(str(error)) from error
    except Exception as error:  # sizes that make no sense end anywhere in torch
        wanted = ', '.join(f'{name}: {value}' for name, value in arguments.items())
        raise WeightsError(f'{network["type"]} cannot be built with {wanted:.500} ({error})') from error


def outline(network: Mapping[str, Any], num_tensor: int | None = None) -> nn.Module:
    """Build a network without memory for its weights, however large a hostile checkpoint claims it to be.

    Args:
        network: its type and arguments.
        num_tensor: how many weights there are for it; a network that has far more is not built to the end.

    Returns:
        The network on the meta device: names and shapes.

    Raises:
        WeightsError: as :func:`build`, or it has far more weights.
    """
    with _at_most(num_tensor), torch.device('meta'), _SmallTensorsOnCPU():
        return build(network)


class _SmallTensorsOnCPU(TorchFunctionMode):
    """SwinIR asks for the values of a ``linspace``, one a layer, which the meta device does not have."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device = {'device': 'cpu'} if function is torch.linspace else {}
        return function(*args, **{**(kwargs or {}), **device})


@contextmanager
def _at_most(num_tensor: int | None) -> Iterator[None]:
    """Stop a constructor that makes layers without end, which take time even on the meta device."""
    left = float('inf') if num_tensor is None else 2 * num_tensor + SPARE_PARAMETERS

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        left -= parameter is not None
        if left < 0:
            raise WeightsError(f'the network has far more weights than the {num_tensor} in the file')

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
