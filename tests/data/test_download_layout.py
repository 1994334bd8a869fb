"""The check of an unpacked release: where it is found, what is told of it, and that the data sets find it there too."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_clips import MakePairs, eval_set, train_set

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.layout_check import check_layout
from satvsr_plugin.errors import DataError


def make_release(root: Path, folders: dict[str, int], gt: int = 640, lr: int = 160, frames: int = 100) -> None:
    """A release whose clips are all one: folder -> number of clips, each with ``GT`` and ``LR4x``."""
    for side, size in (('GT', gt), ('LR4x', lr)):
        first = root / f'.{side}' / '000.png'
        write_image(first, np.zeros((size, size, 3), np.uint8))
        for frame in range(1, frames):
            first.with_name(f'{frame:03d}.png').hardlink_to(first)
        for folder, clips in folders.items():
            (root / folder / side).mkdir(parents=True)
            for clip in range(clips):
                (root / folder / side / f'{clip:03d}').symlink_to(first.parent)


def problems_of(folder: Path) -> list[str]:
    report = check_layout(folder)
    return [*(problem for part in report.parts for problem in part.problems), *report.problems]




LAYOUTS = [('train', 'eval'), ('training_set', 'test_set'), ('trainset/train', 'testset/eval'),
           ('trainset/training_set', 'testset/test_set')]


@pytest.mark.parametrize('parent', ['', 'Jilin-189', 'a/b'])
@pytest.mark.parametrize(('train', 'test'), LAYOUTS)
def test_the_release_is_found_in_all_its_layouts(tmp_path: Path, make_pairs: MakePairs, train: str, test: str,
                                                 parent: str) -> None:
    top = tmp_path / 'data'
    for folder in (train, test):
        make_pairs((7, 6), folder=f'data/{parent}/{folder}')
    report = check_layout(top)
    assert [(part.kind, part.root) for part in report.parts] == [
        (kind, top / parent / folder) for folder, kind in sorted([(train, 'train'), (test, 'test')])]
    assert report.dataroots == {'train': top / parent, 'test': top / parent}

    dataroot = yaml.safe_load(str(report).split('for the option file:\n')[1])['dataroot']
    assert len(train_set(Path(dataroot))) == 13 and len(eval_set(Path(dataroot))) == 13
    assert train_set(Path(dataroot)).pairs.lq.root == top / parent / train / 'LR4x'
    assert eval_set(Path(dataroot)).pairs.lq.root == top / parent / test / 'LR4x'


def test_parts_in_unknown_folders_have_roots_of_their_own(make_pairs: MakePairs, tmp_path: Path) -> None:
    """As when each archive holds GT and LR4x only and is unpacked to a folder of its name."""
    for folder in ('data/Jilin_train', 'data/Jilin_test'):
        make_pairs((7,), folder=folder)
    report = check_layout(tmp_path / 'data')
    assert report.dataroots == {'test': tmp_path / 'data/Jilin_test', 'train': tmp_path / 'data/Jilin_train'}
    assert f'for the option file, train data:\n  dataroot: {tmp_path}/data/Jilin_train' in str(report)
    for kind, root in report.dataroots.items():
        assert len(train_set(root) if kind == 'train' else eval_set(root)) == 7


def test_names_that_yaml_would_misread_are_quoted(make_pairs: MakePairs, tmp_path: Path) -> None:
    make_pairs((1,), folder='a: #1/clips')
    line = str(check_layout(tmp_path / 'a: #1/clips')).splitlines()[-1]
    assert yaml.safe_load(line) == {'dataroot': str(tmp_path / 'a: #1/clips')}


@pytest.mark.parametrize('test_clips', [10, 12])
def test_the_release_as_published_is_in_order(tmp_path: Path, test_clips: int) -> None:
    make_release(tmp_path, {'training_set': 189, 'test_set': test_clips})
    report = check_layout(tmp_path)
    assert report.in_order
    assert str(report) == f"""\
test: {tmp_path}/test_set
  GT: {test_clips} clips of 100 frames, 640x640, 3 channels, 8 bit
  LR4x: {test_clips} clips of 100 frames, 160x160, 3 channels, 8 bit
  GT is 4 times as large as LR4x
