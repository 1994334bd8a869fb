"""Short names, as the papers call the networks."""

from __future__ import annotations

from typing import Any

import pytest
from small_results import SCORES, make_record

from satvsr_plugin.comparison.naming import network_arguments, system_names
from satvsr_plugin.errors import OptionError


@pytest.mark.parametrize(('network', 'name'), [
    ({'type': 'Bicubic'}, 'Bicubic'),
    ({'type': 'MSDTGP', 'num_feat': 16}, 'MSDTGP'),
    ({'type': 'SOFVSR'}, 'SOF-VSR'),
    ({'type': 'DUF'}, 'DUF-52L'),
    ({'type': 'DUF', 'num_layer': 16}, 'DUF-16L'),
    ({'type': 'EDVR'}, 'EDVR-M'),
    ({'type': 'EDVR', 'num_feat': 128, 'num_reconstruct_block': 40}, 'EDVR-L'),
    ({'type': 'EDVR', 'num_feat': 32}, 'EDVR-32-10'),
    ({'type': 'BasicVSRPlusPlus'}, 'BasicVSR++'),
    ({'type': 'SomebodysNet'}, 'my_run'),
])
def test_names_of_networks(network: dict[str, Any], name: str) -> None:
    assert system_names([make_record('my_run', SCORES['Net'], network)]) == [name]


def test_names_are_unique() -> None:
    records = [make_record(name, SCORES['Net'], {'type': kind})
               for name, kind in (('a', 'TDAN'), ('b', 'TDAN'), ('same', 'X'), ('same', 'X'), ('c', 'RBPN'))]
    assert system_names(records) == ['TDAN (a)', 'TDAN (b)', 'same #1', 'same #2', 'RBPN']


def test_names_of_the_user() -> None:
    records = [make_record('a', SCORES['Net'])] * 2
    assert system_names(records, ['x', 'y']) == ['x', 'y']
    with pytest.raises(OptionError, match='--names: 3 names for 2 systems; give one each'):
        system_names(records, ['x', 'y', 'z'])
    with pytest.raises(OptionError, match="--names: 'x' is there twice"):
        system_names(records, ['x', 'x'])
    with pytest.raises(OptionError, match='--names: a name is empty'):
        system_names(records, ['x', ' '])


def test_defaults_of_a_network_are_filled_in() -> None:
    assert network_arguments({'type': 'DUF', 'scale': 2}) == {
        'type': 'DUF', 'scale': 2, 'num_layer': 52, 'adapt_official_weights': False}
