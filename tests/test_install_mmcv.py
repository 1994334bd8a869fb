"""scripts/install_mmcv.py: which mmcv it takes, what it compiles for, and what it says meanwhile."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / 'scripts' / 'install_mmcv.py'
GIB = 2**30


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as a module, with a cache of its own and no ready wheels."""
    spec = importlib.util.spec_from_file_location('install_mmcv', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'install_mmcv', module)
    spec.loader.exec_module(module)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delenv('UV_FIND_LINKS', raising=False)
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT)])
    return module


def make_toolkit(folder: Path, version: str) -> Path:
    """A CUDA toolkit as far as the script looks at it."""
    (folder / 'bin').mkdir(parents=True)
    (folder / 'include').mkdir()
    (folder / 'include' / 'cuda_runtime.h').touch()
    nvcc = folder / 'bin' / 'nvcc'
    nvcc.write_text(f'#!/bin/sh\necho "Cuda compilation tools, release {version}, V{version}.88"\n')
    nvcc.chmod(0o755)
    return folder


def pretend_torch(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capabilities: list[str]) -> None:
    facts = {'version': '2.13.0+cu130', 'cuda': '13.0', 'gpus': [{'capability': each} for each in capabilities]}
    monkeypatch.setattr(script, 'run_probe', lambda *arguments: (True, json.dumps(facts)))