train: {tmp_path}/training_set
  GT: 189 clips of 100 frames, 640x640, 3 channels, 8 bit
  LR4x: 189 clips of 100 frames, 160x160, 3 channels, 8 bit
  GT is 4 times as large as LR4x
all in order
for the option file:
  dataroot: {tmp_path}"""


def test_what_differs_from_the_release(tmp_path: Path) -> None:
    make_release(tmp_path, {'train': 188, 'eval': 13}, gt=320, lr=80, frames=99)
    some = '000, 001, 002, 003, 004'
    assert problems_of(tmp_path) == [problem for count, expected in ((13, '10 to 12'), (188, '189'))
                                     for side, size in (('GT', 640), ('LR4x', 160)) for problem in (
        f'{side}: {count} clips instead of {expected}',
        f'{side}: not 100 frames in clip {some} and {count - 5} more',
        f'{side}: not {size}x{size}, 3 channels, 8 bit in clip {some} and {count - 5} more')]


def test_a_missing_part_is_told(make_pairs: MakePairs, tmp_path: Path) -> None:
    make_pairs((7,), folder='train')
    assert problems_of(tmp_path)[-1] == f'{tmp_path}: no test clips in it'
    make_pairs((7,), folder='again/train')
    assert 'more than one folder with train clips; keep one' in problems_of(tmp_path)


def test_nothing_is_told_as_such(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == [f'{tmp_path}: no folder GT or LR4x in it; is everything unpacked?']
    with pytest.raises(DataError, match='there is no such folder'):
        check_layout(tmp_path / 'nowhere')


def test_clips_of_ones_own_are_in_order(make_pairs: MakePairs) -> None:
    report = check_layout(make_pairs((7, 6), folder='mine'))
    assert report.in_order
    assert report.parts[0].facts == ['GT: 2 clips of 6 to 7 frames, 64x48, 3 channels, 8 bit',
                                     'LR4x: 2 clips of 6 to 7 frames, 16x12, 3 channels, 8 bit',
                                     'GT is 4 times as large as LR4x']


def test_what_one_side_lacks(make_pairs: MakePairs) -> None:
    root = make_pairs((7, 6, 2), folder='mine')
    shutil.rmtree(root / 'LR4x' / '002')
    (root / 'GT' / '000' / '003.png').unlink()
    (root / 'LR4x' / '001' / '000.png').unlink()
    (root / 'LR4x' / '001' / '005.png').unlink()
    assert problems_of(root) == ['GT, clip 000: lacks frame 003.png', 'LR4x lacks clip 002',
                                 'LR4x, clip 001: lacks frames 000.png, 005.png']
    shutil.rmtree(root / 'GT')
    assert problems_of(root) == [f'{root}: there is no GT']
    (root / 'LR4x').rename(root / 'LR2x')
    assert problems_of(root) == [f'{root}: there is no GT', f'{root}: there is no LR4x']


def test_sizes_that_do_not_fit(make_pairs: MakePairs) -> None:
    root = make_pairs((2, 2, 2), folder='mine')
    write_image(root / 'GT' / '001' / '000.png', np.zeros((48, 48, 3), np.uint8))
    assert problems_of(root) == ['sizes do not fit the scale 4: GT is 48x48, 3 channels, 8 bit, LR4x is 16x12, '
                                 '3 channels, 8 bit (clip 001)']


def test_what_cannot_be_read(make_pairs: MakePairs) -> None:
    root = make_pairs((2, 2), folder='mine')
    (root / 'GT' / '001' / '000.png').write_bytes(b'')
    assert problems_of(root) == [f'{root}/GT: 001/000.png: not a readable image (empty, cut short or damaged); '
                                 'restore the file']
    (root / 'LR4x' / '002').mkdir()
    assert any('clip 002: no images in it' in problem for problem in problems_of(root))


def test_real_frames(shared_dir: Path) -> None:
    report = check_layout(shared_dir / 'data' / 'jilin1_clip')
    assert report.in_order and report.parts[0].facts[0] == 'GT: 1 clip of 7 frames, 640x640, 3 channels, 8 bit'
