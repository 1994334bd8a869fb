"""``basicsr doctor``: what it finds, which command it names, and its exit code."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from satvsr_plugin import doctor

H200 = {'name': 'NVIDIA H200', 'memory_gib': 139.8, 'capability': '9.0'}
WORKS = doctor.ProbeResult(True, '')


def pretend(gpus: tuple[dict[str, Any], ...] = (), cuda_error: str | None = 'no GPU',
            **broken: str) -> Callable[..., doctor.ProbeResult]:
    """Probes of a machine with these GPUs, where all works but what is named: ``mmcv_cuda='reason'``."""
    facts = {'version': '2.13.0+cu130', 'cuda': '13.0', 'gpus': list(gpus), 'cuda_error': cuda_error,
             'amp': {'cpu': ['bf16', 'fp16']} | ({'cuda': ['bf16', 'fp16']} if gpus else {})}

    def probe(name: str, *arguments: str) -> doctor.ProbeResult:
        topic = '_'.join(arguments) or name
        if topic in broken:
            return doctor.ProbeResult(False, broken[topic])
        return doctor.ProbeResult(True, json.dumps(facts)) if name == 'torch' else WORKS

    return probe


def find(findings: list[doctor.Finding], topic: str) -> doctor.Finding:
    return next(finding for finding in findings if finding.topic == topic)


def quoted(name: str) -> str:
    """A path of the project as a shell needs it."""
    return shlex.quote(str(doctor.PROJECT / name))


@pytest.fixture
def foreign_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that setup_env.sh did not make."""
    monkeypatch.setattr(sys, 'prefix', '/opt/conda')
    monkeypatch.setattr(sys, 'executable', '/opt/conda/bin/python')


def test_this_environment_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """The real probes, in the environment that the tests run in."""
    pytest.importorskip('mmcv._ext', reason='needs mmcv with compiled ops')
    assert doctor.run() == 0
    lines = {line.split('  ')[0]: line for line in capsys.readouterr().out.replace('ok       ', '').splitlines()}
    assert lines['torch'].endswith(torch.__version__.split('+')[0])
    assert lines['mmcv'].endswith('2.2.0')
    assert lines['mmcv DCN, cpu'].endswith('compiled, gives right values')
    assert 'mmcv on' in lines['DCN in use']
    assert 'registered' in lines['BasicSR']
    assert 'Training works here.' in lines


def test_packages_for_some_files_only_are_named_with_their_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without_rasterio(name: str) -> str:
        if name == 'rasterio':
            raise importlib.metadata.PackageNotFoundError(name)
        return '18.1.0' if name == 'av' else version(name)

    monkeypatch.setattr(importlib.metadata, 'version', without_rasterio)
    findings = doctor.examine(pretend())
    assert find(findings, 'av') == doctor.Finding('av', '18.1.0, reads video files')
    assert find(findings, 'rasterio') == doctor.Finding(
        'rasterio', 'not installed; only needed to read GeoTIFF', 'ok', 'pip install "satvsr-plugin[geo]"')


