"""Sizes in words, and work that a disk cannot hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from satvsr_plugin.disk import format_size, free_space, require_space
from satvsr_plugin.errors import DataError


@pytest.mark.parametrize(('size', 'text'), [
    (0, '0 bytes'), (999, '999 bytes'), (1000, '1.0 kB'), (1234, '1.2 kB'), (999_949, '999.9 kB'),
    (999_951, '1.0 MB'), (10**6, '1.0 MB'), (10**9, '1.0 GB'), (12_345_678_901, '12.3 GB'), (10**12, '1.0 TB'),
    (10**15, '1000.0 TB'), (999.7, '1.0 kB'),
])
def test_format_size(size: float, text: str) -> None:
    assert format_size(size) == text


def test_free_space_of_what_does_not_exist_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def usage(place: Path) -> object:
        asked.append(Path(place))
        return shutil._ntuple_diskusage(100, 60, 40)

    monkeypatch.setattr(shutil, 'disk_usage', usage)
    monkeypatch.chdir(tmp_path)
    assert free_space(Path('new/folder/file.lmdb')) == 40
    assert free_space(tmp_path) == 40
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    assert free_space(tmp_path / 'link' / 'x') == 40
    assert asked == [tmp_path] * 3


def test_require_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(10**10, 9 * 10**9, 10**9))
    require_space(tmp_path / 'x.lmdb', 10**9)
    with pytest.raises(DataError, match=r'x.lmdb: 1.5 GB are needed, but only 1.0 GB are free on its disk; make room'):
        require_space(tmp_path / 'x.lmdb', 15 * 10**8)


def test_the_real_disk(tmp_path: Path) -> None:
    assert 0 < free_space(tmp_path / 'new') <= shutil.disk_usage(tmp_path).total
    with pytest.raises(DataError, match='1000000.0 TB are needed'):
        require_space(tmp_path / 'x', 10**18)