def test_target_without_gpu_is_the_cpu(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_torch(script, monkeypatch, [])
    target = script.find_target()
    assert target == script.Target('2.13.0+cu130') and target.devices == ('cpu',)


def test_target_is_the_gpus_that_are_here(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend_torch(script, monkeypatch, ['9.0', '8.6', '9.0'])
    toolkit = make_toolkit(tmp_path / 'cuda', '13.0')
    monkeypatch.setenv('CUDA_HOME', str(toolkit))
    target = script.find_target()
    assert target.archs == ('8.6', '9.0') and target.devices == ('cpu', 'cuda')
    env = script.build_environment(target)
    assert (env['FORCE_CUDA'], env['TORCH_CUDA_ARCH_LIST'], env['CUDA_HOME']) == ('1', '8.6;9.0', str(toolkit))


@pytest.mark.parametrize('version', [None, '12.8'])
def test_gpu_without_fitting_compiler_says_so(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str], version: str | None) -> None:
    pretend_torch(script, monkeypatch, ['9.0'])
    monkeypatch.setenv('CUDA_HOME', str(make_toolkit(tmp_path / 'cuda', version) if version else tmp_path))
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(script, 'SYSTEM_CUDA', tmp_path / 'none')
    target = script.find_target()
    assert target.devices == ('cpu',)
    assert script.build_environment(target)['CUDA_VISIBLE_DEVICES'] == ''
    assert ('not of CUDA 13.0' if version else 'no CUDA compiler') in capsys.readouterr().out


def test_each_torch_and_device_has_its_own_wheel(script: ModuleType, tmp_path: Path) -> None:
    targets = [script.Target('2.13.0+cu130'), script.Target('2.13.0+cpu'), script.Target('2.12.0+cu130'),
               script.Target('2.13.0+cu130', tmp_path, ('9.0',)), script.Target('2.13.0+cu130', tmp_path, ('8.6',))]
    folders = [target.cache for target in targets]
    assert len(set(folders)) == 5
    assert folders[3].relative_to(tmp_path / 'cache' / 'satvsr_plugin').parts[0] == 'mmcv-2.2.0'
    assert f'torch-2.13.0+cu130-cuda-9.0-cp3{sys.version_info.minor}-' in folders[3].name


@pytest.mark.parametrize(('cores', 'gib', 'cuda', 'jobs'), [
    (2, 23, False, 2), (64, 16, False, 8), (64, 16, True, 4), (8, 1, False, 1), (1, 500, True, 1)])
def test_jobs_fit_cores_and_memory(script: ModuleType, cores: int, gib: int, cuda: bool, jobs: int) -> None:
    assert script.count_jobs(cores, gib * GIB, cuda) == jobs


def test_missing_compiler_ends_with_one_line(script: ModuleType, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(script, 'find_target', lambda: script.Target('2.13.0'))
    monkeypatch.setattr(script, 'problem_of_installed', lambda target: 'on cpu: no mmcv')
    monkeypatch.setenv('CXX', 'no-such-compiler')
    assert script.main() == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and 'no C++ compiler (no-such-compiler)' in error


@pytest.mark.parametrize(('version', 'broken', 'problem'), [
    ('2.2.0', '', None), ('2.1.0', '', 'since it is mmcv 2.1.0'), (None, '', 'since it is not installed'),
    ('2.2.0', 'cuda', 'on cuda: not compiled with GPU support')])
def test_installed_mmcv_is_of_use_on_every_device(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                  version: str | None, broken: str, problem: str | None) -> None:
    def read_version(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, 'version', read_version)
    monkeypatch.setattr(script, 'run_probe',
                        lambda *arguments: (broken not in arguments, 'not compiled with GPU support'))
    assert script.problem_of_installed(script.Target('2.13.0', tmp_path, ('9.0',))) == problem


def test_compilation_says_how_far_it_is(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import time; print('  [1/77] c++', '  [12/77] c++', sep='\\n', flush=True); time.sleep(1)"
    script.compile_wheel([sys.executable, '-c', program], {}, tmp_path / 'log', every=0.4)
    assert 'compiling mmcv: 0 min, 12 of 77 files' in capsys.readouterr().out


def test_failed_compilation_shows_the_end_of_its_log(script: ModuleType, tmp_path: Path) -> None:
    program = "import sys; print(*range(100), sep='\\n'); sys.exit('fatal error: out of memory')"
    with pytest.raises(script.SetupError) as caught:
        script.compile_wheel([sys.executable, '-u', '-c', program], {}, tmp_path / 'log')
    lines = str(caught.value).splitlines()
    assert str(tmp_path / 'log') in lines[0] and 'fatal error: out of memory' in lines
    assert '99' in lines and '50' not in lines
    assert caught.value.code == 1


@pytest.fixture
def installs(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Installing and compiling without doing it: only a wheel of 'good' content works. Gives what was installed."""
    installed: list[str] = []
    monkeypatch.setattr(script, 'find_target', lambda: script.Target('2.13.0'))
    monkeypatch.setattr(script, 'check_compiler', lambda: None)
    monkeypatch.setattr(script.subprocess, 'run', lambda command, **_: subprocess.CompletedProcess(command, 0))

    def install(*what: str) -> bool:
        wheel = Path(what[-1])
        installed.append(wheel.read_text() if wheel.exists() else what[-1])
        return True

    def compile_wheel(command: list[str], *_: object) -> None:
        folder = Path(command[command.index('--wheel-dir') + 1])
        (folder / 'mmcv-2.2.0-cp311.whl').write_text('good')

    def problem_of_installed(target: object) -> str | None:
        return None if installed and installed[-1] == 'good' else 'on cpu: undefined symbol'

    monkeypatch.setattr(script, 'install', install)
    monkeypatch.setattr(script, 'compile_wheel', compile_wheel)
    monkeypatch.setattr(script, 'problem_of_installed', problem_of_installed)
    return installed


def test_compiles_once_and_keeps_the_wheel(script: ModuleType, installs: list[str]) -> None:
    folder = script.Target('2.13.0').cache
    assert script.main() == 0
    assert [wheel.name for wheel in folder.iterdir()] == ['mmcv-2.2.0-cp311.whl']
    installs.clear()  # a second clone has no mmcv yet
    script.compile_wheel = None  # and may not compile
    assert script.main() == 0
    assert installs == ['good']


def test_ready_wheel_that_does_not_work_is_left(script: ModuleType, installs: list[str],
                                                monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv('UV_FIND_LINKS', '/ready')
    assert script.main() == 0
    assert installs == ['mmcv==2.2.0', 'good']
    assert 'the wheel in UV_FIND_LINKS does not work with torch 2.13.0 on cpu: undefined' in capsys.readouterr().out


def test_compiled_mmcv_that_does_not_work_is_an_error(script: ModuleType, installs: list[str],
                                                      monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(script, 'problem_of_installed', lambda target: 'on cpu: undefined symbol')
    assert script.main() == 1
    assert 'was compiled, but does not work on cpu: undefined symbol' in capsys.readouterr().err
    assert not script.Target('2.13.0').cache.exists()


def test_cache_that_cannot_be_written_is_no_error(script: ModuleType, installs: list[str],
                                                  monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert script.main() == 0
    assert 'could not be kept' in capsys.readouterr().out


def test_folders_of_ready_wheels_reach_pip(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('UV_FIND_LINKS', '/one,/two words')
    assert script.pip('install', 'x')[3:] == ['install', '--find-links=/one', '--find-links=/two words', 'x']
