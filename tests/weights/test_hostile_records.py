"""What a file says about its network is the word of a stranger: nothing is run, read or filled before it is checked."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from safetensors.torch import save_file
from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights import build_described, save_checkpoint

EDVR = dict(type='EDVR', num_feat=8, num_frame=3, deformable_groups=2, num_extract_block=1, num_reconstruct_block=1)
MSDTGP = dict(type='MSDTGP', num_feat=8, num_base_feat=8, deformable_groups=2)


@pytest.fixture(scope='module')
def state() -> dict[str, Tensor]:
    """Weights of EDVR."""
    return ARCH_REGISTRY.get('EDVR')(**{key: value for key, value in EDVR.items() if key != 'type'}).state_dict()


DEEP: dict[str, Any] = {}
for _ in range(20):
    DEEP = {'a': DEEP}
STRANGE = [
    (dict(type='Nothing'), 'there is no network Nothing; install the plugin'),
    (dict(type='VGGFeatureExtractor', layer_name_list=['conv1_1']), 'VGGFeatureExtractor is no network for super-res'),
    (dict(type='DFDNet', num_feat=8, dict_path='evil.pth'), 'DFDNet is no network for super-resolution'),
    (EDVR | {'evil': 1}, r'EDVR cannot be built with .*evil'),
    (EDVR | {'num_feat': 'eight'}, 'EDVR cannot be built with .*num_feat: eight'),
    (EDVR | {'num_feat': 16}, r'(?s)these weights do not fit EDVR:.*of another shape'),
    (EDVR | {'num_extract_block': 999_999}, r'far more weights than the \d+ in the file'),
    (EDVR | {'num_feat': 10**7}, r'record of its network has the number 1e\+07'),
    (EDVR | {'num_feat': float('nan')}, 'record of its network has the number nan'),
    (EDVR | {'more': ['x'] * 1001}, 'record of its network has more than 1000 values'),
    (EDVR | {'more': 'x' * 1001}, 'record of its network has a text of more than 1000'),
    (EDVR | {'more': DEEP}, 'record of its network has sections in more than 4 others'),
    (MSDTGP | {'scale': 5}, 'MSDTGP: scale: 5 is none of'),
]


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('network, message', STRANGE)
def test_records_of_strangers_are_refused_in_one_message(tmp_path, state, network, message, suffix):
    path = tmp_path / f'net{suffix}'
    if suffix == '.pth':
        save_checkpoint(path, {'params': state, 'network': network})
    else:
        save_file(state, path, {'format': 'satvsr_plugin', 'network': json.dumps(network)})
    with pytest.raises(WeightsError, match=message) as caught:
        build_described(path)
    assert str(caught.value).startswith(f'{path}: ') and '--opt FILE' in str(caught.value)


@pytest.mark.parametrize('record', ['{', '[' * 50_000, '"EDVR"', '1' * 5000, ' ' * 200_000])
def test_a_record_that_is_no_section_is_refused(tmp_path, state, record):
    save_file(state, tmp_path / 'net.safetensors', {'format': 'satvsr_plugin', 'network': record})
    with pytest.raises(WeightsError, match=r'net\.safetensors: the record of its network (is|has no type)'):
        build_described(tmp_path / 'net.safetensors')


class _Payload:
    def __reduce__(self):
        return Path.touch, (Path('executed'),)


def test_no_other_file_is_read_when_a_network_is_built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('evil.pth').write_bytes(pickle.dumps({'params': _Payload()}))
    network = dict(type='BasicVSR', num_feat=6, num_block=1, spynet_path=str(tmp_path / 'evil.pth'))
    weights = ARCH_REGISTRY.get('BasicVSR')(num_feat=6, num_block=1).state_dict()
    save_file(weights, 'net.safetensors', {'format': 'satvsr_plugin', 'network': json.dumps(network)})
    monkeypatch.setattr(torch, 'load', lambda *_args, **_options: pytest.fail('a file was read'))
    assert torch.equal(build_described('net.safetensors').fusion.bias, weights['fusion.bias'])
    assert not Path('executed').exists()


def test_weights_that_only_claim_to_be_large_take_no_memory(tmp_path):
    network = dict(type='MSRResNet', num_feat=100_000, num_block=1)  # a network of terabytes
    with torch.device('meta'):
        shapes = ARCH_REGISTRY.get('MSRResNet')(num_feat=100_000, num_block=1).state_dict()
    weights = {key: torch.zeros(1).expand(value.shape) for key, value in shapes.items()}
    save_checkpoint(tmp_path / 'net.pth', {'params': weights, 'network': network})
    assert (tmp_path / 'net.pth').stat().st_size < 20_000
    with pytest.raises(WeightsError, match=r'net\.pth: the file holds fewer numbers than MSRResNet needs'):
        build_described(tmp_path / 'net.pth')


def _file(header: Any, numbers: bytes = b'') -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + numbers


ONE = dict(dtype='F32', shape=[2], data_offsets=[0, 8])


@pytest.mark.parametrize('content', [
    b'', b'1234', struct.pack('<Q', 2**63) + b'{}', struct.pack('<Q', 50_000_000) + b'{}', _file(b'\xff{'),
    _file({'a': ONE}, bytes(7)), _file({'a': ONE}, bytes(9)), _file({'a': ONE, 'b': ONE}, bytes(8)),
    _file({'a': ONE | {'shape': [2**40]}}, bytes(8)), _file({'a': ONE | {'shape': [2**62, 4]}}, bytes(8)),
    _file({'a': ONE | {'dtype': 'F99'}}, bytes(8)), _file({'a': ONE, '__metadata__': {'network': {}}}, bytes(8)),
    _file([1]), _file(b'[' * 100_000),
])
def test_damaged_safetensors_are_refused_in_one_message(tmp_path, content):
    (tmp_path / 'net.safetensors').write_bytes(content)
    with pytest.raises(WeightsError, match=r'^\S*net\.safetensors: cannot be read as safetensors'):
        build_described(tmp_path / 'net.safetensors')


def test_safetensors_that_are_no_file_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r'nowhere\.safetensors: no such file'):
        build_described(tmp_path / 'nowhere.safetensors')
    (tmp_path / 'folder.safetensors').mkdir()
    with pytest.raises(WeightsError, match=r'folder\.safetensors: cannot be read'):
        build_described(tmp_path / 'folder.safetensors')


@pytest.mark.parametrize('dtype', [torch.int32, torch.float8_e4m3fn, torch.bool, torch.complex64])
def test_weights_of_another_kind_of_number_are_refused(tmp_path, state, dtype):
    record = {'format': 'satvsr_plugin', 'network': json.dumps(EDVR)}
    save_file(state | {'conv_last.bias': torch.ones(3).to(dtype)}, tmp_path / 'net.safetensors', record)
    with pytest.raises(WeightsError, match=rf'conv_last\.bias holds {dtype}, not torch\.float32'):
        build_described(tmp_path / 'net.safetensors')