def write_weights(path: Path, **network: Any) -> bytes:
    """A safetensors file of one number, byte for byte as the format describes it."""
    header = json.dumps({'__metadata__': {'network': json.dumps(network)},
                         'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}).encode()
    content = len(header).to_bytes(8, 'little') + header + bytes(4)
    path.write_bytes(content)
    return content


def test_weights_that_come_along_are_told_with_size_and_network(monkeypatch: pytest.MonkeyPatch,
                                                                tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, 'WEIGHTS', tmp_path / 'small.safetensors')
    write_weights(doctor.WEIGHTS, type='MSDTGP', scale=4)
    assert find(doctor.examine(pretend()), 'weights') == doctor.Finding(
        'weights', 'small.safetensors (0.0 MB, MSDTGP x4)')


@pytest.mark.parametrize('length', [None, 0, 7, 40, -1])
def test_missing_or_damaged_weights_name_their_mend(foreign_environment: None, monkeypatch: pytest.MonkeyPatch,
                                                    tmp_path: Path, length: int | None) -> None:
    monkeypatch.setattr(doctor, 'WEIGHTS', tmp_path / 'small.safetensors')
    monkeypatch.setattr(doctor, 'PROJECT', tmp_path)  # installed, no checkout
    if length is not None:
        content = write_weights(doctor.WEIGHTS, type='MSDTGP', scale=4)
        doctor.WEIGHTS.write_bytes(content[:length])
    finding = find(doctor.examine(pretend()), 'weights')
    assert finding.level == 'warning' and ('missing' if length is None else 'damaged') in finding.text
    assert finding.mend == '/opt/conda/bin/python -m pip install --force-reinstall --no-deps satvsr-plugin'
    (tmp_path / '.git').mkdir()
    finding = find(doctor.examine(pretend()), 'weights')
    assert finding.mend == f'git -C {tmp_path} checkout -- {tmp_path}/small.safetensors'


def test_missing_mmcv_means_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    """The real probes, with an mmcv in front of the real one that cannot be imported."""
    shadow(monkeypatch, tmp_path, 'mmcv', 'No module named mmcv')
    assert doctor.run() == 0
    out = capsys.readouterr().out
    assert 'does not work: ImportError: No module named mmcv' in out
    assert f'to mend it: {doctor.mend_of("mmcv")}' in out
    assert 'torchvision on' in out
    assert re.search(r'fast paths, cpu +channels_last', out)


def test_fast_paths_are_told_and_why_one_is_not_taken() -> None:
    probed = doctor.ProbeResult(
        True, 'noise: of a library\nfast paths, cpu: channels_last\nfast paths, cpu, not fused: torch: too old\n')
    findings = doctor._examine_toolbox(probed)
    assert find(findings, 'fast paths, cpu').text == 'channels_last'
    assert find(findings, 'fast paths, cpu, not fused').text == 'torch: too old'
    assert len(findings) == 3


@pytest.mark.parametrize(('package', 'topic'), [('torch', 'torch works'), ('basicsr', 'BasicSR')])
def test_broken_package_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, topic: str) -> None:
    """The real probe of one package, with a broken one in front of the real one."""
    shadow(monkeypatch, tmp_path, package, 'undefined symbol: _ZN3c10')
    probe = doctor.run_probe if package == 'torch' else pretend(
        toolbox=doctor.run_probe('toolbox').output)
    finding = find(doctor.examine(probe), topic)
    assert finding.level == 'error' and finding.text.endswith('ImportError: undefined symbol: _ZN3c10')
    assert finding.mend
    assert doctor.run(probe) == 1


def shadow(monkeypatch: pytest.MonkeyPatch, folder: Path, package: str, message: str) -> None:
    (folder / f'{package}.py').write_text(f'raise ImportError({message!r})\n')
    monkeypatch.setenv('PYTHONPATH', str(folder))


def test_process_that_dies_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A binary for another torch may abort the process instead of raising."""
    (tmp_path / 'torch.py').write_text('import os\nos.abort()\n')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    assert doctor.run_probe('torch') == doctor.ProbeResult(False, 'its process ended with code -6')


def test_gpu_with_mmcv_of_the_cpu_uses_torchvision(foreign_environment: None) -> None:
    findings = doctor.examine(pretend((H200,), None, mmcv_cuda='RuntimeError: not compiled with GPU support'))
    assert find(findings, 'GPU 0').text == 'NVIDIA H200, 139.8 GiB, compute capability 9.0'
    assert find(findings, 'mmcv DCN, cpu').level == 'ok'
    operator = find(findings, 'mmcv DCN, cuda')
    assert 'CUDA 13.0 toolkit' in operator.mend and operator.mend.endswith(quoted('scripts/install_mmcv.py'))
    assert find(findings, 'DCN in use').text.startswith('torchvision on cuda')
    assert not any(finding.level == 'error' for finding in findings)


def test_gpu_with_all_of_mmcv_uses_it() -> None:
    findings = doctor.examine(pretend((H200,), None))
    assert find(findings, 'DCN in use') == doctor.Finding('DCN in use', 'mmcv on cuda')
    assert find(findings, 'amp, cuda').text == 'bf16 and fp16'


@pytest.mark.parametrize(('gpus', 'installed', 'topic', 'text'), [
    ((H200,), True, 'triton DCN, cuda', 'compiles, gives right values'),
    ((H200,), False, 'triton DCN', 'triton is not installed'),
    ((), True, 'triton DCN', 'needs a CUDA GPU'),
])
def test_triton_is_tried_only_where_it_could_work(monkeypatch: pytest.MonkeyPatch, gpus: tuple[dict[str, Any], ...],
                                                  installed: bool, topic: str, text: str) -> None:
    monkeypatch.setattr(doctor.importlib.util, 'find_spec', lambda name: object() if installed else None)
    tried = []

    def probe(*arguments: str) -> doctor.ProbeResult:
        tried.append(arguments)
        return pretend(gpus, None)(*arguments)

    finding = find(doctor.examine(probe), topic)
    assert text in finding.text and finding.level == 'ok'
    assert (('dcn', 'triton', 'cuda') in tried) == (topic == 'triton DCN, cuda')


def test_triton_that_cannot_compile_is_a_warning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, 'find_spec', lambda name: object())
    findings = doctor.examine(pretend((H200,), None, triton_cuda='RuntimeError: Failed to find C compiler.'))
    finding = find(findings, 'triton DCN, cuda')
    assert finding.level == 'warning' and 'Failed to find C compiler' in finding.text
    assert 'C compiler' in finding.mend
    assert find(findings, 'DCN in use') == doctor.Finding('DCN in use', 'mmcv on cuda')


def test_the_triton_probe_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real probe, with Triton's interpreter in the place of a GPU."""
    pytest.importorskip('triton')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    assert doctor.run_probe('dcn', 'triton', 'cpu') == WORKS


def test_no_operator_at_all_stops_training(capsys: pytest.CaptureFixture[str]) -> None:
    probe = pretend(mmcv_cpu='ImportError', torchvision_cpu='operator torchvision::nms does not exist')
    assert doctor.run(probe) == 1
    assert 'none on cpu' in capsys.readouterr().out


def test_gpu_that_torch_cannot_use_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, 'which', lambda program: f'/usr/bin/{program}')
    finding = find(doctor.examine(pretend(cuda_error='The NVIDIA driver on your system is too old')), 'GPU')
    assert finding.level == 'warning' and 'driver on your system is too old' in finding.text
    assert 'update the NVIDIA driver' in finding.mend


