"""``basicsr doctor --report``: one block to paste, without names and secrets, also where torch or mmcv are broken."""

from __future__ import annotations

import json
import subprocess

import pytest

from satvsr_plugin import cli, doctor_report
from satvsr_plugin.doctor import ProbeResult, run_probe
from satvsr_plugin.doctor_report import without_names

FACTS = {'version': '2.13.0', 'cuda': '13.0', 'gpus': [], 'cuda_error': 'no GPU', 'amp': {'cpu': ['bf16']}}


@pytest.fixture(autouse=True)
def _somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ann, at home on the machine lab-7."""
    monkeypatch.setenv('HOME', '/home/ann')
    monkeypatch.setenv('LOGNAME', 'ann')
    monkeypatch.setattr(doctor_report.platform, 'node', lambda: 'lab-7.example.org')
    for name in (*doctor_report.SHOWN, *doctor_report.TOLD_ONLY):
        monkeypatch.delenv(name, raising=False)


def probe(name: str, *arguments: str) -> ProbeResult:
    """All works."""
    output = {'torch': json.dumps(FACTS), 'build': f'built on lab-7 by ann@lab-7 in /home/ann/{"".join(arguments)}'}
    return ProbeResult(True, output.get(name, ''))


def report(capsys: pytest.CaptureFixture[str], code: int, probe=probe) -> str:
    assert doctor_report.run(probe) == code
    return capsys.readouterr().out


def test_one_block_with_everything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    monkeypatch.setenv('PYTHONPATH', '/home/ann/code:/home/anna/code')
    monkeypatch.setenv('UV_FIND_LINKS', 'https://ann:secret@wheels.example.org')
    monkeypatch.setenv('HTTPS_PROXY', 'http://ann:secret@proxy:80')
    monkeypatch.setattr(doctor_report, 'plugin_state', lambda: {'commit': 'c' * 40, 'changed': True})
    monkeypatch.setattr(doctor_report, 'git_state', lambda _folder: None)
    text = report(capsys, 0)
    assert text.startswith('```text\n[doctor]\n') and text.endswith('\n```\n') and text.count('```') == 2
    sections = dict(part.split(']\n', 1) for part in text[8:-5].split('\n\n[')[1:])
    assert list(sections) == ['machine', 'packages', 'programs', 'git', 'environment', 'build of torch',
                              'build of mmcv']
    assert 'ok       BasicSR ' in text and 'DCN in use' in text
    assert sections['git'] == f'plugin: {"c" * 40}, changed\ncurrent folder: no repository'
    assert sections['environment'] == ('OMP_NUM_THREADS=3\nPYTHONPATH=~/code:/home/anna/code\n'
                                       'UV_FIND_LINKS is set\nHTTPS_PROXY is set')
    assert sections['build of mmcv'] == 'built on HOST by USER@HOST in ~/mmcv'
    assert 'secret' not in text and 'lab-7' not in text and '/home/ann/' not in text
    for line in ('cores', 'memory: ', 'disk of the current folder: ', 'shared memory (/dev/shm): '):
        assert line in sections['machine']


@pytest.mark.parametrize('broken, code', [('torch', 1), ('mmcv', 0)])
def test_where_a_package_is_broken(capsys: pytest.CaptureFixture[str], broken: str, code: int) -> None:
    def fails(name: str, *arguments: str) -> ProbeResult:
        if broken in (name, *arguments):
            return ProbeResult(False, 'ImportError: undefined symbol ```_ZN3c10')
        return probe(name, *arguments)

    text = report(capsys, code, fails)
    assert text.count('```') == 2  # what programs say does not end the block
    assert f'[build of {broken}]\nImportError: undefined symbol ..._ZN3c10' in text
    assert '[machine]' in text and '[environment]' in text


def test_programs_that_are_missing_or_do_not_end(monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    def start(command: list[str], **_arguments: object) -> None:
        if command[0] == 'nvcc':
            raise subprocess.TimeoutExpired(command, 1)
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(doctor_report.subprocess, 'run', start)
    text = report(capsys, 0)
    assert 'nvidia-smi: not found, or without GPUs\nc++: not found\nnvcc: not found\n' in text


@pytest.mark.parametrize('text, expected', [
    ('/home/ann', '~'),
    ("'/home/ann/a b'", "'~/a b'"),
    ('/home/anna/x', '/home/anna/x'),
    ('/mnt/home/ann/x', '/mnt/home/USER/x'),
    ('/data/ann/x, announced by ann', '/data/USER/x, announced by ann'),
    ('lab-7.example.org and lab-7', 'HOST and HOST'),
    ('lab-70 collab-7', 'lab-70 collab-7'),
])
def test_names_are_left_out(text: str, expected: str) -> None:
    assert without_names(text) == expected


def test_names_that_cannot_be_told_from_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('LOGNAME', 'root')
    monkeypatch.setenv('HOME', '/root')
    assert without_names('/root/x /opt/gcc/root/usr/bin') == '~/x /opt/gcc/root/usr/bin'
    monkeypatch.setenv('HOME', '/')
    assert without_names('/usr/bin') == '/usr/bin'


def test_how_torch_was_built() -> None:
    """The real probe."""
    result = run_probe('build', 'torch')
    assert result.works, result.output
    assert result.output.startswith('CUDA ') and 'at::get_num_threads()' in result.output
    assert max(map(len, result.output.splitlines())) < 200


def test_the_flag_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_report, 'run', lambda: 1)
    with pytest.raises(SystemExit) as end:
        cli.main(['doctor', '--report'])
    assert end.value.code == 1
