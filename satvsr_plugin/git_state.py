"""Which commit a folder's files are of, asked of git so that a hostile repository cannot run a program.

A repository's own configuration names programs that git starts: a monitor of files, hooks, filters, and what fetches
missing objects. The current folder may be anybody's, e.g. a data set that was unpacked there.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

SECONDS = 20  # a network drive may be slow
_SAFELY = ('-c', 'core.fsmonitor=false', '-c', f'core.hooksPath={os.devnull}', '-c', 'safe.bareRepository=explicit')
# No index is written (a hook is told of that), nothing is fetched, nobody is asked for a password.
_ENVIRONMENT = {'GIT_OPTIONAL_LOCKS': '0', 'GIT_NO_LAZY_FETCH': '1', 'GIT_ALLOW_PROTOCOL': 'none',
                'GIT_TERMINAL_PROMPT': '0', 'LC_ALL': 'C'}
_OF_THE_CALLER = ('GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_OBJECT_DIRECTORY', 'GIT_COMMON_DIR')


def git_state(folder: Path) -> dict[str, Any] | None:
    """The state of the repository that a folder lies in.

    Returns:
        ``commit``, its hash, and ``changed``: whether a file that git follows differs from it, None where that cannot
        be told without starting programs that the repository names. None where there is no repository, no commit, or
        no git.
    """
    commit = _git(folder, 'rev-parse', '--verify', 'HEAD')
    return None if commit is None else {'commit': commit.strip(), 'changed': _is_changed(folder)}


def plugin_state() -> dict[str, Any] | None:
    """:func:`git_state` of this plugin; None where it was installed from a package."""
    project = Path(__file__).resolve().parents[1]
    return git_state(project) if (project / '.git').exists() else None


def _is_changed(folder: Path) -> bool | None:
    # Comparing a file may start the filter that the repository has for it. Filters of the user's own are trusted.
    filters = _git(folder, 'config', '--show-scope', '--name-only', '--get-regexp', r'^filter\.', codes=(0, 1))
    if filters is None or any(not line.startswith(('system', 'global')) for line in filters.splitlines()):
        return None
    status = _git(folder, 'status', '--porcelain', '--untracked-files=no', '--ignore-submodules=all')
    return None if status is None else bool(status.strip())


def _git(folder: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> str | None:
    """What git prints; None where it is missing, fails or takes too long."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_THE_CALLER}
    try:
        done = subprocess.run(['git', '-C', str(folder), *_SAFELY, *arguments], capture_output=True, text=True,
                              errors='replace', timeout=SECONDS, stdin=subprocess.DEVNULL,
                              env={**environment, **_ENVIRONMENT})
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in codes else None
