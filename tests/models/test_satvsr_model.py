"""Steps of the model: loss, clipping, precision, learning rates, faults, saving and resuming."""

from __future__ import annotations

import math

import pytest
import torch
from models.model_options import make_opt

from satvsr_plugin.archs import Bicubic
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.models import SatVSRModel


def batch(seed: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {'lq': torch.rand(2, 3, 3, 6, 6, generator=g), 'gt': torch.rand(2, 3, 12, 12, generator=g)}


def make_model(folder, seed: int = 0, **changes) -> SatVSRModel:
    torch.manual_seed(seed)
    return SatVSRModel(make_opt(folder, **changes))


def train(model: SatVSRModel, first: int, last: int) -> list[float]:
    losses = []
    for iteration in range(first, last + 1):
        model.update_learning_rate(iteration)
        model.feed_data(batch(iteration))
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()['l_pix'])
    return losses


def test_first_loss_is_that_of_bicubic_and_training_lowers_it(tmp_path):
    model = make_model(tmp_path)
    data = batch(0)
    expected = (Bicubic(2)(data['lq']) - data['gt']).abs().mean().item()
    losses = []
    for iteration in range(1, 31):
        model.feed_data(data)
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()['l_pix'])
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert losses[-1] < 0.97 * losses[0]


def test_gradient_norm_is_clipped(tmp_path):
    def norm_after_a_step(model: SatVSRModel) -> float:
        train(model, 1, 1)
        return torch.stack([p.grad.norm() for p in model.net_g.parameters() if p.grad is not None]).norm().item()

    free = norm_after_a_step(make_model(tmp_path))
    clipped = norm_after_a_step(make_model(tmp_path, grad_clip_norm=free / 10))
    assert clipped == pytest.approx(free / 10, rel=1e-3)


@pytest.mark.parametrize('amp, dtype', [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_mixed_precision_follows_float32(tmp_path, amp, dtype):
    model = make_model(tmp_path, amp=amp)
    seen = []
    model.net_g.feat0.conv.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    losses = train(model, 1, 6)
    assert set(seen) == {dtype}
    assert losses == pytest.approx(train(make_model(tmp_path), 1, 6), rel=0.02)
    assert {p.dtype for p in model.net_g.parameters()} == {torch.float32}


def test_channels_last_changes_the_layout_and_not_the_losses(tmp_path):
    model = make_model(tmp_path, channels_last=True)
    seen = []
    model.net_g.feat0.conv.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    losses = train(model, 1, 4)
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in seen)
    assert losses == pytest.approx(train(make_model(tmp_path), 1, 4), rel=1e-4)


def test_offsets_learn_at_their_own_rate(tmp_path):
    model = make_model(tmp_path, dcn_offset_lr_mul=0.1)
    assert model.get_current_learning_rate() == pytest.approx([1e-3, 1e-4])
    slow = model.optimizer_g.param_groups[1]['params']
    assert {id(p) for p in slow} == {id(p) for p in model.net_g.alignment1.dcnpack.conv_offset_mask.parameters()}


def test_moving_average_of_the_weights(tmp_path):
    model = make_model(tmp_path, ema_decay=0.9)
    start = model.net_g.output.conv.bias.detach().clone()
    train(model, 1, 1)
    after = model.net_g.output.conv.bias.detach()
    assert not torch.equal(after, start)
    torch.testing.assert_close(model.net_g_ema.output.conv.bias, 0.9 * start + 0.1 * after)


def test_resumed_training_equals_an_uninterrupted_one(tmp_path):
    options = dict(ema_decay=0.9, dcn_offset_lr_mul=0.5, scheduler=dict(type='MultiStepLR', milestones=[3, 5]))
    whole = make_model(tmp_path / 'whole', **options)
    train(whole, 1, 6)

    half = make_model(tmp_path / 'half', **options)
    train(half, 1, 4)
    half.best_metric_results = {'set': {'psnr': {'better': 'higher', 'val': 31.5, 'iter': 2}}}
    half.save(epoch=0, current_iter=4)
    opt = make_opt(tmp_path / 'half', **options)
    opt['path']['pretrain_network_g'] = str(tmp_path / 'half/models/net_g_4.pth')
    resumed = SatVSRModel(opt)
    state = torch.load(tmp_path / 'half/training_states/4.state', weights_only=True)
    assert (state['epoch'], state['iter']) == (0, 4)
    resumed.resume_training(state)
    train(resumed, 5, 6)

    for net in ('net_g', 'net_g_ema'):
        for a, b in zip(getattr(whole, net).parameters(), getattr(resumed, net).parameters(), strict=True):
            assert torch.equal(a, b)
    assert resumed.get_current_learning_rate() == whole.get_current_learning_rate()
    assert resumed.best_metric_results['set']['psnr']['val'] == 31.5


def test_a_schedule_may_be_extended_on_resuming(tmp_path):
    def cosine(periods: list[int]) -> dict:
        return dict(scheduler=dict(type='CosineAnnealingRestartLR', periods=periods))

    model = make_model(tmp_path, **cosine([4]))
    train(model, 1, 4)
    model.save(0, 4)
    longer = make_model(tmp_path, **cosine([8]))
    longer.resume_training(torch.load(tmp_path / 'training_states/4.state', weights_only=True))
    train(longer, 5, 8)
    assert longer.get_current_learning_rate() == pytest.approx([1e-3 * 0.5 * (1 + math.cos(math.pi * 7 / 8))] * 2)


def test_a_rate_may_be_lowered_on_resuming(tmp_path):
    """As the advice after a diverging run says; MultiStepLR derives each rate from the one before."""
    def rates(lr: float, mul: float) -> dict:
        return dict(optim_g=dict(type='Adam', lr=lr), dcn_offset_lr_mul=mul,
                    scheduler=dict(type='MultiStepLR', milestones=[2, 6]))

    model = make_model(tmp_path, **rates(1e-3, 1))
    train(model, 1, 4)
    model.save(0, 4)
    lower = make_model(tmp_path, **rates(1e-4, 0.5))
    lower.resume_training(torch.load(tmp_path / 'training_states/4.state', weights_only=True))
    train(lower, 5, 6)
    assert lower.get_current_learning_rate() == pytest.approx([1e-5, 5e-6])
    train(lower, 7, 7)
    assert lower.get_current_learning_rate() == pytest.approx([1e-6, 5e-7])


def test_precision_may_change_on_resuming(tmp_path):
    model = make_model(tmp_path)
    train(model, 1, 2)
    model.save(0, 2)
    state = torch.load(tmp_path / 'training_states/2.state', weights_only=True)
    resumed = make_model(tmp_path, amp='fp16')
    resumed.resume_training(state)
    assert all(loss < 1 for loss in train(resumed, 3, 4))


def test_weights_that_do_not_fit_are_explained_and_files_are_whole(tmp_path):
    model = make_model(tmp_path)
    model.save(0, -1)
    assert sorted(p.name for p in (tmp_path / 'models').iterdir()) == ['net_g_latest.pth']
    opt = make_opt(tmp_path)
    opt['network_g']['num_feat'] = 16
    opt['path']['pretrain_network_g'] = str(tmp_path / 'models/net_g_latest.pth')
    with pytest.raises(WeightsError, match='net_g_latest.pth: these weights do not fit MSDTGP'):
        SatVSRModel(opt)


def test_a_network_without_weights_runs_in_several_processes(tmp_path):
    opt = make_opt(tmp_path, is_train=False) | {'dist': True, 'network_g': {'type': 'Bicubic', 'scale': 2}}
    model = SatVSRModel(opt)
    assert type(model.net_g).__name__ == 'Bicubic'
