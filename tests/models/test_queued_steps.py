"""Steps that are only queued on the device: nobody waits for a value, and a fault changes nothing all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from models.log_lines import logged
from models.model_options import make_opt
from torch.utils._python_dispatch import TorchDispatchMode

from satvsr_plugin.errors import TrainingError
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.models.numerical_faults import LAG, MOST_IN_A_ROW

FUSED = dict(type='Adam', lr=1e-3, fused=True)  # as on a GPU, where it is the default
NAN = float('nan')


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What is logged."""
    with logged(logging.INFO) as found:
        yield found


def make_model(folder: Path, lag: int = 0, **train: Any) -> SatVSRModel:
    torch.manual_seed(0)
    opt = make_opt(folder, **{'ema_decay': 0.9, 'optim_g': FUSED, **train})
    opt['network_g']['dcn'] = 'torchvision'  # as mmcv's on a GPU; on a CPU the latter looks at the offsets
    model = SatVSRModel(opt)
    model.faults.lag = lag
    return model


def step(model: SatVSRModel, iteration: int, factor: float = 1) -> None:
    generator = torch.Generator().manual_seed(iteration)
    model.feed_data({'lq': factor * torch.rand(2, 3, 3, 6, 6, generator=generator),
                     'gt': torch.rand(2, 3, 12, 12, generator=generator)})
    model.optimize_parameters(iteration)


def all_that_is_learnt(model: SatVSRModel) -> dict[str, torch.Tensor]:
    """Weights, averaged weights and the optimizer's state."""
    found = {f'{key} {name}': value for key, net in (('net', model.net_g), ('average', model.net_g_ema))
             for name, value in net.state_dict().items()}
    for index, state in model.optimizer_g.state_dict()['state'].items():
        found |= {f'optimizer {index} {name}': value for name, value in state.items()}
    return deepcopy(found)


def different(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[str]:
    assert ours.keys() == theirs.keys()
    return [key for key in ours if not torch.equal(ours[key], theirs[key])]


class Reads(TorchDispatchMode):
    """Notes operations that bring a value to the host, for which a GPU would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if any(word in name for word in ('_local_scalar_dense', 'nonzero', 'aten.equal', 'is_same', 'unique')):
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is read; on a CPU torch does some of it without an operation."""
    mode = Reads()
    for name in ('item', 'tolist', 'numpy', 'cpu', '__bool__', '__float__', '__int__', '__index__', '__array__'):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, *args, name=name, plain=plain, **kwargs: (
            mode.found.append(name), plain(self, *args, **kwargs))[1])
    with mode:
        yield mode.found


OPTIONS = [dict(), dict(amp='fp16', grad_clip_norm=1.0), dict(amp='bf16', channels_last=True, checkpointing=True,
                                                             pixel_opt=dict(type='CharbonnierLoss'))]


@pytest.mark.parametrize('options', OPTIONS, ids=['plain', 'fp16', 'bf16'])
def test_steps_between_two_lines_of_the_log_read_nothing(tmp_path: Path, reads: list[str], options: dict) -> None:
    model = make_model(tmp_path, LAG, **options)
    model.opt['logger']['print_freq'] = 4
    step(model, 4)
    model.get_current_log()
    assert 'tolist' in reads  # the log does read
    del reads[:]
    for iteration in (5, 6, 7):
        step(model, iteration)
    # what arrives in the host's memory is a copy, whose arrival is not waited for; of these steps none is due
    assert [name for name in reads if name != 'cpu'] == []
    assert reads.count('cpu') == 3
    step(model, 8)
    assert 'item' in reads  # this one looks at the offsets, for the log


def test_a_step_that_would_read_is_found_out(tmp_path: Path, reads: list[str]) -> None:
    model = make_model(tmp_path, LAG, optim_g=FUSED | {'fused': False})
    del reads[:]
    step(model, 1)
    assert '__bool__' in reads


@pytest.mark.parametrize('options', [dict(), dict(amp='fp16'), dict(optim_g=FUSED | {'fused': False})],
                         ids=['fused', 'fp16', 'not fused'])
