"""Networks that were saved whole: the weights come out bit for bit, and the code is not needed."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from saved_networks import authors_code, save_as_torch_03
from torch import Tensor, nn

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import from_official, load_checkpoint, load_original, load_pickled_module

SAVE: dict[str, Callable[[nn.Module, Path], None]] = {
    'torch 0.3': save_as_torch_03,
    'legacy': lambda net, path: torch.save(net, path, _use_new_zipfile_serialization=False),
    'zip': torch.save,
}


def assert_same(loaded: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(loaded) == list(expected)
    for key, tensor in expected.items():
        assert loaded[key].dtype == tensor.dtype
        assert torch.equal(loaded[key], tensor), key


@pytest.mark.parametrize('layout', SAVE)
@pytest.mark.parametrize('parallel', [False, True])
def test_the_weights_come_out_bit_for_bit(tmp_path, layout, parallel):
    path = tmp_path / 'model.pt'
    with authors_code(tmp_path) as network:
        net = network()
        SAVE[layout](nn.DataParallel(net) if parallel else net, path)
    assert 'model' not in sys.modules
    with pytest.raises(WeightsError, match='model.pt: refused'):
        load_checkpoint(path)
    loaded = load_original(path)
    assert len(loaded) == 85
    assert_same(from_official('TDAN', loaded), net.state_dict())
    assert 'model' not in sys.modules and 'modules' not in sys.modules


class Odd(nn.Module):
    """What state dicts may hold besides contiguous parameters of one type."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.two_bytes = nn.Linear(4, 2).half()
        self.eight_bytes = nn.Parameter(torch.randn(3, 4, 5, dtype=torch.float64).permute(2, 0, 1))
        self.last = nn.Parameter(torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last))
        self.tied = self.two_bytes
        self.none = None
        self.register_parameter('no_bias', None)
        numbers = torch.arange(20.)
        self.register_buffer('view', numbers[4:10].view(2, 3))
        self.register_buffer('other_view', numbers[::2])
        self.register_buffer('empty', torch.empty(0, 3))
        self.register_buffer('scalar', torch.tensor(7))
        self.register_buffer('unsaved', torch.ones(2), persistent=False)


@pytest.mark.parametrize('layout', ['legacy', 'zip'])
def test_all_that_a_state_dict_may_hold(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(Odd, '__module__', 'model')
    monkeypatch.setitem(sys.modules, 'model', sys.modules[__name__])
    net = Odd()
    SAVE[layout](net, tmp_path / 'odd.pt')
    monkeypatch.undo()
    assert_same(load_pickled_module(tmp_path / 'odd.pt'), net.state_dict())


def test_code_of_others_is_named(tmp_path):
    torch.save(Odd(), tmp_path / 'odd.pt')
    with pytest.raises(WeightsError, match=r'odd\.pt: refused, since it asks for test_pickled_module\.Odd, which'):
        load_pickled_module(tmp_path / 'odd.pt')


@pytest.mark.parametrize('content', [{'a': torch.ones(1)}, [1, 2], nn.Sequential(nn.ReLU())])
@pytest.mark.parametrize('layout', ['legacy', 'zip'])
def test_what_is_no_network_with_weights_is_refused(tmp_path, content, layout):
    SAVE[layout](content, tmp_path / 'other.pt')
    with pytest.raises(WeightsError, match=r'other\.pt: holds (no network|a network without weights)$'):
        load_pickled_module(tmp_path / 'other.pt')


def test_an_archive_with_a_changed_number_is_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save(nn.Conv2d(3, 8, 3), buffer)
    content = bytearray(buffer.getvalue())
    with zipfile.ZipFile(buffer) as archive:
        member = next(info for info in archive.infolist() if info.filename.endswith('data/0'))
    content[member.header_offset + 200] ^= 1
    (tmp_path / 'changed.pt').write_bytes(content)
    with pytest.raises(WeightsError, match='changed.pt: .*CRC'):
        load_pickled_module(tmp_path / 'changed.pt')


def test_missing_files_are_named(tmp_path):
    for load in (load_pickled_module, load_original):
        with pytest.raises(WeightsError, match='nowhere.pt: no such file'):
            load(tmp_path / 'nowhere.pt')
