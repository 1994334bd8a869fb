"""An unpickler that cannot run code: every global that it knows is a record that keeps what it is given.

``torch.save(network)`` of a network, rather than of its state dict, writes a pickle of its classes by name, of the
functions that rebuild its tensors, and of all attributes. Here none of these names is looked up: each stands for one
of the classes below, and a name that a saved network does not need is refused.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from typing import Any

import torch

from satvsr_plugin.errors import WeightsError

NETWORK_PACKAGES = ('torch.nn', 'model', 'modules')  # the last two are those of TDAN's authors


class Record:
    """Base of all that a pickle can make. Its own ``__setstate__`` keeps the unpickler from setting attributes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Leave the state."""


class SavedModule(Record):
    """Any ``nn.Module``, or another object of its package: keeps its state, which is a dictionary of attributes."""

    __slots__ = ('state',)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class SavedDict(Record, dict):
    """``OrderedDict``. Python 2 hands it its items at once; they are not copied, since copies multiply memory."""

    __slots__ = ('pairs',)

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__()
        self.pairs = pairs


class SavedStorage(Record):
    """Numbers in the file, all of one type: ``length`` of the storage ``key``, which has ``numel``, from ``start``."""

    __slots__ = ('dtype', 'key', 'numel', 'start', 'length')

    def __init__(self, dtype: torch.dtype, key: str, numel: int, start: int, length: int) -> None:
        self.dtype, self.key, self.numel, self.start, self.length = dtype, key, numel, start, length


class SavedTensor(Record):
    """What ``torch._utils._rebuild_tensor`` and its second version are given."""

    __slots__ = ('storage', 'offset', 'size', 'stride')

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False,
                 hooks: Any = None) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


class SavedParameter(Record):
    """A ``Parameter``, or a ``Variable`` of torch up to 0.3."""

    __slots__ = ('data',)

    def __init__(self, data: Any, requires_grad: Any = True, hooks: Any = None) -> None:
        self.data = data


class Kept(Record):
    """A set, a size or a device: kept as it was given."""

    __slots__ = ('arguments',)

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


GLOBALS: dict[str, Any] = {
    'collections.OrderedDict': SavedDict,
    '__builtin__.set': Kept,  # protocol 2 uses the names of Python 2
    'torch.Size': Kept,
    'torch.device': Kept,
    'torch._utils._rebuild_tensor': SavedTensor,
    'torch._utils._rebuild_tensor_v2': SavedTensor,
    'torch._utils._rebuild_parameter': SavedParameter,
    'torch.nn.parameter.Parameter': SavedParameter,
    'torch.autograd.variable.Variable': SavedParameter,
    **{f'{package}.{name}Storage': dtype for package in ('torch', 'torch.cuda') for name, dtype in {
        'Float': torch.float32, 'Double': torch.float64, 'Half': torch.float16, 'BFloat16': torch.bfloat16,
        'Long': torch.int64, 'Int': torch.int32, 'Short': torch.int16, 'Char': torch.int8, 'Byte': torch.uint8,
    }.items()},
}


class InertUnpickler(pickle.Unpickler):
    """Unpickles what :func:`satvsr_plugin.weights.pickle_screen.next_pickle` has let through.

    Attributes:
        storages: the storages that were mentioned, by key.
    """

    def __init__(self, content: bytes) -> None:
        # Any byte is a character of Latin-1: texts of Python 2 cannot fail, and those that matter are ASCII.
        super().__init__(BytesIO(content), encoding='latin1')
        self.storages: dict[str, SavedStorage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The record that stands for a global.

        Raises:
            WeightsError: a saved network does not need it.
        """
        known = GLOBALS.get(f'{module}.{name}')
        if known is not None:
            return known
        if name.isidentifier() and any(module == package or module.startswith(f'{package}.')
                                       for package in NETWORK_PACKAGES):
            return SavedModule
        raise WeightsError(f'refused, since it asks for {module}.{name}, which no saved network needs and which could '
                           'run code; save its state_dict() with the program it came from')

    def persistent_load(self, pid: Any) -> Any:
        """What torch files apart: the classes of networks, with their source code, and storages.

        Raises:
            WeightsError: it is neither, or two storages have the same key.
        """
        kind, *content = pid if isinstance(pid, tuple) and pid else (None,)
        if kind == 'module' and content[:1] == [SavedModule]:
            return SavedModule
        if kind != 'storage' or len(content) not in (4, 5):  # the archive knows no views of storages
            raise WeightsError('damaged: it files apart what is neither a class nor numbers')
        dtype, key, _, numel, view = (*content, None)[:5]
        start, length = (0, numel) if view is None else view[1:]
        if not (isinstance(dtype, torch.dtype) and isinstance(key, str) and _are_counts(numel, start, length)):
            raise WeightsError('damaged: it describes numbers in an impossible way')
        same = self.storages.setdefault(key, SavedStorage(dtype, key, numel, 0, numel))
        if (same.dtype, same.numel) != (dtype, numel) or start + length > numel:
            raise WeightsError(f'damaged: it describes the numbers called {key:.20} in two ways')
        return SavedStorage(dtype, key, numel, start, length)


def _are_counts(*values: Any) -> bool:
    return all(type(value) is int and 0 <= value < 2**62 for value in values)