def test_a_fault_changes_nothing_before_anybody_knows_of_it(tmp_path: Path, messages: list[str],
                                                            options: dict) -> None:
    model = make_model(tmp_path, lag=2, **options)
    step(model, 1)
    before, scale = all_that_is_learnt(model), model.scaler.get_scale()
    del messages[:]
    step(model, 2, NAN)
    assert messages == []
    assert different(all_that_is_learnt(model), before) == []
    assert model.scaler.get_scale() == (scale / 2 if model.scaler.is_enabled() else 1)
    step(model, 3)
    learnt = different(all_that_is_learnt(model), before)
    assert {key.split()[0] for key in learnt} == {'net', 'average', 'optimizer'}
    assert model.faults.total == 0
    step(model, 4)
    assert messages == ['the loss is nan at iteration 2; this step is left out (1 in a row, 1 in all)']
    step(model, 5)
    assert (model.faults.in_a_row, model.faults.total) == (0, 1)


def test_the_log_and_a_checkpoint_know_of_all_steps(tmp_path: Path, messages: list[str]) -> None:
    model = make_model(tmp_path, lag=50)
    step(model, 1, NAN)
    step(model, 3, NAN)
    assert model.faults.total == 0
    model.save(0, 3)
    state = torch.load(tmp_path / 'training_states/3.state', weights_only=True)
    assert state['faults'] == [2, 2]
    step(model, 5)
    log = model.get_current_log()
    assert (log['steps_left_out'], model.faults.in_a_row) == (2, 0)
    assert log['l_pix'] == pytest.approx((model.output - model.gt).abs().mean().item())


def test_ten_in_a_row_end_the_run_with_the_weights_that_it_had(tmp_path: Path) -> None:
    model = make_model(tmp_path, lag=LAG)
    step(model, 1)
    before = all_that_is_learnt(model)
    for iteration in range(2, 1 + MOST_IN_A_ROW + LAG):
        step(model, iteration, NAN)
    with pytest.raises(TrainingError, match=r'the loss is nan at iteration 11, as in the 9 steps before; '):
        step(model, 1 + MOST_IN_A_ROW + LAG, NAN)
    assert different(all_that_is_learnt(model), before) == []


def test_ten_in_a_row_are_not_saved(tmp_path: Path) -> None:
    model = make_model(tmp_path, lag=50)
    for iteration in range(MOST_IN_A_ROW):
        step(model, iteration, NAN)
    with pytest.raises(TrainingError):
        model.save(0, MOST_IN_A_ROW)
    assert list((tmp_path / 'training_states').iterdir()) == []


def test_a_fused_optimizer_learns_what_the_plain_one_does(tmp_path: Path) -> None:
    fused, plain = make_model(tmp_path), make_model(tmp_path, optim_g=FUSED | {'fused': False})
    for iteration in range(1, 7):
        step(fused, iteration, NAN if iteration == 3 else 1)
        step(plain, iteration, NAN if iteration == 3 else 1)
    theirs = all_that_is_learnt(plain)
    for key, ours in all_that_is_learnt(fused).items():
        torch.testing.assert_close(ours, theirs[key], rtol=1e-4, atol=1e-6)
    assert {int(value) for key, value in theirs.items() if key.endswith(' step')} == {5}


def test_the_average_is_the_toolboxs_to_the_last_bit(tmp_path: Path) -> None:
    model = make_model(tmp_path, optim_g=FUSED | {'fused': False})
    expected = [parameter.detach().clone() for parameter in model.net_g_ema.parameters()]
    for iteration in range(1, 6):
        step(model, iteration)
        for average, parameter in zip(expected, model.net_g.parameters(), strict=True):
            average.mul_(0.9).add_(parameter.detach(), alpha=1 - 0.9)  # BasicSR's BaseModel.model_ema
    assert all(map(torch.equal, model.net_g_ema.parameters(), expected))


