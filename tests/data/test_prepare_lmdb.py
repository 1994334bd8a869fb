"""Making LMDBs: what the toolbox reads of ours, what we read of the toolbox's, what is refused and what it says."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_clips import MakePairs, lr_frame

from satvsr_plugin.data import lmdb_plan
from satvsr_plugin.data.clips import ClipFolder, ClipLmdb
from satvsr_plugin.data.frame_format import FrameFormat
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
    assert summary[:3] == (2, 13, (output / 'data.mdb').stat().st_size)
    assert names(output.parent) == ['GT.lmdb'] and names(output) == ['about.json', 'data.mdb', 'meta_info.txt']
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


@pytest.mark.parametrize('size', [3, 32, 36])  # bytes in the tree itself; just below a page; just above one
def test_the_map_is_large_enough_for_many_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       size: int) -> None:
    first = tmp_path / 'LR' / 'long' / '0000.png'
    write_image(first, lr_frame(0, 0, height=size, width=size))
    for frame in range(1, 1500):
        shutil.copy(first, first.with_name(f'{frame:04d}.png'))
    monkeypatch.setattr(lmdb_plan, 'BATCH_BYTES', 1)
    for encoding in ('png', 'raw'):
        assert write_lmdb(ClipFolder(tmp_path / 'LR'), tmp_path / f'{encoding}.lmdb', encoding).frames == 1500


@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('kind', [{}, {'channels': 1}, {'dtype': np.uint16}, {'channels': 4, 'dtype': np.uint16}])
def test_raw_holds_the_pixels(make_pairs: MakePairs, tmp_path: Path, kind: dict[str, Any], processes: int) -> None:
    write_lmdb(ClipFolder(make_pairs(**kind) / 'LR4x'), tmp_path / 'X.lmdb', 'raw', processes=processes)
    source = ClipLmdb(tmp_path / 'X.lmdb')
    expected = lr_frame(1, 4, **kind)
    assert source.encoding == 'raw' and source.format('001') == FrameFormat.of(expected)
    np.testing.assert_array_equal(source.read('001', '004.png'), expected)
    planes = expected.transpose(2, 0, 1).astype(expected.dtype.newbyteorder('<'))
    assert source.read_bytes('001', '004.png') == planes.tobytes()
    crop = source.crop('001', ['004.png', '002.png', '004.png'], top=3, left=5, height=7, width=2)
    assert crop.dtype == expected.dtype
    np.testing.assert_array_equal(crop, [lr_frame(1, frame, **kind)[3:10, 5:7] for frame in (4, 2, 4)])


def test_recompressed_files_are_small_pngs_of_the_same_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 3), np.uint16)
    pixels[5:9] = 40000
    write_image(tmp_path / 'LR' / 'a' / '0.tif', pixels)
    write_image(tmp_path / 'LR' / 'a' / '1.png', pixels)
    write_lmdb(ClipFolder(tmp_path / 'LR'), tmp_path / 'LR.lmdb', recompress=True)
    source = ClipLmdb(tmp_path / 'LR.lmdb')
    assert source.recompressed and source.clips == {'a': ['0.png', '1.png']}
    for frame, name in (('0.png', '0.tif'), ('1.png', '1.png')):
        stored = source.read_bytes('a', frame)
        assert stored.startswith(b'\x89PNG') and len(stored) < (tmp_path / 'LR' / 'a' / name).stat().st_size
        np.testing.assert_array_equal(source.read('a', frame), pixels)
    with pytest.raises(DataError, match='pixels cannot be recompressed'):
        write_lmdb(ClipFolder(tmp_path / 'LR'), tmp_path / 'raw.lmdb', 'raw', recompress=True)


def test_noise_that_grows_when_recompressed_fits(tmp_path: Path) -> None:
    for frame in range(40):
        write_image(tmp_path / 'LR' / 'a' / f'{frame}.png', lr_frame(0, frame, height=300, width=4, channels=1))
    assert write_lmdb(ClipFolder(tmp_path / 'LR'), tmp_path / 'LR.lmdb', recompress=True).frames == 40


@pytest.mark.parametrize('place', ['000/a b.png', '000/a.b.png', '000/é.png', 'a.b/000.png', 'a b/000.png'])
def test_names_that_the_toolbox_cannot_read(folder: ClipFolder, tmp_path: Path, place: str) -> None:
    write_image(folder.root / place, lr_frame(0, 0))
    with pytest.raises(DataError, match=f'1 problem\n  - {place}: rename it'):
        write_lmdb(ClipFolder(folder.root), tmp_path / 'X.lmdb')
    assert 'X.lmdb' not in names(tmp_path)


@pytest.mark.parametrize('encoding', ['png', 'raw'])
@pytest.mark.parametrize('processes', [1, 2])
def test_all_damaged_images_are_listed(folder: ClipFolder, tmp_path: Path, encoding: str, processes: int) -> None:
    (folder.root / '000' / '002.png').write_bytes(b'')
    write_image(folder.root / '001' / '005.png', lr_frame(1, 5, width=20))
    with pytest.raises(DataError, match='(?s)2 problems.*000/002.png: not a readable.*001/005.png: is 20x12'):
        write_lmdb(folder, tmp_path / 'X.lmdb', encoding, processes=processes)
    assert 'X.lmdb' not in names(tmp_path)
    for place in ('000/002.png', '001/005.png'):
        write_image(folder.root / place, lr_frame(0, 0))
    write_lmdb(ClipFolder(folder.root), tmp_path / 'X.lmdb', encoding)
    assert names(tmp_path) == ['GT', 'LR4x', 'X.lmdb']


@pytest.mark.parametrize(('spoil', 'message'), [
    (lambda gt: shutil.rmtree(gt / '001'), 'clip 001: no GT clip of this name'),
    (lambda gt: (gt / '001' / '003.png').unlink(), '001/003: GT frame missing'),
    (lambda gt: [write_image(path, lr_frame(0, 0)) for path in gt.glob('001/*')],
     'LR is 16x12 and GT 16x12; at scale 4'),
])
def test_clips_that_do_not_fit_those_beside_them(folder: ClipFolder, tmp_path: Path, spoil: Callable[[Path], object],
                                                 message: str) -> None:
    write_lmdb(folder, tmp_path / 'fits.lmdb', paired=True)
    spoil(tmp_path / 'GT')
    for side in ('LR4x', 'GT'):
        with pytest.raises(DataError, match=f'(?s){message}.*--alone'):
            write_lmdb(ClipFolder(tmp_path / side), tmp_path / 'X.lmdb', paired=True)
        write_lmdb(ClipFolder(tmp_path / side), tmp_path / f'{side}-alone.lmdb')


def test_overwrite_replaces_an_lmdb_and_nothing_else(folder: ClipFolder, tmp_path: Path) -> None:
    output = tmp_path / 'X.lmdb'
    write_lmdb(folder, output)
    write_image(folder.root / '000' / '000.png', lr_frame(5, 5))
    write_lmdb(ClipFolder(folder.root), output, overwrite=True)
    np.testing.assert_array_equal(ClipLmdb(output).read('000', '000.png'), lr_frame(5, 5))
    assert names(tmp_path) == ['GT', 'LR4x', 'X.lmdb']
    with pytest.raises(DataError, match='X.lmdb: exists already; add --overwrite'):
        write_lmdb(folder, output)

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


def test_lmdbs_that_do_not_fit_together_are_refused(folder: ClipFolder, tmp_path: Path) -> None:
    root = tmp_path / 'X.lmdb'
    write_lmdb(folder, root, 'raw')
    about = json.loads((root / 'about.json').read_text())
    for spoilt, message in (
        ('{', 'about.json: cannot be used'),
        (json.dumps({**about, 'encoding': 'jpeg2000'}), 'does not say how the frames are stored'),
        (json.dumps({**about, 'formats': {}}), 'name different clips'),
        (json.dumps({**about, 'formats': {'000': ['12', '16', '3', '8']}}), 'the format of clip 000 is none'),
        (json.dumps({**about, 'formats': {'000': [12.0, 16, 3, 8]}}), 'the format of clip 000 is none'),
        ('[' * 200_000, 'about.json: cannot be used'),
    ):
        (root / 'about.json').write_text(spoilt)
        with pytest.raises(DataError, match=message):
            ClipLmdb(root)
    (root / 'about.json').write_text(json.dumps({**about, 'formats': {'000': [99, 16, 3, 8], '001': [12, 16, 3, 8]}}))
    with pytest.raises(DataError, match='X.lmdb: 000/002.png: holds 576 bytes instead of 4752'):
        ClipLmdb(root).crop('000', ['002.png'], 0, 0, 4, 4)


@pytest.mark.parametrize('encoding', ['png', 'raw'])
def test_pipes_and_links_to_nowhere_are_named(folder: ClipFolder, tmp_path: Path, encoding: str) -> None:
    frame = folder.root / '001' / '003.png'
    frame.unlink()
    frame.symlink_to('nowhere')
    with pytest.raises(DataError, match='001/003.png: cannot read the file: No such file'):
        write_lmdb(folder, tmp_path / 'X.lmdb', encoding)
    frame.unlink()
    os.mkfifo(frame)
    with pytest.raises(DataError, match='001/003.png: is not a file'):
        write_lmdb(folder, tmp_path / 'X.lmdb', encoding)
    assert names(tmp_path) == ['GT', 'LR4x']


def run_script(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(SCRIPT), run_name='__main__')
    return left.value.code


def test_script(folder: ClipFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                capsys: pytest.CaptureFixture[str]) -> None:
    files = ('--input', folder.root, '--output', tmp_path / 'X.lmdb')
    assert run_script(monkeypatch, *files, '--encoding', 'raw') == 0
    shown = capsys.readouterr()
    assert 'X.lmdb: 2 clips, 13 frames, 24.6 kB in' in shown.out and '13/13' in shown.err
    assert re.search(r'2 clips, 13 frames, 7.5 kB as raw; the disk needs 1.2 MB, and \d.* are free', shown.err)
    assert run_script(monkeypatch, *files) == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path}/X.lmdb: exists already')

    assert run_script(monkeypatch, *files, '--verify') == 0
    assert capsys.readouterr().out == f'{tmp_path}/X.lmdb: equals {folder.root}\n'
    write_image(folder.root / '001' / '001.png', lr_frame(0, 0))
    assert run_script(monkeypatch, *files, '--verify', '--processes', '1') == 1
    assert re.fullmatch(r'001/001: 5\d\d of 576 samples differ from .*/001/001.png\n.*X.lmdb: 1 differences from .*\n',
                        capsys.readouterr().out)


def test_the_script_needs_no_torch_and_little_memory(folder: ClipFolder, tmp_path: Path) -> None:
    code = ('import re, runpy, sys\n'
            'del sys.argv[0]\n'
            'try: runpy.run_path(sys.argv[0], run_name="__main__")\n'
            'except SystemExit as left: assert not left.code\n'
            'assert not {"torch", "basicsr"} & sys.modules.keys()\n'
            'print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])')
    command = [sys.executable, '-c', code, SCRIPT, '--input', folder.root, '--output', tmp_path / 'X.lmdb']
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(shown.splitlines()[-1]) < 150_000  # kB; torch alone is more
