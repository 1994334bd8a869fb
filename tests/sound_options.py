"""A clip and an option file for it, on which commands are tried."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.image_io import write_image


def write_sound_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """Write a clip of three frames and an option file with ``DATA`` for its folder; go to a folder that is empty."""
    rng = np.random.default_rng(0)
    for folder, size in (('GT', 32), ('LR4x', 8)):
        for frame in range(3):
            picture = rng.integers(0, 256, (size, size, 3), np.uint8)
            write_image(tmp_path / 'data' / folder / '000' / f'{frame:03d}.png', picture)
    path = tmp_path / 'options.yml'
    path.write_text(text.replace('DATA', str(tmp_path / 'data')))
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    monkeypatch.setattr('sys.argv', sys.argv)  # restored after the test: the command sets it
    return path
