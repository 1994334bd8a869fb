"""Which bands go through a network together, what is said of it, and how the results come back."""

from __future__ import annotations

import re

import pytest
import torch

from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.bands import plan_bands


@pytest.mark.parametrize('channels, bands, groups, phrase', [
    (3, 3, [(0, 1, 2)], None), (4, 4, [(0, 1, 2, 3)], None), (2, None, [(0, 1)], None), (1, 1, [(0,)], None),
    (1, 3, [(0, 0, 0)], 'three equal bands'),
    (2, 3, [(0, 1, 1)], 'groups, 1[+]2[+]2; results of a repeated band'),
    (4, 3, [(0, 1, 2), (3, 3, 3)], 'the 4 bands go through it in groups, 1[+]2[+]3, 4[+]4[+]4; results of a'),
    (6, 3, [(0, 1, 2), (3, 4, 5)], 'groups, 1[+]2[+]3, 4[+]5[+]6[.]$'),
    (3, 1, [(0,), (1,), (2,)], 'each of the 3 bands')])
def test_groups(channels, bands, groups, phrase):
    plan = plan_bands(channels, bands)
    assert list(plan.groups) == groups
    if phrase is None:
        assert plan.remark is None
    else:
        assert re.search(phrase, plan.remark)


@pytest.mark.parametrize('channels, bands', [(3, 4), (1, 4), (4, 8)])
def test_a_multispectral_network_takes_only_its_own_bands(channels, bands):
    with pytest.raises(DataError, match=f'have {channels} bands?, but the network takes {bands}; use weights'):
        plan_bands(channels, bands)


def test_results_of_repeated_bands_are_averaged():
    plan = plan_bands(5, 3)  # 0 1 2, 3 4 4
    results = [torch.tensor([1., 2, 3]), torch.tensor([4., 5, 7])]
    merged = plan.merge([result.view(1, 3, 1, 1).expand(2, 3, 4, 6) for result in results])
    assert merged.shape == (2, 5, 4, 6)
    assert merged[1, :, 2, 3].tolist() == [1, 2, 3, 4, 6]


def test_a_network_that_gives_other_bands_than_it_takes_is_refused():
    with pytest.raises(DataError, match='takes 3 bands and gives 1'):
        plan_bands(3, 3).merge([torch.zeros(1, 1, 2, 2)])
