"""torch.compile in training: the same losses and weights, one graph, and names of weights as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from models.model_options import NETWORK, make_opt

from satvsr_plugin.errors import OptionError
from satvsr_plugin.models import SatVSRModel, compilation, offset_watch


@pytest.fixture(autouse=True)
def _compile_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compilation, 'BACKEND', 'aot_eager')  # all but the generation of code, which takes long
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch.compiler.reset()


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of offsets that run away."""
    found: list[str] = []
    monkeypatch.setattr(offset_watch, 'get_root_logger', lambda: SimpleNamespace(warning=found.append))
    return found


def graphs() -> int:
    return torch._dynamo.utils.counters['stats']['unique_graphs']


def make_model(folder: Path, network: dict | None = None, **train: Any) -> SatVSRModel:
    torch.manual_seed(0)
    opt = make_opt(folder, **train)
    opt['network_g'] = dict(network or NETWORK)
    return SatVSRModel(opt)


def train(model: SatVSRModel, first: int, last: int) -> list[float]:
    losses = []
    for iteration in range(first, last + 1):
        generator = torch.Generator().manual_seed(iteration)
        model.feed_data({'lq': torch.rand(2, 3, 3, 6, 6, generator=generator),
                         'gt': torch.rand(2, 3, 12, 12, generator=generator)})
        model.optimize_parameters(iteration)
        losses.append(model.get_current_log()['l_pix'])
    return losses


def super_resolve(model: SatVSRModel, size: int) -> torch.Tensor:
    """As a validation does."""
    model.feed_data({'lq': torch.rand(1, 3, 3, size, size, generator=torch.Generator().manual_seed(size))})
    model.test()
    return model.output


def assert_same_weights(ours: SatVSRModel, theirs: SatVSRModel) -> None:
    """Adam magnifies the last bits of gradients; in six steps it moves weights by 6e-3 at most."""
    for name in ('net_g', 'net_g_ema') if ours.ema_decay else ('net_g',):
        expected = getattr(theirs, name).state_dict()
        state = getattr(ours, name).state_dict()
        assert list(state) == list(expected)
        for key, value in state.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=2e-5)


def test_losses_and_weights_are_those_without_it(tmp_path: Path) -> None:
    """With all that may be had besides; and nothing is compiled again for validations of any size."""
    options = dict(channels_last=True, checkpointing=True, grad_clip_norm=0.5, ema_decay=0.9,
                   optim_g=dict(type='Adam', lr=1e-3, fused=True))
    compiled, plain = (make_model(tmp_path, compile=on, **options) for on in (True, False))
    for first, size in ((1, 5), (4, 9)):
        assert train(compiled, first, first + 2) == pytest.approx(train(plain, first, first + 2), rel=1e-4)
        torch.testing.assert_close(super_resolve(compiled, size), super_resolve(plain, size), rtol=1e-4, atol=1e-4)
    assert_same_weights(compiled, plain)
    assert graphs() == 1


def test_nothing_is_compiled_again_where_the_network_that_learns_is_validated(tmp_path: Path,
                                                                              warnings: list[str]) -> None:
    """Not for lines of the log, not for validations of any size, nor for offsets that run away, which are seen."""
    compiled, plain = (make_model(tmp_path, compile=on) for on in (True, False))
    for size in (5, 6, 9):
        first = 10 * size
        train(compiled, first, first + 3)
        train(plain, first, first + 3)
        torch.testing.assert_close(super_resolve(compiled, size), super_resolve(plain, size), rtol=1e-4, atol=1e-4)
    assert warnings == []
    torch.nn.init.constant_(compiled.net_g.alignment1.dcnpack.conv_offset_mask.bias, 80)
    train(compiled, 101, 104)
    assert len(warnings) == 2  # iterations 102 and 104: print_freq is 2
    assert 'alignment1.dcnpack: the mean deformable offset is 80 pixels' in warnings[0]
    assert graphs() == 1


@pytest.mark.slow
def test_in_half_precision(tmp_path: Path) -> None:
    compiled, plain = (make_model(tmp_path, compile=on, amp='bf16') for on in (True, False))
    assert train(compiled, 1, 6) == pytest.approx(train(plain, 1, 6), rel=1e-3)
    assert graphs() == 1


@pytest.mark.slow
def test_a_run_goes_on_from_a_checkpoint_exactly(tmp_path: Path) -> None:
    options = dict(compile=True, ema_decay=0.9)
    whole, half = make_model(tmp_path / 'whole', **options), make_model(tmp_path / 'half', **options)
    train(whole, 1, 4)
    train(half, 1, 2)
    half.save(0, 2)
    weights = tmp_path / 'half/models/net_g_2.pth'
    assert not any('_orig_mod' in key for key in torch.load(weights, weights_only=True)['params'])
    opt = make_opt(tmp_path / 'half', **options)
    opt['path']['pretrain_network_g'] = str(weights)
    resumed = SatVSRModel(opt)
    resumed.resume_training(torch.load(tmp_path / 'half/training_states/2.state', weights_only=True))
    train(resumed, 3, 4)
    assert all(map(torch.equal, resumed.net_g.state_dict().values(), whole.net_g.state_dict().values()))


OTHERS = {
    'TDAN': dict(num_feat=8, num_frame=3, num_extract_block=1, num_reconstruct_block=1, init='zero_offset'),
    'SOFVSR': dict(num_frame=3),
    'RBPN': dict(num_feat=8, num_base_feat=8, num_frame=3, num_stage=2, flow='zero'),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
def test_other_networks(tmp_path: Path, name: str) -> None:
    network = {'type': name, 'scale': 2, **OTHERS[name]}
    options = dict(pixel_opt=dict(type='L1Loss'), checkpointing=True)
    compiled, plain = (make_model(tmp_path, network, compile=on, **options) for on in (True, False))
    assert train(compiled, 1, 3) == pytest.approx(train(plain, 1, 3), rel=1e-3)
    assert graphs() == 1


@pytest.mark.slow
def test_a_network_with_graph_breaks_trains_all_the_same(tmp_path: Path) -> None:
    network = {'type': 'BasicVSR', 'num_feat': 8, 'num_block': 1}
    losses = []
    for on in (True, False):
        torch.manual_seed(0)
        opt = make_opt(tmp_path, compile=on) | {'scale': 4, 'network_g': dict(network)}
        model = SatVSRModel(opt)
        for iteration in (1, 2):
            generator = torch.Generator().manual_seed(iteration)
            model.feed_data({'lq': torch.rand(1, 3, 3, 8, 8, generator=generator),
                             'gt': torch.rand(1, 3, 3, 32, 32, generator=generator)})
            model.optimize_parameters(iteration)
            losses.append(model.get_current_log()['l_pix'])
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-3)


def test_what_the_compiler_cannot_do_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError('no C++ compiler\nand many lines more')

    monkeypatch.setattr(compilation, 'BACKEND', fail)
    model = make_model(tmp_path, compile=True)
    with pytest.raises(OptionError, match=r'^train\.compile: .* here \(RuntimeError: no C\+\+ compiler\)\. It needs '
                                          r'.*; set compile: false to train without$'):
        train(model, 1, 1)


@pytest.mark.slow
def test_generated_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, 'BACKEND', 'inductor')
    compiled, plain = (make_model(tmp_path, compile=on, ema_decay=0.9, channels_last=True) for on in (True, False))
    assert train(compiled, 1, 4) == pytest.approx(train(plain, 1, 4), rel=1e-4)
    assert_same_weights(compiled, plain)
    assert graphs() == 1
