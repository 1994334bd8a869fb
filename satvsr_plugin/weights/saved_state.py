"""The state dict of a network that was unpickled into inert records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.inert import Kept, SavedDict, SavedModule, SavedParameter, SavedStorage, SavedTensor

Storages = Mapping[str, Tensor]
# Records may share children or contain themselves: without these bounds a small file could name tensors for ever.
MOST_ENTRIES = 20_000
LONGEST_KEY = 500
MOST_DIMENSIONS = 8


def state_dict_of(root: Any, storages: Storages) -> dict[str, Tensor]:
    """What ``network.state_dict()`` would give.

    Args:
        root: the network, as a record.
        storages: by key, its numbers as 1-D tensors.

    Returns:
        Tensors under their names; they share the memory of ``storages``.

    Raises:
        WeightsError: it is no network, or not in order.
    """
    if not isinstance(root, SavedModule):
        raise WeightsError('holds no network')
    state_dict: dict[str, Tensor] = {}
    waiting = [('', root)]
    num_entry = 0
    while waiting:
        prefix, module = waiting.pop()
        attributes = _attributes(module, prefix)
        tensors, children = _own_tensors(attributes), _entries(attributes, '_modules')
        num_entry += 1 + len(tensors) + len(children)
        if num_entry > MOST_ENTRIES:
            raise WeightsError(f'refused, since it has more than {MOST_ENTRIES:,} layers and weights')
        state_dict |= {_join(prefix, name): _tensor(saved, storages) for name, saved in tensors}
        waiting += [(_join(prefix, name) + '.', child) for name, child in reversed(children) if child is not None]
    if not state_dict:
        raise WeightsError('holds a network without weights')
    return state_dict


def _attributes(module: Any, prefix: str) -> Mapping[Any, Any]:
    attributes = getattr(module, 'state', None) if isinstance(module, SavedModule) else None
    if not isinstance(attributes, dict):
        raise WeightsError(f'damaged: {prefix[:-1] or "its content"} is no network')
    return attributes


def _own_tensors(attributes: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """Parameters and buffers of one layer, but for those that torch would not save."""
    unsaved = attributes.get('_non_persistent_buffers_set')
    names = unsaved.arguments[0] if isinstance(unsaved, Kept) and unsaved.arguments else ()
    buffers = [(name, saved) for name, saved in _entries(attributes, '_buffers') if name not in names[:100]]
    return [(name, saved) for name, saved in _entries(attributes, '_parameters') + buffers if saved is not None]


def _entries(attributes: Mapping[Any, Any], name: str) -> list[tuple[Any, Any]]:
    entries = attributes.get(name, {})
    if not isinstance(entries, dict):
        raise WeightsError(f'damaged: a layer has no {name}')
    pairs: Iterable[Any] = entries.pairs if isinstance(entries, SavedDict) and entries.pairs else ()
    return [*((key, value) for key, value in pairs), *entries.items()]


def _join(prefix: str, name: Any) -> str:
    if not isinstance(name, str) or len(prefix) + len(name) > LONGEST_KEY:
        raise WeightsError('damaged, or it contains itself: a layer has no name, or one without end')
    return prefix + name


def _tensor(saved: Any, storages: Storages) -> Tensor:
    """A tensor on its storage.

    Raises:
        WeightsError: it is none, or reaches beyond its storage.
    """
    if isinstance(saved, SavedParameter):
        saved = saved.data
    if not (isinstance(saved, SavedTensor) and isinstance(saved.storage, SavedStorage)):
        raise WeightsError('damaged: a weight is no tensor')
    offset, size, stride = saved.offset, saved.size, saved.stride
    shape_is_sound = (isinstance(size, tuple) and isinstance(stride, tuple)
                      and len(size) == len(stride) <= MOST_DIMENSIONS
                      and all(type(number) is int and 0 <= number < 2**62 for number in (offset, *size, *stride)))
    if not shape_is_sound:
        raise WeightsError('damaged: a tensor has an impossible shape')
    last = offset + sum((number - 1) * step for number, step in zip(size, stride, strict=True))
    if math.prod(size) > saved.storage.length or (0 not in size and last >= saved.storage.length):
        raise WeightsError('damaged: a tensor reaches beyond its numbers')
    numbers = storages[saved.storage.key][saved.storage.start:]
    return numbers.as_strided(size, stride, numbers.storage_offset() + offset)
