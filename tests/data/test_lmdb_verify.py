"""``--verify`` finds every changed byte, and says which frames are missing or left over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_clips import MakePairs, lr_frame

from satvsr_plugin.data.clip_lmdb import ClipLmdb
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lmdb_verify import differences
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import DataError

KINDS = {'png': {}, 'raw': {'encoding': 'raw'}, 'recompressed': {'recompress': True}}


@pytest.fixture(params=KINDS)
def packed(make_pairs: MakePairs, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[ClipFolder, Path]:
    folder = ClipFolder(make_pairs() / 'LR4x')
    write_lmdb(folder, tmp_path / 'X.lmdb', **KINDS[request.param])
    return folder, tmp_path / 'X.lmdb'


@pytest.mark.parametrize('processes', [1, 2])
def test_equal(packed: tuple[ClipFolder, Path], processes: int) -> None:
    assert list(differences(*packed, processes)) == []
    kept_open = ClipLmdb(packed[1])  # as a training set in the same program
    assert list(differences(*packed, processes)) == []
    assert kept_open.read('001', '001.png').shape == (12, 16, 3)


@pytest.mark.parametrize('place', [0.02, 0.5, 0.98])
def test_a_changed_byte_is_found(packed: tuple[ClipFolder, Path], place: float) -> None:
    folder, root = packed
    stored = ClipLmdb(root).read_bytes('001', '002.png')
    content = bytearray((root / 'data.mdb').read_bytes())
    assert content.count(stored) == 1
    content[content.index(stored) + int(place * len(stored))] ^= 1
    (root / 'data.mdb').write_bytes(content)
    found = list(differences(folder, root, 1))
    assert len(found) == 1 and found[0].startswith('001/002: ')


def test_changed_missing_and_additional_frames(packed: tuple[ClipFolder, Path]) -> None:
    folder, root = packed
    write_image(folder.root / '000' / '003.png', lr_frame(9, 9))
    write_image(folder.root / '000' / '004.png', lr_frame(0, 4, height=14))
    (folder.root / '001' / '002.png').unlink()
    shutil.copytree(folder.root / '001', folder.root / '002')
    found = list(differences(ClipFolder(folder.root), root, 2))
    assert [line.split(': ')[0] for line in found] == [
        '001/002', '002/000', '002/001', '002/003', '002/004', '002/005', '000/003', '000/004']
    assert found[0] == f'001/002: in the LMDB, but not in {folder.root}' and found[1] == '002/000: not in the LMDB'


def test_an_lmdb_of_the_toolbox(make_pairs: MakePairs, tmp_path: Path) -> None:
    """It encodes anew, so that its bytes are others: reported, for its source is not what it holds."""
    from basicsr.utils.lmdb_util import make_lmdb_from_imgs

    folder = ClipFolder(make_pairs((3,)) / 'LR4x')
    paths = [f'000/{frame:03d}.png' for frame in range(3)]
    make_lmdb_from_imgs(str(folder.root), str(tmp_path / 'X.lmdb'), paths, [path[:-4] for path in paths],
                        compress_level=9, map_size=2**24)
    assert [line.split(': differs from ')[0] for line in differences(folder, tmp_path / 'X.lmdb', 1)] == [
        '000/000', '000/001', '000/002']


def test_a_wrong_format_of_raw_pixels(make_pairs: MakePairs, tmp_path: Path) -> None:
    folder = ClipFolder(make_pairs((3,)) / 'LR4x')
    write_lmdb(folder, tmp_path / 'X.lmdb', 'raw')
    about = tmp_path / 'X.lmdb' / 'about.json'
    about.write_text(about.read_text().replace('[12, 16,', '[16, 12,'))  # as many samples, turned
    found = list(differences(folder, tmp_path / 'X.lmdb', 1))
    said, is_so = (f'{size}, 3 channels, 8 bit' for size in ('12x16', '16x12'))
    assert found == [f'000: about.json says {said}, but {folder.root}/000 is {is_so}']


def test_no_lmdb(make_pairs: MakePairs, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no data.mdb in it'):
        list(differences(ClipFolder(make_pairs() / 'LR4x'), tmp_path / 'X.lmdb', 1))
