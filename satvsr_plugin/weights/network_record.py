"""What a checkpoint says about its network: the ``network_g`` section of the option file that it was trained with.

Whoever made the file wrote it, so that it is read as the data of a stranger: plain values of bounded sizes, and no
argument that would make a network read another file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from satvsr_plugin import __version__
from satvsr_plugin.errors import WeightsError

NETWORK, VERSION = 'network', 'satvsr_plugin'  # the entries of a checkpoint
MOST_VALUES, LONGEST_TEXT, LONGEST_JSON, LARGEST_NUMBER, DEEPEST = 1000, 1000, 100_000, 10**6, 4


def record_entries(network: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a checkpoint from which :func:`satvsr_plugin.weights.build_described` builds its network again.

    Args:
        network: type and arguments. Paths are left out: the weights hold what was read from them.

    Returns:
        ``network``, a deep copy in plain containers, and ``satvsr_plugin``, the version.
    """
    return {NETWORK: _plain(network), VERSION: __version__}


def read_record(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """The network that a checkpoint says it is of, checked; None where it says nothing.

    Args:
        checkpoint: as ``load_checkpoint`` gives it.

    Raises:
        WeightsError: what it says cannot be a network.
    """
    record = checkpoint.get(NETWORK)
    return check_network(record) if isinstance(record, (Mapping, str)) else None


def check_network(network: Mapping[str, Any] | str) -> dict[str, Any]:
    """A network's type and arguments, found to be plain values of bounded sizes; without paths.

    Args:
        network: a section of options, or JSON of it.

    Raises:
        WeightsError: says what is wrong with it.
    """
    network = _from_json(network) if isinstance(network, str) else network
    if not isinstance(network, Mapping) or not isinstance(network.get('type'), str):
        raise WeightsError('the record of its network has no type')
    for number, fault in enumerate(_faults(network)):
        if fault or number >= MOST_VALUES:
            raise WeightsError('the record of its network ' + (fault or f'has more than {MOST_VALUES} values'))
    return _plain(network)


def _from_json(text: str) -> Any:
    if len(text) > LONGEST_JSON:
        raise WeightsError(f'the record of its network is longer than {LONGEST_JSON:,} characters')
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError('the record of its network is damaged') from error


def _faults(value: Any, depth: int = 0) -> Iterator[str | None]:
    """For every value of a section what is wrong with it; None where nothing is."""
    if depth > DEEPEST:
        yield f'has sections in more than {DEEPEST} others'
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield None if isinstance(key, str) and len(key) <= LONGEST_TEXT else 'has a key that is no name'
            yield from _faults(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _faults(item, depth + 1)
    elif isinstance(value, str):
        yield f'has a text of more than {LONGEST_TEXT} characters' if len(value) > LONGEST_TEXT else None
    elif isinstance(value, (int, float)):
        yield None if math.isfinite(value) and abs(value) <= LARGEST_NUMBER else f'has the number {value:.3g}'
    else:
        yield None if value is None else f'holds a {type(value).__name__}'


def _plain(value: Any) -> Any:
    """A deep copy in dictionaries and lists, without paths; what ``weights_only`` would not read back becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if not _names_file(key, item)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if type(value) in (bool, int, float, str, type(None)) else str(value)


def _names_file(key: Any, value: Any) -> bool:
    """``spynet_path``, ``edvr_path`` and the like, and whatever else looks like a path or an address."""
    return key != 'type' and (str(key).endswith('path')
                              or (isinstance(value, str) and ('/' in value or '\\' in value)))
