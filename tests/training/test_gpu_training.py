"""What makes training on a CUDA GPU fast; run with ``-m gpu``. It has to change the time and nothing that is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from models.model_options import make_opt

from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.models.numerical_faults import LAG
from satvsr_plugin.toolbox.prefetching import CUDAPrefetcher

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')]


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    with torch.backends.cudnn.flags(allow_tf32=False):  # of products it is the default
        yield


def make_model(folder: Path, network: dict[str, Any] | None = None, **train: Any) -> SatVSRModel:
    torch.manual_seed(0)
    opt = make_opt(folder, **{'ema_decay': 0.9, **train}) | {'num_gpu': 1}
    opt['network_g'] |= network or {}
    opt['logger']['print_freq'] = 100
    return SatVSRModel(opt)


def batch(iteration: int, factor: float = 1) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(iteration)
    return {'lq': factor * torch.rand(2, 3, 3, 16, 16, generator=g), 'gt': torch.rand(2, 3, 32, 32, generator=g)}


def train(model: SatVSRModel, first: int, last: int) -> list[float]:
    losses = []
    for iteration in range(first, last + 1):
        model.feed_data(batch(iteration))
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()['l_pix'])
    return losses


def all_that_is_learnt(model: SatVSRModel) -> list[torch.Tensor]:
    states = [state for states in model.optimizer_g.state_dict()['state'].values() for state in states.values()]
    return deepcopy([*model.net_g.state_dict().values(), *model.net_g_ema.state_dict().values(), *states])


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """The mode may be changed within the test; in the end it is as it was."""
    yield
    torch.cuda.set_sync_debug_mode('default')


@pytest.mark.usefixtures('no_waiting')
@pytest.mark.parametrize('options', [
    dict(), dict(amp='fp16', grad_clip_norm=1.0), dict(amp='bf16', channels_last=True, checkpointing=True)],
    ids=['float32', 'fp16', 'bf16'])
def test_steps_do_not_wait_for_the_gpu(tmp_path: Path, options: dict) -> None:
    model = make_model(tmp_path, **options)
    batches = [{key: value.pin_memory() for key, value in batch(i).items()} for i in range(8)]
    train(model, 1, 2)
    torch.cuda.set_sync_debug_mode('error')
    for iteration, data in enumerate(batches, 3):
        model.feed_data(data)
        model.optimize_parameters(iteration)
    torch.cuda.set_sync_debug_mode('default')
    assert model.get_current_log()['l_pix'] > 0


@pytest.mark.parametrize('amp', ['none', 'fp16'])
def test_a_fault_changes_nothing_and_is_told_later(tmp_path: Path, amp: str) -> None:
    model = make_model(tmp_path, amp=amp)
    train(model, 1, 2)
    before = all_that_is_learnt(model)
    model.feed_data(batch(3, float('nan')))
    model.optimize_parameters(3)
    assert all(map(torch.equal, all_that_is_learnt(model), before))
    assert model.faults.total == 0
    for iteration in range(4, 4 + LAG):
        model.feed_data(batch(iteration))
        model.optimize_parameters(iteration)
    assert model.faults.total == 1
    assert not all(map(torch.equal, all_that_is_learnt(model), before))


def test_the_fused_optimizer_is_the_default_and_learns_what_the_plain_one_does(tmp_path: Path) -> None:
    fused, plain = make_model(tmp_path), make_model(tmp_path, optim_g=dict(type='Adam', lr=1e-3, fused=False))
    assert (fused.optimizer_g.defaults['fused'], plain.optimizer_g.defaults['fused']) == (True, False)
    assert train(fused, 1, 6) == pytest.approx(train(plain, 1, 6), rel=1e-4)
    expected = dict(plain.net_g_ema.named_parameters())
    for name, average in fused.net_g_ema.named_parameters():
        torch.testing.assert_close(average, expected[name], rtol=1e-3, atol=5e-4)


@pytest.mark.parametrize('options', [
    dict(), dict(amp='bf16', channels_last=True), dict(channels_last=True, checkpointing=True)],
    ids=['float32', 'bf16', 'checkpointing'])
def test_a_compiled_network_learns_what_the_plain_one_does(tmp_path: Path, options: dict) -> None:
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compiled, plain = (make_model(tmp_path, compile=on, **options) for on in (True, False))
    assert train(compiled, 1, 6) == pytest.approx(train(plain, 1, 6), rel=1e-2 if 'amp' in options else 1e-3)
    compiled.feed_data({'lq': torch.rand(1, 3, 3, 20, 24)})
    compiled.test()
    train(compiled, 7, 8)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 1


def test_checkpointing_takes_less_than_half_the_memory(tmp_path: Path) -> None:
    network = dict(num_feat=32, num_base_feat=64, num_extract_block=3, num_reconstruct_block=5, num_stage=3)
    peaks = []
    for on in (False, True):
        model = make_model(tmp_path, network, checkpointing=on)
        model.feed_data({'lq': torch.rand(4, 3, 3, 96, 96), 'gt': torch.rand(4, 3, 192, 192)})
        model.optimize_parameters(1)  # the first one also makes the optimizer's state, and chooses algorithms
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        model.optimize_parameters(2)
        peaks.append(torch.cuda.max_memory_allocated() - before)
        del model
        torch.cuda.empty_cache()
    assert peaks[0] > 2 * peaks[1]


def test_prefetched_batches_are_whole_while_the_gpu_lags_behind() -> None:
    """Memory that is given away too early would be overwritten by the batches that come after."""
    count, size = 40, 1 << 22

    def batches() -> Iterator[dict[str, torch.Tensor]]:
        for number in range(count):
            yield {'lq': torch.full((size,), float(number)).pin_memory()}

    class Loader:
        def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
            return batches()

    prefetcher = CUDAPrefetcher(Loader(), {'num_gpu': 1})
    prefetcher.reset()
    work, found = torch.rand(4096, 4096, device='cuda'), []
    while (data := prefetcher.next()) is not None:
        work = (work @ work).clamp(0, 1)  # the batch is read long after the host has dropped it
        found.append(torch.stack([data['lq'].min(), data['lq'].max()]))
    assert torch.stack(found).cpu().tolist() == [[number, number] for number in range(count)]
