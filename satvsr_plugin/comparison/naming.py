"""Short names for systems, as the papers call the networks."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from basicsr.utils.registry import ARCH_REGISTRY

from satvsr_plugin.errors import OptionError
from satvsr_plugin.test_record import TestRecord

_PAPER_NAMES = {
    'BasicVSR': 'BasicVSR',
    'BasicVSRPlusPlus': 'BasicVSR++',
    'Bicubic': 'Bicubic',
    'IconVSR': 'IconVSR',
    'LinearFilter': 'Linear filter',
    'MSDTGP': 'MSDTGP',
    'RBPN': 'RBPN',
    'SOFVSR': 'SOF-VSR',
    'TDAN': 'TDAN',
}


def system_names(records: Sequence[TestRecord], names: Sequence[str] | None = None) -> list[str]:
    """How to call the systems.

    Args:
        records: their tests.
        names: the user's choice; without it the networks' short names, with the experiment's where a name is not
            the only one of its kind.

    Raises:
        OptionError: the chosen names do not fit, see :func:`check_names`.
    """
    if names is not None:
        check_names(names, len(records))
        return list(names)
    short = [short_name(record) for record in records]
    short = [f'{name} ({record.name})' if name != record.name and short.count(name) > 1 else name
             for name, record in zip(short, records, strict=True)]
    seen: Counter[str] = Counter()
    unique = []
    for name in short:
        seen[name] += 1
        unique.append(name if short.count(name) == 1 else f'{name} #{seen[name]}')
    return unique


def short_name(record: TestRecord) -> str:
    """``MSDTGP``, ``EDVR-L``, ``DUF-52L``, ...; the experiment's name for a network that has none here."""
    network = network_arguments(record.network)
    if network['type'] == 'EDVR':
        size = f'{network.get("num_feat")}-{network.get("num_reconstruct_block")}'
        return {'128-40': 'EDVR-L', '64-10': 'EDVR-M'}.get(size, f'EDVR-{size}')
    if network['type'] == 'DUF':
        return f'DUF-{network.get("num_layer")}L'
    return _PAPER_NAMES.get(network['type'], record.name)


def network_arguments(network: Mapping[str, Any]) -> dict[str, Any]:
    """A ``network_g`` with the defaults of what it leaves out, as far as the network is registered."""
    if network['type'] not in ARCH_REGISTRY:
        return dict(network)
    parameters = inspect.signature(ARCH_REGISTRY.get(network['type'])).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
    return {**defaults, **network}


def check_names(names: Sequence[str], count: int) -> None:
    """Raises an ``OptionError`` where names are not as many as systems, or one is empty or given twice."""
    if len(names) != count:
        raise OptionError(f'--names: {len(names)} names for {count} systems; give one each')
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise OptionError(f'--names: {twice[0]!r} is there twice; tell the systems apart')
    if not all(name.strip() for name in names):
        raise OptionError('--names: a name is empty; give every system one')
