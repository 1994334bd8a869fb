"""Clips in folders and in LMDBs: what is found, what is read, and how faults are named."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_clips import MakePairs, lr_frame

from satvsr_plugin.data.clip_source import FrameFormat, natural_order
from satvsr_plugin.data.clips import ClipFolder, ClipLmdb, ClipSource, open_clips
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import DataError


@pytest.fixture
def folder(make_pairs: MakePairs) -> ClipFolder:
    return ClipFolder(make_pairs() / 'LR4x')


@pytest.fixture
def packed(folder: ClipFolder, tmp_path: Path) -> ClipLmdb:
    write_lmdb(folder, tmp_path / 'LR4x.lmdb')
    return ClipLmdb(tmp_path / 'LR4x.lmdb')


def test_natural_order_counts_by_value() -> None:
    names = ['10.png', '9.png', 'a2b10.png', 'a2b9.png', '1.png', 'frame.png', 'frame1.png', '009.png']
    assert natural_order(names) == ['1.png', '009.png', '9.png', '10.png', 'a2b9.png', 'a2b10.png', 'frame.png',
                                    'frame1.png']


@pytest.mark.parametrize('kind', ['folder', 'packed'])
def test_both_kinds_list_and_read_the_same(kind: str, request: pytest.FixtureRequest) -> None:
    source: ClipSource = request.getfixturevalue(kind)
    assert {clip: len(frames) for clip, frames in source.clips.items()} == {'000': 7, '001': 6}
    assert source.clips['001'] == [f'{i:03d}.png' for i in range(6)]
    assert source.format('000') == FrameFormat(height=12, width=16, channels=3, bit_depth=8)
    np.testing.assert_array_equal(source.read('001', '004.png'), lr_frame(1, 4))


def test_folder_orders_numbers_and_ignores_other_files(tmp_path: Path) -> None:
    for name in ('10.png', '9.png', '.hidden.png'):
        write_image(tmp_path / 'clip' / name, lr_frame(0, 0))
    (tmp_path / 'clip' / 'notes.txt').write_text('other')
    (tmp_path / 'clip' / 'sub').mkdir()
    (tmp_path / '.cache').mkdir()
    (tmp_path / 'README.md').write_text('other')
    assert ClipFolder(tmp_path).clips == {'clip': ['9.png', '10.png']}


def test_open_clips_chooses_the_kind(folder: ClipFolder, packed: ClipLmdb) -> None:
    assert isinstance(open_clips(folder.root), ClipFolder)
    assert isinstance(open_clips(packed.root, 'lmdb'), ClipLmdb)
    with pytest.raises(DataError, match='is an LMDB; set io_backend'):
        open_clips(packed.root, 'disk')
    with pytest.raises(DataError, match='no data.mdb in it'):
        open_clips(folder.root, 'lmdb')


def test_folder_without_clips(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no clips in it'):
        ClipFolder(tmp_path)
    with pytest.raises(DataError, match='missing: cannot list this folder: No such file'):
        ClipFolder(tmp_path / 'missing')


def test_frames_beside_the_clips(tmp_path: Path) -> None:
    write_image(tmp_path / '000.png', lr_frame(0, 0))
    with pytest.raises(DataError, match=r'frames lie in this folder itself \(000.png\)'):
        ClipFolder(tmp_path)


def test_empty_clips_are_listed_together(folder: ClipFolder) -> None:
    (folder.root / '002').mkdir()
    (folder.root / '003' / 'GT').mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        ClipFolder(folder.root)
    message = str(caught.value)
    assert '2 problems' in message and 'clip 002: no images in it; add its frames' in message
    assert 'clip 003: no images in it, but folders (GT)' in message


def test_many_problems_are_counted(folder: ClipFolder) -> None:
    for number in range(100, 113):
        (folder.root / str(number)).mkdir()
    with pytest.raises(DataError, match='(?s)13 problems.*clip 109.*and 3 more$'):
        ClipFolder(folder.root)


def test_two_frames_of_one_name(folder: ClipFolder) -> None:
    write_image(folder.root / '000' / '003.tif', lr_frame(0, 3))
    with pytest.raises(DataError, match=r'000/003.tif: a second frame of this name'):
        ClipFolder(folder.root)


@pytest.mark.parametrize(('shape', 'words'), [
    ({'width': 20}, 'is 20x12, 3 channels, 8 bit, but the first frame of the clip is 16x12, 3 channels, 8 bit'),
    ({'channels': 1}, 'is 16x12, 1 channel, 8 bit'),
    ({'dtype': np.uint16}, 'is 16x12, 3 channels, 16 bit'),
])
def test_frame_unlike_its_clip(folder: ClipFolder, shape: dict[str, int], words: str) -> None:
    write_image(folder.root / '001' / '002.png', lr_frame(1, 2, **shape))
    with pytest.raises(DataError, match=f'001/002.png: {words}'):
        folder.read('001', '002.png')


def test_unreadable_frame(folder: ClipFolder) -> None:
    path = folder.root / '001' / '002.png'
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match='001/002.png: not a readable image'):
        folder.read('001', '002.png')
    path.unlink()
    with pytest.raises(DataError, match='001/002.png: cannot read the file: No such file'):
        folder.read('001', '002.png')


@pytest.mark.parametrize('name', ['data.mdb', 'meta_info.txt'])
def test_lmdb_with_a_file_missing(packed: ClipLmdb, name: str) -> None:
    (packed.root / name).unlink()
    with pytest.raises(DataError, match=f'LR4x.lmdb: no {name} in it'):
        ClipLmdb(packed.root)


def test_lmdb_cut_short_is_refused_before_it_is_read(packed: ClipLmdb, tmp_path: Path) -> None:
    damaged = shutil.copytree(packed.root, tmp_path / 'damaged.lmdb')
    os.truncate(damaged / 'data.mdb', 12288)
    with pytest.raises(DataError, match=r'damaged.lmdb: data.mdb is cut short \(12288 of \d+ bytes\)'):
        ClipLmdb(damaged)
    (damaged / 'data.mdb').write_bytes(b'no LMDB' * 1000)
    with pytest.raises(DataError, match='damaged.lmdb: cannot open the LMDB'):
        ClipLmdb(damaged)


def test_lmdb_and_meta_info_that_do_not_fit(packed: ClipLmdb) -> None:
    meta_info = packed.root / 'meta_info.txt'
    lines = meta_info.read_text()
    meta_info.write_text(lines + '002/000.png (12,16,3) 1\n')
    with pytest.raises(DataError, match='meta_info.txt lists 14 frames, but data.mdb holds 13'):
        ClipLmdb(packed.root)
    meta_info.write_text(lines.replace('001/002.png', '001/222.png'))
    with pytest.raises(DataError, match='LR4x.lmdb: 001/222.png: listed in meta_info.txt, but the LMDB has no key'):
        ClipLmdb(packed.root).read('001', '222.png')
    meta_info.write_text(lines.replace('001/002.png', '002.png'))
    with pytest.raises(DataError, match='line 10: .* does not name a frame of a clip'):
        ClipLmdb(packed.root)
    meta_info.write_text('\n')
    with pytest.raises(DataError, match='lists no frames'):
        ClipLmdb(packed.root)


def test_lmdb_value_that_is_no_image(packed: ClipLmdb, tmp_path: Path) -> None:
    import lmdb

    damaged = shutil.copytree(packed.root, tmp_path / 'damaged.lmdb')
    with lmdb.open(str(damaged), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        transaction.put(b'001/002', transaction.get(b'001/002')[:20])
    with pytest.raises(DataError, match='damaged.lmdb: 001/002.png: not a readable image'):
        ClipLmdb(damaged).read('001', '002.png')


def _read_in_worker(source: ClipSource) -> np.ndarray:
    return source.read('001', '004.png')


@pytest.mark.parametrize('method', ['fork', pytest.param('spawn', marks=pytest.mark.slow)])
def test_worker_processes_read_an_lmdb_that_is_open_here(packed: ClipLmdb, method: str) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(_read_in_worker, (packed,)), lr_frame(1, 4))
    np.testing.assert_array_equal(packed.read('001', '004.png'), lr_frame(1, 4))


def test_one_lmdb_serves_two_data_sets(packed: ClipLmdb) -> None:
    twin, copy = ClipLmdb(packed.root), pickle.loads(pickle.dumps(packed))
    for source in (packed, twin, copy):
        np.testing.assert_array_equal(source.read('000', '000.png'), lr_frame(0, 0))
