"""The state of a repository, asked so that nothing the repository names is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from satvsr_plugin import git_state as module
from satvsr_plugin.git_state import git_state

pytestmark = pytest.mark.skipif(shutil.which('git') is None, reason='needs git')


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    """Git as people use it, without the user's own settings."""
    who = ('-c', 'user.name=nobody', '-c', 'user.email=nobody@nowhere')
    return subprocess.run(['git', '-C', str(folder), *who, *arguments], check=check, capture_output=True, text=True,
                          env={**os.environ, 'GIT_CONFIG_GLOBAL': os.devnull, 'GIT_CONFIG_NOSYSTEM': '1'}).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit with one file."""
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', os.devnull)
    monkeypatch.setenv('GIT_CONFIG_NOSYSTEM', '1')
    folder = tmp_path / 'repository'
    folder.mkdir()
    git(folder, 'init', '-q')
    (folder / 'file.txt').write_text('one\n')
    git(folder, 'add', '.')
    git(folder, 'commit', '-q', '-m', 'first')
    return folder


def test_commit_and_whether_it_is_changed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git(repository, 'rev-parse', 'HEAD').strip()
    assert len(commit) == 40 and git_state(repository) == {'commit': commit, 'changed': False}
    (repository / 'new.txt').write_text('not followed by git\n')
    os.utime(repository / 'file.txt', (1, 1))  # touched, not changed
    (repository / 'inner').mkdir()
    monkeypatch.setenv('GIT_DIR', '/nowhere')  # as hooks of git set it
    assert git_state(repository / 'inner') == {'commit': commit, 'changed': False}
    (repository / 'file.txt').write_text('two\n')
    assert git_state(repository) == {'commit': commit, 'changed': True}


def test_no_repository_no_commit_no_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path))
    (tmp_path / 'empty').mkdir()
    assert git_state(tmp_path / 'empty') is None
    git(tmp_path / 'empty', 'init', '-q')
    assert git_state(tmp_path / 'empty') is None
    monkeypatch.setenv('PATH', str(tmp_path))
    assert git_state(repository) is None


def test_git_that_does_not_answer(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'git').write_text('#!/bin/sh\nexec sleep 60\n')
    (tmp_path / 'git').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    monkeypatch.setattr(module, 'SECONDS', 0.2)
    assert git_state(repository) is None


def arm(repository: Path, how: str, command: str) -> None:
    """Make a repository whose own files have git run a command."""
    settings = {'monitor': 'core.fsmonitor', 'filter': 'filter.x.clean', 'filter of a work tree': 'filter.x.clean'}
    if how.startswith('filter'):
        (repository / '.gitattributes').write_text('* filter=x\n')
    if how == 'filter of a work tree':
        git(repository, 'config', 'extensions.worktreeConfig', 'true')
        git(repository, 'config', '--worktree', settings[how], command)
    elif how == 'filter in a file that is included':
        (repository / '.git' / 'more').write_text(f'[filter "x"]\n\tclean = {command}\n')
        git(repository, 'config', 'include.path', 'more')
    elif how == 'hook':
        (repository / '.git' / 'hooks').mkdir(exist_ok=True)
        shutil.copy(command, repository / '.git' / 'hooks' / 'post-index-change')
    elif how == 'fetching':
        for name, value in {'core.repositoryformatversion': '1', 'extensions.partialClone': 'origin',
                            'remote.origin.promisor': 'true', 'remote.origin.url': str(repository),
                            'remote.origin.uploadpack': command}.items():
            git(repository, 'config', name, value)
        tree = git(repository, 'rev-parse', 'HEAD^{tree}').strip()
        (repository / '.git' / 'objects' / tree[:2] / tree[2:]).unlink()
    else:
        git(repository, 'config', settings[how], command)


@pytest.mark.parametrize('how', ['monitor', 'filter', 'filter of a work tree', 'filter in a file that is included',
                                 'hook', 'fetching'])
def test_a_hostile_repository_runs_nothing(repository: Path, tmp_path: Path, how: str) -> None:
    canary, script = tmp_path / 'canary', tmp_path / 'script.sh'
    script.write_text(f'#!/bin/sh\ntouch {canary}\n')
    script.chmod(0o755)
    commit = git(repository, 'rev-parse', 'HEAD').strip()
    arm(repository, how, str(script))
    os.utime(repository / 'file.txt', (1, 1))  # so that git has a look into it
    state = git_state(repository)
    assert state is not None and state['commit'] == commit
    assert state['changed'] is (False if how in ('monitor', 'hook') else None)
    assert not canary.exists()
    os.utime(repository / 'file.txt', (2, 2))
    git(repository, 'status', check=False)
    assert canary.exists(), 'this repository does nothing'