@pytest.mark.parametrize('first, second', [(True, True), (True, False), (False, True)])
def test_a_run_is_resumed_with_the_optimizer_of_its_options(tmp_path: Path, first: bool, second: bool) -> None:
    whole, half = (make_model(tmp_path / name, optim_g=FUSED | {'fused': first}) for name in ('whole', 'half'))
    for iteration in range(1, 6):
        step(whole, iteration)
    for iteration in range(1, 4):
        step(half, iteration)
    half.save(0, 3)
    opt = make_opt(tmp_path / 'half', ema_decay=0.9, optim_g=FUSED | {'fused': second})
    opt['network_g']['dcn'] = 'torchvision'
    opt['path']['pretrain_network_g'] = str(tmp_path / 'half/models/net_g_3.pth')
    resumed = SatVSRModel(opt)
    resumed.resume_training(torch.load(tmp_path / 'half/training_states/3.state', weights_only=True))
    assert [group['fused'] for group in resumed.optimizer_g.param_groups] == [second] * 2
    for iteration in range(4, 6):
        step(resumed, iteration)
    theirs = all_that_is_learnt(whole)
    if first == second:
        assert different(all_that_is_learnt(resumed), theirs) == []
    for key, ours in all_that_is_learnt(resumed).items():
        torch.testing.assert_close(ours, theirs[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('given, fused', [({}, True), ({'fused': False}, False), ({'foreach': True}, None)])
def test_on_a_gpu_the_optimizer_is_fused_unless_the_options_say_how(tmp_path: Path, given: dict,
                                                                    fused: bool | None) -> None:
    model = make_model(tmp_path, optim_g=dict(type='Adam', lr=1e-3) | given)
    assert model.optimizer_g.defaults['fused'] is given.get('fused')
    model.device = torch.device('cuda')
    model.setup_optimizers()
    assert model.optimizer_g.defaults['fused'] is fused


@pytest.mark.parametrize('options, words', [
    (dict(optim_g=dict(type='Adam', lr=1e-3)), 'none'),
    (dict(amp='bf16', channels_last=True, checkpointing=True, compile=True),
     'amp bf16, channels_last, compiled, checkpointing, fused Adam')])
def test_the_log_says_once_what_is_on(tmp_path: Path, messages: list[str], options: dict, words: str) -> None:
    options = {'kept_memory': False, **options}
    make_model(tmp_path, **options)
    assert [line for line in messages if line.startswith('fast paths')] == [f'fast paths: {words}']


class Noted(torch.Tensor):
    """Writes down how it is moved."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.Tensor.to:
            moves.append((args[1:], kwargs))
        return super().__torch_function__(function, types, args, kwargs or {})


moves: list[Any] = []


def test_batches_are_copied_without_waiting(tmp_path: Path) -> None:
    model = make_model(tmp_path)
    moves.clear()
    model.feed_data({'lq': torch.rand(1, 3, 3, 6, 6).as_subclass(Noted),
                     'gt': torch.rand(1, 3, 12, 12).as_subclass(Noted)})
    assert moves[:2] == [((model.device,), {'non_blocking': True})] * 2


@pytest.mark.parametrize('before, after', [(False, True), (True, False)])
def test_a_run_may_go_on_in_another_layout(tmp_path: Path, before: bool, after: bool) -> None:
    """The moments of a fused optimizer have to lie in memory as the weights do."""
    model = make_model(tmp_path / 'half', channels_last=before)
    for iteration in (1, 2, 3):
        step(model, iteration)
    model.save(0, 3)
    resumed = make_model(tmp_path / 'other', channels_last=after)
    resumed.net_g.load_state_dict(model.net_g.state_dict())
    resumed.resume_training(torch.load(tmp_path / 'half/training_states/3.state', weights_only=True))
    for one in (model, resumed):
        step(one, 4)
    for ours, theirs in zip(resumed.net_g.parameters(), model.net_g.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)  # a step is 1e-3


def test_the_last_steps_of_a_run_are_told_too(tmp_path: Path, messages: list[str]) -> None:
    model = make_model(tmp_path, lag=LAG)
    step(model, 1)
    for iteration in (2, 3):
        step(model, iteration, factor=NAN)
    assert not any('left out' in line for line in messages)
    model.save(-1, -1)
    assert sum('this step is left out' in line for line in messages) == 2
