"""Sizes in words, and work that a disk cannot hold."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.disk import format_size, free_space, require_space
from satvsr_plugin.errors import DataError

ROOT = Path(__file__).parents[1]


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


@pytest.mark.parametrize(('command', 'size', 'way_out'), [
    # train and test clip, two GT frames of 64x64 and LR of 16x16 each, three bytes a pixel
    (['simulate_clips', '--clips', '1', '--test-clips', '1', '--frames', '2', '--size', '64'],
     2 * 2 * 3 * (64**2 + 16**2), 'For less, use --clips'),
    # three frames of 16x16: LR of 4x4, bicubic and cut GT in full size
    (['degrade_clips', '--input', '../clips', '--bicubic', '--crop', '--processes', '1'], 3 * 3 * (4**2 + 2 * 16**2),
     'frames uncompressed'),
])
def test_scripts_ask_for_room_before_they_begin(command: list[str], size: int, way_out: str, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    for frame in range(3):
        write_image(tmp_path / 'clips' / '000' / f'{frame}.png', np.full((16, 16, 3), frame, np.uint8))
    (tmp_path / 'place').mkdir()
    monkeypatch.chdir(tmp_path / 'place')
    main = runpy.run_path(str(ROOT / 'scripts' / f'{command[0]}.py'))['main']
    free = size - 1
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(10**9, 10**9 - free, free))
    with pytest.raises(DataError, match=rf'{format_size(size)} are needed.*place\. This is an upper bound.*{way_out}'):
        main([*command[1:], '--output', 'out'])
    assert list(tmp_path.joinpath('place').iterdir()) == []
    free = size
    main([*command[1:], '--output', 'out'])
    assert any((tmp_path / 'place' / 'out').rglob('*.png'))


def test_the_real_disk(tmp_path: Path) -> None:
    assert 0 < free_space(tmp_path / 'new') <= shutil.disk_usage(tmp_path).total
    with pytest.raises(DataError, match='1000000.0 TB are needed'):
        require_space(tmp_path / 'x', 10**18)