@pytest.mark.parametrize(('broken', 'topic', 'command'), [
    ({'torch': 'x'}, 'torch works', 'pip install --force-reinstall torch==2.13.0 torchvision==0.28.0'),
    ({'mmcv_cpu': 'x'}, 'mmcv DCN, cpu', f'/opt/conda/bin/python {quoted("scripts/install_mmcv.py")}'),
    ({'toolbox': 'SyntaxError: x'}, 'BasicSR', '--no-build-isolation basicsr==1.4.2'),
    ({'toolbox': "ModuleNotFoundError: No module named 'addict'"}, 'BasicSR', f'-e {quoted(".")}'),
])
def test_each_problem_names_its_mend(foreign_environment: None, broken: dict[str, str], topic: str,
                                     command: str) -> None:
    mend = find(doctor.examine(pretend(**broken)), topic).mend
    assert mend.startswith('/opt/conda/bin/python ') and mend.endswith(command)


def test_own_environment_is_mended_by_the_setup_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'prefix', str(doctor.PROJECT / '.venv'))
    assert doctor.mend_of('torch') == f'bash {quoted("scripts/setup_env.sh")} --force'


def test_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == 'lmdb':
            raise importlib.metadata.PackageNotFoundError(name)
        return '2.14.0+cpu'

    monkeypatch.setattr(importlib.metadata, 'version', version)
    findings = doctor.examine(pretend())
    assert (find(findings, 'lmdb').text, find(findings, 'lmdb').level) == ('not installed', 'warning')
    assert find(findings, 'torch').text == '2.14.0+cpu (tested with 2.13.0)'
