"""Losses and gradients that are no numbers, and offsets that run away: left out, counted, told, in the end refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from models.log_lines import logged
from models.model_options import make_opt
from torch import nn

from satvsr_plugin.errors import TrainingError
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.models.numerical_faults import MOST_IN_A_ROW, NumericalFaults


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """The warnings that are logged."""
    with logged(logging.WARNING) as found:
        yield found


def make_model(folder: Path, **train: object) -> SatVSRModel:
    torch.manual_seed(0)
    return SatVSRModel(make_opt(folder, **train))


def step(model: SatVSRModel, iteration: int, factor: float = 1) -> None:
    generator = torch.Generator().manual_seed(iteration)
    model.feed_data({'lq': factor * torch.rand(2, 3, 3, 6, 6, generator=generator),
                     'gt': torch.rand(2, 3, 12, 12, generator=generator)})
    model.optimize_parameters(iteration)


def weights(model: SatVSRModel) -> list[torch.Tensor]:
    return [p.detach().clone() for net in (model.net_g, model.net_g_ema) for p in net.parameters()]


def all_equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize('amp', ['none', 'fp16'])
def test_a_step_with_a_loss_that_is_no_number_is_left_out(tmp_path: Path, messages: list[str], amp: str) -> None:
    model = make_model(tmp_path, ema_decay=0.9, amp=amp)
    step(model, 1)
    before = weights(model)
    step(model, 2, factor=float('nan'))
    assert all_equal(weights(model), before)
    assert messages == ['the loss is nan at iteration 2; this step is left out (1 in a row, 1 in all)']
    assert model.get_current_log()['steps_left_out'] == 1
    step(model, 3)
    assert not all_equal(weights(model), before)
    assert all(value.isfinite().all() for value in weights(model))


def test_a_step_with_an_infinite_gradient_is_left_out(tmp_path: Path, messages: list[str]) -> None:
    model = make_model(tmp_path, ema_decay=0.9, grad_clip_norm=1.0)
    hook = model.net_g.output.conv.bias.register_hook(lambda grad: grad * float('inf'))
    before = weights(model)
    step(model, 1)
    assert all_equal(weights(model), before)
    assert 'norm of the gradient is inf at iteration 1' in messages[0] or 'is nan' in messages[0]
    hook.remove()
    step(model, 2)
    assert all(value.isfinite().all() for value in weights(model))


def test_too_many_in_a_row_end_the_run_with_advice(tmp_path: Path, messages: list[str]) -> None:
    model = make_model(tmp_path, ema_decay=0.9)
    before = weights(model)
    for iteration in range(1, MOST_IN_A_ROW):
        step(model, iteration, factor=float('inf'))
    with pytest.raises(TrainingError, match=r'the loss is (inf|nan) at iteration 10, as in the 9 steps before; .*'
                                            r'optim_g\.lr.*--auto_resume'):
        step(model, MOST_IN_A_ROW, factor=float('inf'))
    assert all_equal(weights(model), before)
    assert len(messages) == MOST_IN_A_ROW - 1


def test_a_sound_step_between_them_starts_the_count_anew(tmp_path: Path) -> None:
    model = make_model(tmp_path, ema_decay=0.9)
    for iteration in range(1, 4 * MOST_IN_A_ROW):
        step(model, iteration, factor=float('nan') if iteration % 5 else 1)
    assert (model.faults.in_a_row, model.faults.total) == (4, 4 * MOST_IN_A_ROW - 1 - 7)


def test_the_statistics_of_batch_normalisation_are_put_back() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    faults = NumericalFaults(net, 'models')
    before = {key: value.clone() for key, value in net.named_buffers() if value.is_floating_point()}
    faults.watch()
    loss = net(torch.full((2, 1, 4, 4), float('nan'))).sum()
    assert net[1].running_mean.isnan().all()
    assert faults.spoil(loss, torch.tensor(1.0), 1)
    assert all(torch.equal(net.get_buffer(key), value) for key, value in before.items())


def test_runaway_offsets_are_reported_only_in_iterations_that_log(tmp_path: Path, messages: list[str]) -> None:
    model = make_model(tmp_path, ema_decay=0.9)
    for iteration in (1, 2):
        step(model, iteration)
    assert not messages
    torch.nn.init.constant_(model.net_g.alignment1.dcnpack.conv_offset_mask.bias, 80)
    for iteration in (3, 4, 5, 6):
        step(model, iteration)
    assert len(messages) == 2  # iterations 4 and 6; print_freq is 2
    assert 'alignment1.dcnpack: the mean deformable offset is 80 pixels' in messages[0]
