"""Checkpoint files: refusal of code, and clear words about what does not fit."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest
import torch

from satvsr_plugin.archs import MSDTGP
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import load_checkpoint, load_into, save_checkpoint

TINY = dict(num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1, num_stage=2,
            deformable_groups=2)


@pytest.fixture
def net() -> MSDTGP:
    return MSDTGP(scale=2, num_frame=3, **TINY)


@pytest.mark.parametrize('checkpoint, message', [
    ({'params': torch.zeros(1)}, 'net.pth: not a state dict, but a Tensor'),
    ({'params_ema': {}}, 'net.pth: not a state dict of tensors: it holds params_ema'),
    ({'params': {}}, 'net.pth: not a state dict of tensors: it holds nothing'),
])
def test_content_without_weights_is_refused_even_when_not_strict(net, checkpoint, message):
    with pytest.raises(WeightsError) as caught:
        load_into(net, checkpoint, 'net.pth', strict=False)
    assert str(caught.value) == message


class _Payload:
    def __reduce__(self):
        return Path.touch, (Path('executed'),)


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('evil.pth').write_bytes(pickle.dumps(_Payload()))
    torch.save({'params': _Payload()}, 'evil_zip.pth')
    for name in ('evil.pth', 'evil_zip.pth'):
        with pytest.raises(WeightsError, match=name):
            load_checkpoint(name)
    assert not Path('executed').exists()


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 cut short'])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / 'broken.pth').write_bytes(content)
    with pytest.raises(WeightsError, match='broken.pth'):
        load_checkpoint(tmp_path / 'broken.pth')


def test_missing_file_is_named():
    with pytest.raises(WeightsError, match='nowhere.pth: no such file'):
        load_checkpoint('nowhere.pth')


def test_weights_of_another_size_are_explained(net):
    other = MSDTGP(scale=4, num_frame=3, **TINY)
    with pytest.raises(WeightsError, match=r'of another shape: DBPN\.up1.*needs \(8, 8, 6, 6\)'):
        load_into(net, {'params': other.state_dict()}, 'x4.pth')
    before = net.feat0.conv.weight.clone()
    key, left_out = load_into(net, {'params': other.state_dict()}, 'x4.pth', strict=False)
    assert key == 'params' and left_out[0].startswith('11 of another shape')
    assert torch.equal(net.feat0.conv.weight, other.feat0.conv.weight)
    assert not torch.equal(net.feat0.conv.weight, before)


def test_weights_of_which_nothing_fits_are_refused_even_if_not_strict(net):
    with pytest.raises(WeightsError, match='edsr.pth: none of these weights fits MSDTGP'):
        load_into(net, {'params': {'conv_first.weight': torch.zeros(1)}}, 'edsr.pth', strict=False)


def test_ema_weights_are_chosen_by_key_and_fall_back_to_params(net):
    ema = {k: v + 1 for k, v in net.state_dict().items()}
    load_into(net, {'params': net.state_dict(), 'params_ema': ema}, 'both.pth', 'params_ema')
    assert torch.equal(net.feat0.conv.bias, ema['feat0.conv.bias'])
    load_into(net, {'params': {k: v + 1 for k, v in ema.items()}}, 'one.pth', 'params_ema')
    assert torch.equal(net.feat0.conv.bias, ema['feat0.conv.bias'] + 1)


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / 'net.pth', {'params': 1})

    def fill_the_disk(_checkpoint, file):
        file.write(b'half a file')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fill_the_disk)
    with pytest.raises(WeightsError, match=r'net\.pth: cannot be written .*No space left'):
        save_checkpoint(tmp_path / 'net.pth', {'params': 2})
    assert [p.name for p in tmp_path.iterdir()] == ['net.pth']
    assert load_checkpoint(tmp_path / 'net.pth') == {'params': 1}
