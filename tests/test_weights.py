"""Checkpoints: the original's names, refusal of code, and clear words about what does not fit."""

from __future__ import annotations

import errno
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from satvsr_plugin.archs import MSDTGP
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import arguments_of, from_official, load_checkpoint, load_into, save_checkpoint

ROOT = Path(__file__).parents[1]
TINY = dict(num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1, num_stage=2,
            deformable_groups=2)


@pytest.fixture
def net() -> MSDTGP:
    return MSDTGP(scale=2, num_frame=3, **TINY)


@pytest.mark.parametrize('arguments', [{}, {'scale': 8, 'num_frame': 7, 'num_in_ch': 4, 'num_out_ch': 1, **TINY}])
def test_arguments_are_read_back_from_the_weights(arguments):
    net = MSDTGP(**arguments)
    twin = MSDTGP(**arguments_of('MSDTGP', net.state_dict()))
    assert {k: v.shape for k, v in twin.state_dict().items()} == {k: v.shape for k, v in net.state_dict().items()}


def test_foreign_weights_are_refused():
    with pytest.raises(WeightsError, match='not the weights of MSDTGP: .feat0'):
        arguments_of('MSDTGP', {'conv_first.weight': torch.zeros(1)})


def convert(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, ROOT / 'scripts/convert_weights.py', *map(str, arguments)],
                          capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize('wrap', [
    lambda state: {f'module.{k}': v for k, v in state.items()},
    lambda state: {'params': state},
    lambda state: {k.replace('conv_offset_mask', 'conv_offset'): v for k, v in state.items()},
])
def test_original_names_become_ours(net, wrap):
    converted = from_official('MSDTGP', wrap(net.state_dict()))
    assert converted.keys() == net.state_dict().keys()
    assert all(torch.equal(converted[k], v) for k, v in net.state_dict().items())


def test_unknown_arch_and_foreign_content_are_refused():
    with pytest.raises(WeightsError, match='EDSR'):
        from_official('EDSR', {})
    with pytest.raises(WeightsError, match='optimizer'):
        from_official('MSDTGP', {'optimizer': {}})
    with pytest.raises(WeightsError, match='it holds 7'):
        from_official('MSDTGP', {7: torch.zeros(1)})


@pytest.mark.parametrize('checkpoint, message', [
    ({'params': torch.zeros(1)}, 'net.pth: not a state dict, but a Tensor'),
    ({'params_ema': {}}, 'net.pth: not a state dict of tensors: it holds params_ema'),
    ({'params': {}}, 'net.pth: not a state dict of tensors: it holds nothing'),
])
def test_content_without_weights_is_refused_even_when_not_strict(net, checkpoint, message):
    with pytest.raises(WeightsError) as caught:
        load_into(net, checkpoint, 'net.pth', strict=False)
    assert str(caught.value) == message


def test_script_names_the_file_that_holds_no_weights(tmp_path):
    torch.save({'a': torch.zeros(1)}, tmp_path / 'other.pth')
    done = convert(tmp_path / 'other.pth', tmp_path / 'ours.pth')
    assert done.returncode == 2
    assert done.stderr == (f"error: {tmp_path / 'other.pth'}: these are not the weights of MSDTGP: "
                           "'feat0.conv.weight' is missing\n")


def test_script_writes_what_pretrain_network_g_loads(net, tmp_path):
    torch.save({f'module.{k}': v for k, v in net.state_dict().items()}, tmp_path / 'official.pth')
    done = convert('--arch', 'MSDTGP', tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert 'scale: 2' in done.stdout and 'num_frame: 3' in done.stdout
    twin = MSDTGP(scale=2, num_frame=3, **TINY)
    load_into(twin, load_checkpoint(tmp_path / 'ours.pth'), 'ours.pth')
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), net.parameters(), strict=True))
    again = convert('--arch', 'MSDTGP', tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert again.returncode == 2 and '--overwrite' in again.stderr


def test_script_names_missing_and_left_over_keys_and_writes_nothing(net, tmp_path):
    state = net.state_dict()
    del state['TAtt.tAtt_1.bias']
    state['discriminator.weight'] = torch.zeros(2)
    torch.save(state, tmp_path / 'official.pth')
    done = convert(tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert done.returncode == 2
    assert '1 missing: TAtt.tAtt_1.bias' in done.stderr and '1 left over: discriminator.weight' in done.stderr
    assert not (tmp_path / 'ours.pth').exists()


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

    def fill_the_disk(_checkpoint, path):
        path.write_bytes(b'half a file')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fill_the_disk)
    with pytest.raises(WeightsError, match=r'net\.pth: cannot be written .*No space left'):
        save_checkpoint(tmp_path / 'net.pth', {'params': 2})
    assert [p.name for p in tmp_path.iterdir()] == ['net.pth']
    assert load_checkpoint(tmp_path / 'net.pth') == {'params': 1}
