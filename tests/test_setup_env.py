"""scripts/setup_env.sh with stand-ins for python and uv: what it does when, and how it ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from satvsr_plugin import doctor

PROJECT = Path(__file__).resolve().parents[1]
STUB = Path(__file__).with_name('setup_stub.sh')
COPIED = ('setup.py', 'pyproject.toml', 'scripts/setup_env.sh', 'scripts/install_mmcv.py')


@dataclass
class Checkout:
    """A copy of the files that the set-up reads, and a stand-in for Python."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def stamp(self) -> Path:
        return self.root / '.venv' / '.satvsr_setup'

    def calls(self) -> list[str]:
        log = self.root / 'calls'
        return log.read_text().splitlines() if log.exists() else []

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        env = {'PATH': os.environ['PATH'], 'HOME': str(self.root), 'PYTHON': str(self.root / 'stub' / 'python'),
               'STUB_CALLS': str(self.root / 'calls'), 'STUB_VERSION': '3.11.7', **variables}
        return subprocess.Popen(['bash', str(self.root / 'scripts' / 'setup_env.sh'), *arguments], text=True, env=env,
                                cwd=cwd or self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, cwd=cwd, **variables)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / 'a checkout'  # a space in the path must not matter
    for name in COPIED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    (root / 'stub').mkdir()
    shutil.copy(STUB, root / 'stub' / 'python')
    (root / 'stub' / 'python').chmod(0o755)
    return Checkout(root)


def test_installs_in_order_and_then_does_nothing(checkout: Checkout) -> None:
    code, out, err = checkout.run()
    assert code == 0, err
    calls = '\n'.join(checkout.calls())
    steps = ['-m venv', 'torch==2.13.0 torchvision==0.28.0', 'basicsr==1.4.2', 'install_mmcv.py', '--editable',
             'basicsr doctor']
    positions = [calls.index(step) for step in steps]
    assert positions == sorted(positions)

    before = checkout.calls()
    started = time.monotonic()
    code, out, _ = checkout.run()
    assert code == 0 and 'is ready' in out
    assert time.monotonic() - started < 5
    assert [call for call in checkout.calls()[len(before):] if not call.startswith('python -c ')] == []


@pytest.mark.parametrize('changed', COPIED)
def test_runs_again_when_a_file_it_depends_on_changed(checkout: Checkout, changed: str) -> None:
    checkout.run()
    with (checkout.root / changed).open('a') as file:
        file.write('\n# changed\n')
    done = len(checkout.calls())
    assert checkout.run()[0] == 0
    assert any('--editable' in call for call in checkout.calls()[done:])


def test_runs_again_when_a_package_was_removed(checkout: Checkout) -> None:
    checkout.run()
    shutil.rmtree(next((checkout.root / '.venv').glob('lib/*/site-packages/mmcv-2.2.0.dist-info')))
    done = len(checkout.calls())
    assert checkout.run()[0] == 0
    assert any('install_mmcv.py' in call for call in checkout.calls()[done:])


def test_force_reinstalls(checkout: Checkout) -> None:
    checkout.run()
    done = len(checkout.calls())
    assert checkout.run('--force')[0] == 0
    reinstalled = [call for call in checkout.calls()[done:] if '--reinstall' in call]
    assert 'torch==2.13.0' in reinstalled[0] and 'basicsr==1.4.2' in reinstalled[1]


def test_forced_run_that_fails_is_not_taken_for_done(checkout: Checkout) -> None:
    checkout.run()
    assert checkout.run('--force', STUB_MMCV_FAILS='1')[0] == 1
    assert not checkout.stamp.exists()


@pytest.mark.parametrize('version', ['3.13.0', None])
def test_python_out_of_range_ends_with_one_line(checkout: Checkout, version: str | None) -> None:
    variables = {'STUB_VERSION': version} if version else {'PYTHON': '/nowhere/python'}
    code, out, err = checkout.run(**variables)
    assert code == 2
    assert out == '' and len(err.splitlines()) == 1
    assert (f'Python {version}' if version else 'is missing') in err and '3.10, 3.11 or 3.12' in err
    assert not (checkout.root / '.venv').exists()


def test_environment_of_another_python_is_left_alone(checkout: Checkout) -> None:
    checkout.run()
    checkout.stamp.unlink()
    code, _, err = checkout.run(STUB_VERSION='3.13.0')
    assert code == 2 and 'was made with Python 3.13.0' in err and len(err.splitlines()) == 1
    assert (checkout.root / '.venv' / 'bin' / 'python').exists()


def test_interrupted_creation_is_repaired(checkout: Checkout) -> None:
    binaries = checkout.root / '.venv' / 'bin'
    binaries.mkdir(parents=True)
    shutil.copy(STUB, binaries / 'python')  # venv makes python first and pip last
    (binaries / 'left_over').touch()
    code, _, err = checkout.run()
    assert code == 0, err
    assert not (binaries / 'left_over').exists()
    assert checkout.stamp.exists()


@pytest.mark.parametrize(('variable', 'code'), [('STUB_MMCV_FAILS', 2), ('STUB_MMCV_FAILS', 1), ('STUB_DOCTOR', 1)])
def test_failed_step_ends_the_run_and_is_repeated(checkout: Checkout, variable: str, code: int) -> None:
    assert checkout.run(**{variable: str(code)})[0] == code
    assert not checkout.stamp.exists()
    assert checkout.run()[0] == 0
    assert sum('-m venv' in call for call in checkout.calls()) == 1  # what was done is kept


def test_relative_find_links_are_meant_from_the_caller(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / 'ready wheels').mkdir()
    code, _, err = checkout.run(cwd=tmp_path, UV_FIND_LINKS='ready wheels,https://example.org/wheels')
    assert code == 0, err
    expected = f'links={tmp_path / "ready wheels"},https://example.org/wheels'
    assert all(call.endswith(expected) for call in checkout.calls())


@pytest.mark.skipif(shutil.which('flock') is None, reason='without flock runs are not kept apart')
def test_two_runs_at_once_set_up_once(checkout: Checkout) -> None:
    runs = [checkout.start(), checkout.start()]
    for process in runs:
        process.communicate(timeout=60)
    assert [process.returncode for process in runs] == [0, 0]
    assert sum('--editable' in call for call in checkout.calls()) == 1


def test_unknown_argument_is_refused_and_help_is_given(checkout: Checkout) -> None:
    code, _, err = checkout.run('--wrong')
    assert code == 2 and 'unknown argument: --wrong' in err
    code, out, _ = checkout.run('--help')
    assert code == 0 and 'UV_FIND_LINKS' in out
    assert checkout.calls() == []


def test_pins_are_the_same_everywhere() -> None:
    script = (PROJECT / 'scripts' / 'setup_env.sh').read_text()
    pins = {name.lower(): version for name, version in re.findall(r'^([A-Z]+)=(\d[\d.]+)', script, re.MULTILINE)}
    assert pins == {name: version for name, version in doctor.TESTED.items() if version}
    assert f"MMCV = '{pins['mmcv']}'" in (PROJECT / 'scripts' / 'install_mmcv.py').read_text()
    setup = (PROJECT / 'setup.py').read_text()
    bounds = [Requirement(text) for text in re.findall(r"^    '([a-z].*)',$", setup, re.MULTILINE)]
    allowed = {bound.name: bound.specifier for bound in bounds}
    assert all(allowed[name].contains(version) for name, version in pins.items())
