"""Every command in the README exists, and its arguments parse."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def readme_commands() -> list[str]:
    """The lines of all bash blocks, with continued lines joined and comments left out."""
    blocks = re.findall(r'```bash\n(.*?)```', README, re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith('#')]


class Parsed(BaseException):
    """Stops a script as soon as its arguments have parsed."""


def parse(script: Path | str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, args=None, namespace=None):
        original(self, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)
    monkeypatch.setattr(sys, 'argv', [str(script), *arguments])
    with pytest.raises(Parsed):
        if isinstance(script, Path):
            runpy.run_path(str(script), run_name='__main__')
        else:
            runpy.run_module(script, run_name='__main__')


def check_shell_script(script: Path, arguments: list[str]) -> None:
    """Every option is one that the script's own help names."""
    options = [argument for argument in arguments if argument.startswith('--')]
    if not options:
        return
    usage = subprocess.run(['bash', script, '--help'], capture_output=True, text=True, check=True).stdout
    for option in options:
        assert re.search(rf'{option}\b', usage), f'{script.name} does not know {option}'


def test_the_two_commands_are_there():
    assert {'bash scripts/demo.sh', 'bash scripts/test.sh'} <= set(readme_commands())


@pytest.mark.parametrize('command', readme_commands())
def test_command_exists_and_parses(command, monkeypatch):
    words = shlex.split(command, comments=True)
    monkeypatch.chdir(ROOT)
    for word in words:
        if word.startswith('options/'):
            assert (ROOT / word).is_file(), f'{word} is not shipped'
    if words[0] == 'bash':
        assert (ROOT / words[1]).is_file()
        check_shell_script(ROOT / words[1], words[2:])
    elif words[0] == 'python' and words[1] == '-m':
        parse(words[2], words[3:], monkeypatch)
    elif words[0] == 'python':
        parse(ROOT / words[1], words[2:], monkeypatch)
    elif words[0] == 'basicsr':
        parse('satvsr_plugin', words[1:], monkeypatch)
    elif words[0] in ('torchrun', 'srun'):
        module = words.index('-m')
        parse(words[module + 1], words[module + 2:], monkeypatch)
    else:
        assert words[0] in ('pip', 'git', 'cd', 'source'), f'{words[0]} is not checked here'


@pytest.mark.parametrize('link', sorted(set(re.findall(r'\]\(([^)#]+)\)', README))))
def test_linked_files_exist(link):
    assert link.startswith('https://') or (ROOT / link).exists()


def test_nothing_is_left_to_be_filled_in():
    assert not re.search(r'@[A-Z]{3,}@|\bTBD\b', README)
