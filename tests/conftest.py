"""What all tests share: the material beside the checkout, and the number of threads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

import satvsr_plugin  # noqa: F401  (before any test imports basicsr, which needs the plugin's mends)

PROJECT = Path(__file__).resolve().parents[1]

# A run in the background ignores Ctrl-C, and the programs that tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Small tensors are slower on many threads, and test machines are shared, with other test files where these run at once.
AT_ONCE = 'PYTEST_XDIST_WORKER' in os.environ
torch.set_num_threads(1 if AT_ONCE else min(2, torch.get_num_threads()))  # or what OMP_NUM_THREADS says
if AT_ONCE:
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # of the programs that tests start


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts that run in this process set it, and it must not reach the programs that later tests start."""
    monkeypatch.setenv('SATVSR_REGISTER', '1')


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """The folder with real frames: ``$SATVSR_SHARED``, or ``shared`` beside the checkout."""
    folder = Path(os.environ.get('SATVSR_SHARED', PROJECT.parent / 'shared'))
    if not folder.is_dir():
        pytest.skip('needs ../shared/: real frames beside the checkout (or SATVSR_SHARED=FOLDER)')
    return folder
