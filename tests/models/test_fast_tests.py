"""Fast paths in tests of a network, and memory that training keeps."""

from __future__ import annotations

import logging

import pytest
import torch
from models.model_options import make_opt

from satvsr_plugin.errors import OptionError
from satvsr_plugin.models import SatVSRModel, satvsr_model


def output_of(tmp_path, fast) -> tuple[SatVSRModel, torch.Tensor]:
    torch.manual_seed(0)
    model = SatVSRModel(make_opt(tmp_path, is_train=False, val={'fast': fast}))
    torch.nn.init.normal_(model.net_g.output.conv.weight, std=0.1)
    model.feed_data({'lq': torch.rand(1, 3, 3, 16, 16, generator=torch.Generator().manual_seed(1))})
    model.test()
    return model, model.output


def test_tests_take_fast_paths_and_come_to_the_same(tmp_path, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', lines.append)
    plain, expected = output_of(tmp_path, 'none')
    fast, result = output_of(tmp_path, ['channels_last', 'subpixel'])
    assert plain._net_in_tests is plain.net_g and fast._net_in_tests is not fast.net_g
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    assert [line for line in lines if line.startswith('fast paths')] == [
        'fast paths: none', 'fast paths: channels_last, subpixel']


def test_paths_that_the_device_does_not_have_are_told(tmp_path):
    with pytest.raises(OptionError, match='graphs: CUDA graphs need a CUDA GPU'):
        output_of(tmp_path, ['graphs'])


def test_validation_in_training_sees_the_weights_of_now(tmp_path):
    model = SatVSRModel(make_opt(tmp_path, val={'fast': 'auto'}))
    model.feed_data({'lq': torch.rand(1, 3, 3, 8, 8), 'gt': torch.rand(1, 3, 16, 16)})
    model.test()
    before = model.output
    model.optimize_parameters(1)
    model.test()
    assert (model.output - before).abs().max() > 1e-4


@pytest.mark.parametrize('kept', [True, False])
def test_training_keeps_memory_unless_told_not_to(kept, tmp_path, monkeypatch):
    calls, lines = [], []
    monkeypatch.setattr(satvsr_model, 'keep_freed_memory', lambda: calls.append(1) or True)
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', lines.append)
    SatVSRModel(make_opt(tmp_path, kept_memory=kept))
    assert len(calls) == kept
    assert f'fast paths: {"kept_memory" if kept else "none"}' in lines
