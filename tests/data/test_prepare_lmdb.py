"""LMDBs: what the toolbox reads of ours, what we read of the toolbox's, and that failures leave nothing behind."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
from small_clips import MakePairs, lr_frame

from satvsr_plugin.data import lmdb_writer
from satvsr_plugin.data.clips import ClipFolder, ClipLmdb
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import DataError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'prepare_lmdb.py'


@pytest.fixture
def folder(make_pairs: MakePairs) -> ClipFolder:
    return ClipFolder(make_pairs() / 'LR4x')


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_toolboxs_file_client_reads_it(folder: ClipFolder, tmp_path: Path) -> None:
    from basicsr.data.data_util import paths_from_lmdb
    from basicsr.utils import FileClient, imfrombytes

    output = tmp_path / 'new' / 'GT.lmdb'
    summary = write_lmdb(folder, output)
    files = sorted(folder.root.rglob('*.png'))
    assert summary[:3] == (2, 13, sum(path.stat().st_size for path in files))
    assert names(output.parent) == ['GT.lmdb'] and names(output) == ['data.mdb', 'meta_info.txt']
    assert (output / 'meta_info.txt').read_text().splitlines()[8] == '001/001.png (12,16,3) 1'
    assert paths_from_lmdb(str(output))[8] == '001/001'

    client = FileClient('lmdb', db_paths=[str(output)], client_keys=['gt'])
    assert client.get('000/000', 'gt') == (folder.root / '000' / '000.png').read_bytes()
    image = imfrombytes(client.get('001/001', 'gt'), float32=False)
    np.testing.assert_array_equal(image[..., ::-1], lr_frame(1, 1))


def test_an_lmdb_made_by_the_toolbox_is_read(folder: ClipFolder, tmp_path: Path) -> None:
    from basicsr.utils.lmdb_util import make_lmdb_from_imgs

    paths = [f'{clip}/{frame}' for clip, frames in folder.clips.items() for frame in frames]
    output = tmp_path / 'toolbox.lmdb'
    make_lmdb_from_imgs(str(folder.root), str(output), paths, [path[:-4] for path in paths], map_size=2**24)
    source = ClipLmdb(output)
    assert source.clips == folder.clips
    np.testing.assert_array_equal(source.read('001', '001.png'), lr_frame(1, 1))


def test_other_formats_keep_their_bytes(tmp_path: Path) -> None:
    for frame in range(2):
        write_image(tmp_path / 'LR' / 'a' / f'{frame}.tif', lr_frame(0, frame, dtype=np.uint16))
    write_lmdb(ClipFolder(tmp_path / 'LR'), tmp_path / 'LR.lmdb')
    source = ClipLmdb(tmp_path / 'LR.lmdb')
    assert source.clips == {'a': ['0.tif', '1.tif']}
    assert source.read_bytes('a', '1.tif') == (tmp_path / 'LR' / 'a' / '1.tif').read_bytes()
    np.testing.assert_array_equal(source.read('a', '1.tif'), lr_frame(0, 1, dtype=np.uint16))


def test_the_map_is_large_enough_for_many_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tmp_path / 'LR' / 'long' / '0000.png'
    write_image(first, lr_frame(0, 0, height=32, width=32))  # 3 kB: a page of its own
    for frame in range(1, 1500):
        shutil.copy(first, first.with_name(f'{frame:04d}.png'))
    monkeypatch.setattr(lmdb_writer, 'BATCH', 1)
    assert write_lmdb(ClipFolder(tmp_path / 'LR'), tmp_path / 'LR.lmdb').frames == 1500


@pytest.mark.parametrize('place', ['000/a b.png', '000/a.b.png', '000/é.png', 'a.b/000.png', 'a b/000.png'])
def test_names_that_the_toolbox_cannot_read(folder: ClipFolder, tmp_path: Path, place: str) -> None:
    write_image(folder.root / place, lr_frame(0, 0))
    with pytest.raises(DataError, match=f'1 problem\n  - {place}: rename it'):
        write_lmdb(ClipFolder(folder.root), tmp_path / 'X.lmdb')
    assert 'X.lmdb' not in names(tmp_path)


def test_damaged_images_are_listed_and_nothing_stays(folder: ClipFolder, tmp_path: Path) -> None:
    (folder.root / '000' / '002.png').write_bytes(b'')
    write_image(folder.root / '001' / '005.png', lr_frame(1, 5, width=20))
    before = names(tmp_path)
    with pytest.raises(DataError, match='(?s)2 problems.*000/002.png: not a readable.*001/005.png: is 20x12'):
        write_lmdb(folder, tmp_path / 'X.lmdb')
    assert names(tmp_path) == before


def test_a_failure_leaves_the_old_lmdb_as_it_was(folder: ClipFolder, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / 'X.lmdb'
    write_lmdb(folder, output)
    before, content = names(tmp_path), (output / 'data.mdb').read_bytes()
    with pytest.raises(DataError, match='X.lmdb: exists already; add --overwrite'):
        write_lmdb(folder, output)

    def full_disk(*_: object) -> int:
        raise lmdb.DiskError('no space left on device')

    monkeypatch.setattr(lmdb_writer, '_write_frames', full_disk)
    with pytest.raises(DataError, match='cannot write the LMDB: no space left'):
        write_lmdb(folder, output, overwrite=True)
    monkeypatch.undo()

    rename = os.replace
    monkeypatch.setattr(os, 'replace', lambda old, new: rename(old, new) if '.partial-' not in str(old) else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_lmdb(folder, output, overwrite=True)
    assert names(tmp_path) == before and (output / 'data.mdb').read_bytes() == content


def test_overwrite_replaces_an_lmdb_and_nothing_else(folder: ClipFolder, tmp_path: Path) -> None:
    output = tmp_path / 'X.lmdb'
    write_lmdb(folder, output)
    write_image(folder.root / '000' / '000.png', lr_frame(5, 5))
    write_lmdb(ClipFolder(folder.root), output, overwrite=True)
    np.testing.assert_array_equal(ClipLmdb(output).read('000', '000.png'), lr_frame(5, 5))
    assert names(tmp_path) == ['GT', 'LR4x', 'X.lmdb']

    (tmp_path / 'other.lmdb').mkdir()
    with pytest.raises(DataError, match='is not an LMDB, so it is not overwritten'):
        write_lmdb(folder, tmp_path / 'other.lmdb', overwrite=True)


def test_outputs_that_are_not_allowed(folder: ClipFolder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'ends with .lmdb'):
        write_lmdb(folder, tmp_path / 'GT')
    with pytest.raises(DataError, match='lies in the folder of the clips'):
        write_lmdb(folder, folder.root / 'GT.lmdb')
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot write the LMDB: .*file'):
        write_lmdb(folder, tmp_path / 'file' / 'GT.lmdb')


def test_script(folder: ClipFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(SCRIPT), run_name='__main__')
        return left.value.code

    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), '--input', str(folder.root), '--output', str(tmp_path / 'X.lmdb')])
    assert run() == 0
    shown = capsys.readouterr()
    assert 'X.lmdb: 2 clips, 13 frames, 0.0 MB in' in shown.out and '13/13' in shown.err
    assert run() == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path}/X.lmdb: exists already')
