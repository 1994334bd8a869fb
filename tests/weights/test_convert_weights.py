"""The script: what it writes can be loaded, what it prints can be put into an option file, and what it refuses."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY
from saved_networks import authors_code, save_as_torch_03
from torch import nn

from satvsr_plugin.archs import MSDTGP
from satvsr_plugin.weights import build_described, load_checkpoint, load_into, read_weights, save_described

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'convert_weights.py'
TINY = dict(num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1, num_stage=2,
            deformable_groups=2)


@pytest.fixture
def net() -> MSDTGP:
    return MSDTGP(scale=2, num_frame=3, **TINY)


@pytest.fixture
def convert(monkeypatch, capsys) -> Callable[..., SimpleNamespace]:
    """The script, run in this process: starting another one takes longer than all tests of this file."""
    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, 'argv', ['convert_weights.py', *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name='__main__')
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=out, stderr=err)

    return run


def test_what_is_written_is_what_pretrain_network_g_loads(convert, net, tmp_path):
    torch.save({f'module.{key}': value for key, value in net.state_dict().items()}, tmp_path / 'official.pth')
    done = convert('--arch', 'MSDTGP', tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert 'scale: 2' in done.stdout and 'num_frame: 3' in done.stdout
    twin = MSDTGP(scale=2, num_frame=3, **TINY)
    load_into(twin, load_checkpoint(tmp_path / 'ours.pth'), 'ours.pth')
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), net.parameters(), strict=True))
    again = convert('--arch', 'MSDTGP', tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert again.returncode == 2 and '--overwrite' in again.stderr


def test_a_network_saved_whole_by_torch_03_is_recognised_and_its_section_builds_it(convert, tmp_path):
    with authors_code(tmp_path) as network:
        original = network()
        save_as_torch_03(nn.DataParallel(original), tmp_path / 'model.pt')
    done = convert(tmp_path / 'model.pt', tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    first, report, *section = done.stdout.splitlines()
    assert first == f"{tmp_path / 'model.pt'} fits TDAN, and no other network"
    assert report.startswith(f"{tmp_path / 'ours.pth'}: 85 tensors, ")
    assert '  # init: reference' in section
    options = yaml.safe_load('\n'.join(section))
    assert options['path'] == {'pretrain_network_g': str(tmp_path / 'ours.pth')}
    net = ARCH_REGISTRY.get(options['network_g'].pop('type'))(**options['network_g'])
    load_into(net, load_checkpoint(tmp_path / 'ours.pth'), 'ours.pth')
    assert all(torch.equal(net.state_dict()[key], value) for key, value in original.state_dict().items())


def test_an_original_checkpoint_becomes_a_file_that_is_enough(convert, net, tmp_path):
    torch.save(net.state_dict(), tmp_path / 'official.pth')
    for name in ('ours.safetensors', 'ours.pth'):
        done = convert(tmp_path / 'official.pth', tmp_path / name)
        assert done.returncode == 0, done.stderr
        weights = read_weights(tmp_path / name)
        assert {'type': 'MSDTGP', 'scale': 2, 'num_frame': 3, 'residual': 'none', **TINY}.items() \
            <= weights.network.items()
        twin = build_described(tmp_path / name)
        assert twin.upsample is None
        assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), net.parameters(), strict=True))


def test_what_a_checkpoint_says_is_kept_and_half_is_half(convert, tmp_path):
    net = MSDTGP(scale=2, num_frame=3, residual='bicubic', **TINY)
    network = {'type': 'MSDTGP', 'scale': 2, 'num_frame': 3, 'residual': 'bicubic', **TINY}
    save_described(tmp_path / 'trained.pth', net.state_dict(), network)
    done = convert('--arch', 'TDAN', tmp_path / 'trained.pth', tmp_path / 'no.pth')
    assert done.returncode == 2 and 'trained.pth: says that it is of MSDTGP, not TDAN; leave out' in done.stderr
    done = convert('--arch', 'MSDTGP', '--half', tmp_path / 'trained.pth', tmp_path / 'half.safetensors')
    assert done.returncode == 0, done.stderr
    assert '  residual: bicubic\n' in done.stdout and 'Weights do not tell' not in done.stdout
    weights = read_weights(tmp_path / 'half.safetensors')
    assert weights.network == network
    assert all(torch.equal(weights.state_dict[key], value.half()) for key, value in net.state_dict().items())


def test_an_option_file_says_what_weights_do_not_tell(convert, tmp_path):
    net = MSDTGP(scale=2, num_frame=3, residual='bicubic', **TINY)
    torch.save(net.state_dict(), tmp_path / 'trained.pth')
    network = {'type': 'MSDTGP', 'scale': 2, 'num_frame': 3, 'residual': 'bicubic', **TINY}
    (tmp_path / 'train.yml').write_text(yaml.safe_dump({'name': 'x', 'network_g': network}))
    done = convert('--opt', tmp_path / 'train.yml', tmp_path / 'trained.pth', tmp_path / 'ours.safetensors')
    assert done.returncode == 0, done.stderr
    assert build_described(tmp_path / 'ours.safetensors').upsample is not None
    (tmp_path / 'other.yml').write_text(yaml.safe_dump({'name': 'x', 'network_g': network | {'scale': 4}}))
    done = convert('--opt', tmp_path / 'other.yml', tmp_path / 'trained.pth', tmp_path / 'no.safetensors')
    assert done.returncode == 2 and 'trained.pth: these weights do not fit MSDTGP' in done.stderr
    assert not (tmp_path / 'no.safetensors').exists()


def test_what_weights_do_not_tell_is_said(convert, tmp_path):
    torch.save(ARCH_REGISTRY.get('DUF')(scale=2, num_layer=16).state_dict(), tmp_path / 'duf.pth')
    done = convert('--arch', 'DUF', tmp_path / 'duf.pth', tmp_path / 'ours.pth')
    assert done.returncode == 0, done.stderr
    assert '  num_layer: 16\n  # Weights do not tell these; they are the defaults:\n' \
           "  # adapt_official_weights: false  (true for weights converted from the authors' TensorFlow files)\n" \
           in done.stdout


def test_the_file_that_holds_no_weights_is_named(convert, tmp_path):
    torch.save({'a': torch.zeros(1)}, tmp_path / 'other.pth')
    done = convert('--arch', 'MSDTGP', tmp_path / 'other.pth', tmp_path / 'ours.pth')
    assert done.returncode == 2
    assert done.stderr == (f"error: {tmp_path / 'other.pth'}: these are not the weights of MSDTGP: "
                           "'feat0.conv.weight' is missing\nNothing was written\n")


def test_missing_and_left_over_keys_are_named_and_nothing_is_written(convert, net, tmp_path):
    state = net.state_dict()
    del state['TAtt.tAtt_1.bias']
    state['discriminator.weight'] = torch.zeros(2)
    torch.save(state, tmp_path / 'official.pth')
    done = convert('--arch', 'MSDTGP', tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert done.returncode == 2
    assert '1 missing: TAtt.tAtt_1.bias' in done.stderr and '1 left over: discriminator.weight' in done.stderr
    assert not (tmp_path / 'ours.pth').exists()
    guessed = convert(tmp_path / 'official.pth', tmp_path / 'ours.pth')
    assert guessed.returncode == 2
    assert 'official.pth: these weights fit none of MSDTGP, TDAN, RBPN, ' in guessed.stderr
    assert 'say with --arch' in guessed.stderr


def test_code_in_a_network_saved_whole_is_not_run(tmp_path):
    class Evil(nn.Module):
        def __reduce__(self):
            return Path.touch, (tmp_path / 'executed',)

    torch.save(Evil(), tmp_path / 'evil.pt', _use_new_zipfile_serialization=False)
    done = subprocess.run([sys.executable, SCRIPT, '--arch', 'TDAN', tmp_path / 'evil.pt', tmp_path / 'ours.pth'],
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'evil.pt'}: refused, since it asks for ")
    assert not (tmp_path / 'executed').exists() and not (tmp_path / 'ours.pth').exists()
