"""What is wrong with options that make training faster is said before anything is created."""

from __future__ import annotations

from typing import Any

import pytest

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.option_check.training import train_problems

DUF = {'type': 'DUF', 'scale': 4, 'num_layer': 16, 'adapt_official_weights': False}


def problems(network: dict[str, Any] | None = None, **train: Any) -> list[tuple[str, str]]:
    opt = {'network_g': network or {'type': 'TDAN'}, 'datasets': {},
           'train': {'total_iter': 10, 'optim_g': {'type': 'Adam', 'lr': 1e-3}, 'pixel_opt': {'type': 'L1Loss'},
                     'scheduler': {'type': 'MultiStepLR', 'milestones': [5]}} | train}
    return [tuple(item) for item in train_problems(opt, SatVSRModel, InputSpec(4))]


@pytest.mark.parametrize('options', [
    {'compile': True, 'checkpointing': True}, {'optim_g': {'type': 'Adam', 'lr': 1e-3, 'fused': True}}])
def test_what_is_right_is_taken(options: dict[str, Any]) -> None:
    assert problems(**options) == []


@pytest.mark.parametrize('network, options, expected', [
    (DUF, {'checkpointing': True}, ('train.checkpointing', 'is true, but DUF has no blocks that could be computed '
                                                           'again; set it to false')),
    (None, {'compile': 'inductor'}, ('train.compile', "must be true or false, not the text 'inductor'")),
    (None, {'optim_g': {'type': 'Adam', 'lr': 1e-3, 'fused': 'yes'}},
     ('train.optim_g.fused', "must be true or false, not the text 'yes'")),
    (None, {'optim_g': {'type': 'Adam', 'lr': 1e-3, 'differentiable': True}},
     ('train.optim_g', 'torch.optim.Adam refuses it: a leaf Variable that requires grad is being used in an in-place '
                       'operation.')),
    (None, {'optim_g': {'type': 'Adam', 'lr': 1e-3, 'fused': True, 'foreach': True}},
     ('train.optim_g', 'torch.optim.Adam refuses it: `fused` and `foreach` cannot be `True` together.')),
])
def test_what_is_wrong_is_said(network: dict[str, Any] | None, options: dict[str, Any],
                               expected: tuple[str, str]) -> None:
    assert problems(network, **options) == [expected]
