"""The check of a data set: every fault planted once is named, and nothing else; a clean set is in order."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.dataset_report import Report, check_dataset, explicit_layout, find_layout, render_text
from satvsr_plugin.data.dataset_report.as_json import to_json
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.ops.resize import bicubic_taps

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'check_dataset.py'
CLIPS = ('000', '001', '002')
FRAMES = [f'{index:03d}.png' for index in range(4)]
BOTH = 'GT and LR4x'


def gt_image(clip: int, frame: int, height: int = 32, width: int = 48, channels: int = 3,
             dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng([clip, frame])
    return rng.integers(np.iinfo(dtype).max + 1, size=(height, width, channels), dtype=dtype)


def write_pair(root: Path, place: str, gt: np.ndarray) -> None:
    write_image(root / 'GT' / place, gt)
    write_image(root / 'LR4x' / place, downsample(gt, 4))


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script sets it for its own process, which is this one here."""
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three paired clips of four frames."""
    root = tmp_path / 'set'
    for clip, name in enumerate(CLIPS):
        for index, frame in enumerate(FRAMES):
            write_pair(root, f'{name}/{frame}', gt_image(clip, index))
    return root


def check(root: Path, **options: object) -> Report:
    return check_dataset(find_layout(root), **options)


def found(report: Report) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(finding.kind.code, finding.side, finding.places) for finding in report.findings}


def places(clip: str, *frames: int) -> tuple[str, ...]:
    return tuple(f'{clip}/{FRAMES[frame]}' for frame in frames)


def test_a_clean_set_is_in_order(clean: Path) -> None:
    report = check(clean)
    assert report.in_order and not report.findings and report.scale == 4
    gt, lq = report.sides
    assert (gt.side, gt.clips, gt.frames, gt.shortest, gt.longest, gt.usual_length) == ('GT', 3, 12, 4, 4, 4)
    assert gt.size == sum(path.stat().st_size for path in (clean / 'GT').rglob('*.png'))
    assert [(str(form), clips) for form, clips in lq.formats.items()] == [('12x8, 3 channels, 8 bit', 3)]
    assert report.degradation.making == 'exact' and report.degradation.summary.samples == 12 * 8 * 12 * 3
    text = render_text(report)
    assert 'LR equals our degradation of GT bit for bit (12 pairs)' in text
    assert '3 clips, 12 frames' in text and 'in order (24 frames in' in text


def cut_short(root: Path) -> None:
    path = root / 'GT' / '001' / FRAMES[0]  # the first frame: the others must not be blamed
    path.write_bytes(path.read_bytes()[:-20])


def other_size(root: Path) -> None:
    write_image(root / 'LR4x' / '001' / FRAMES[0], gt_image(9, 9, 8, 8))


def huge_bitmap(path: Path) -> None:
    content = bytearray(cv2.imencode('.bmp', np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    content[18:26] = struct.pack('<ii', 2_000_000, 2_000_000)
    path.write_bytes(content)


def grey_clip(root: Path) -> None:
    for index, frame in enumerate(FRAMES):
        write_pair(root, f'002/{frame}', gt_image(2, index, channels=1))


def deep_clip(root: Path) -> None:
    for index, frame in enumerate(FRAMES):
        write_pair(root, f'002/{frame}', gt_image(2, index, dtype=np.uint16))


def deep_gt(root: Path) -> None:
    for path in (root / 'GT').rglob('*.png'):
        write_image(path, read_image(path).astype(np.uint16))


def half_size(root: Path) -> None:
    for index, frame in enumerate(FRAMES):
        write_image(root / 'LR4x' / '001' / frame, gt_image(7, index, 16, 24))


def shifted(root: Path) -> None:
    first, second = (root / 'LR4x' / '001' / FRAMES[index] for index in (1, 2))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def made_otherwise(root: Path) -> None:
    for frame in FRAMES:
        path = root / 'LR4x' / '001' / frame
        write_image(path, read_image(path) // 2)


def copy_pairs(root: Path, source: str, target: str) -> None:
    for side in ('GT', 'LR4x'):
        (root / side / target).parent.mkdir(exist_ok=True)
        shutil.copy(root / side / source, root / side / target)


def copy_clip(root: Path) -> None:
    for side in ('GT', 'LR4x'):
        shutil.copytree(root / side / '000', root / side / '100')


def rename(root: Path, old: str, new: str, sides: tuple[str, ...] = ('GT', 'LR4x')) -> None:
    for side in sides:
        (root / side / old).rename(root / side / new)


FAULTS: dict[str, tuple[Callable[[Path], object], bool, set]] = {
    'stray frame': (lambda root: shutil.copy(root / 'GT/000/000.png', root / 'GT/a.png'), False,
                    {('stray_frame', 'GT', ('a.png',))}),
    'empty clip': (lambda root: [path.unlink() for path in (root / 'LR4x/001').iterdir()], False,
                   {('empty_clip', 'LR4x', ('001',))}),
    'two of one name': (lambda root: write_image(root / 'GT/001/002.tif', gt_image(5, 5)), False,
                        {('double_name', 'GT', ('001/002.tif',))}),
    'cut short': (cut_short, False, {('damaged', 'GT', places('001', 0))}),
    'empty file': (lambda root: (root / 'LR4x/002/003.png').write_bytes(b''), False,
                   {('damaged', 'LR4x', places('002', 3))}),
    'a link that leads nowhere': (lambda root: [(root / 'GT/002/003.png').unlink(),
                                                (root / 'GT/002/003.png').symlink_to('nowhere')], False,
                                  {('damaged', 'GT', places('002', 3))}),
    'a header that claims two million pixels a side': (
        lambda root: huge_bitmap(root / 'GT/002/003.png'), False, {('damaged', 'GT', places('002', 3))}),
    'first frame of another size': (other_size, False, {('odd_format', 'LR4x', places('001', 0))}),
    'clip of other channels': (grey_clip, False, {('mixed_channels', BOTH, ('002',))}),
    'clip of another depth': (deep_clip, True, {('mixed_depths', BOTH, ('002',))}),
    'GT of another depth': (deep_gt, False, {('unlike_pair', BOTH, (clip,)) for clip in CLIPS}),
    'clip missing': (lambda root: shutil.rmtree(root / 'LR4x' / '002'), False, {('missing_clip', 'LR4x', ('002',))}),
    'frame missing': (lambda root: (root / 'GT/000/001.png').unlink(), False,
                      {('missing_frame', 'GT', ('000/001',))}),
    'wrong size': (half_size, False, {('wrong_size', BOTH, ('001',))}),
    'LR frames exchanged': (shifted, False, {('mispaired', 'LR4x', places('001', frame)) for frame in (1, 2)}),
    'frozen': (lambda root: copy_pairs(root, '001/001.png', '001/002.png'), True,
               {('frozen', BOTH, places('001', 1, 2))}),
    'LR frozen': (lambda root: shutil.copy(root / 'LR4x/001/001.png', root / 'LR4x/001/002.png'), False,
                  {('frozen', 'LR4x', places('001', 1, 2)), ('mispaired', 'LR4x', places('001', 2))}),
    'blank': (lambda root: write_pair(root, '001/002.png', np.full((32, 48, 3), 7, np.uint8)), True,
              {('blank', BOTH, places('001', 2))}),
    'two blanks are no copies': (
        lambda root: [write_pair(root, f'001/00{index}.png', np.zeros((32, 48, 3), np.uint8)) for index in (1, 2)],
        True, {('blank', BOTH, places('001', index)) for index in (1, 2)}),
    'clip twice': (copy_clip, True, {('duplicate_clip', BOTH, ('000', '100'))}),
    'frame in two clips': (lambda root: copy_pairs(root, '000/003.png', '002/001.png'), True,
                           {('repeated', BOTH, ('000/003.png', '002/001.png'))}),
    'frame again later': (lambda root: copy_pairs(root, '000/000.png', '000/003.png'), True,
                          {('repeated', BOTH, places('000', 0, 3))}),
    'gap': (lambda root: rename(root, '001/003.png', '001/004.png'), True, {('gap', BOTH, ('001/004',))}),
    'mixed suffixes': (lambda root: [write_image(root / 'GT/001/001.tif', read_image(root / 'GT/001/001.png')),
                                     (root / 'GT/001/001.png').unlink()], True, {('mixed_suffixes', 'GT', ('001',))}),
    'made otherwise': (made_otherwise, True, {('other_degradation', 'LR4x', ('001',))}),
    'other files': (lambda root: (root / 'GT/001/notes.txt').write_text(''), True,
                    {('ignored', 'GT', ('001/notes.txt',))}),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_is_named_and_nothing_else(clean: Path, fault: str) -> None:
    plant, in_order, expected = FAULTS[fault]
    plant(clean)
    report = check(clean)
    assert found(report) == expected
    assert report.in_order is in_order
    text = render_text(report)
    for finding in report.findings:
        assert f'{finding.kind.severity.value}: {finding.kind.title} (' in text
        assert f'- {finding.side}: {finding.message}' in text
        assert all(place in finding.message for place in finding.places[:1]) or finding.places[0][:3] in finding.message


def test_all_faults_of_different_clips_are_told_at_once(clean: Path) -> None:
    for plant in (cut_short, grey_clip, copy_clip):
        plant(clean)
    (clean / 'GT/000/001.png').unlink()
    report = check(clean, processes=2)
    # GT lacks a frame of clip 000, so that only the LR clips are wholly the same
    repeated = tuple(f'{clip}/{frame}' for frame in (FRAMES[0], *FRAMES[2:]) for clip in ('000', '100'))
    assert [(finding.kind.code, finding.side, finding.places) for finding in report.findings] == [
        ('damaged', 'GT', places('001', 0)), ('mixed_channels', BOTH, ('002',)),
        ('missing_frame', 'GT', ('000/001',)), ('duplicate_clip', 'LR4x', ('000', '100')),
        ('repeated', 'GT', repeated)]
    assert not report.in_order


def test_text_shows_ten_of_a_kind_and_json_all(clean: Path) -> None:
    for path in (clean / 'LR4x').rglob('*.png'):
        path.write_bytes(b'no image')
    report = check(clean)
    lines = render_text(report).splitlines()
    start = lines.index('error: damaged frames (12)')
    assert [line[:20] for line in lines[start + 1:start + 12]] == ['  - LR4x: ' + place[:10] for place in (
        f'{clip}/{frame}' for clip in CLIPS for frame in FRAMES)][:10] + ['  - ... and 2 more (']
    assert len(to_json(report)['findings']) == 12
    assert lines[-1].startswith('NOT in order: 12 errors (24 frames in')


def test_deviation_counted_by_hand(clean: Path) -> None:
    """One sample of a frame 3 higher, off the border: 1 of 12 * 288 samples differs."""
    path = clean / 'LR4x' / '001' / '002.png'
    lq = read_image(path)
    lq[4, 5, 1] = lq[4, 5, 1] + 3 if lq[4, 5, 1] < 200 else lq[4, 5, 1] - 3
    write_image(path, lq)
    degradation = check(clean).degradation
    assert degradation.making == 'otherwise' and list(degradation.clips) == list(CLIPS)
    summary = degradation.summary
    assert (summary.differing, summary.largest, summary.total, summary.samples) == (1, 3, 3, 3456)
    assert summary.mean == 3 / 3456
    assert summary.psnr == pytest.approx(10 * np.log10(255**2 / (9 / 3456)))
    assert degradation.clips['001'].psnr == pytest.approx(10 * np.log10(255**2 / (9 / 1152)))
    assert degradation.clips['000'].psnr == np.inf


def test_16_bit_deviation(tmp_path: Path) -> None:
    gt = gt_image(0, 0, dtype=np.uint16)
    lq = downsample(gt, 4).astype(np.int64)
    write_image(tmp_path / 'GT' / 'a' / '0.png', gt)
    write_image(tmp_path / 'LR4x' / 'a' / '0.png', np.where(lq < 30000, lq + 700, lq - 700).astype(np.uint16))
    summary = check(tmp_path).degradation.summary
    assert (summary.share, summary.largest, summary.mean) == (1, 700, 700)
    assert summary.psnr == pytest.approx(20 * np.log10(65535 / 700))


def mirrored(gt: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic as newer MATLAB makes it, written as two matrix products."""
    def matrix(size: int) -> np.ndarray:
        indices, weights = bicubic_taps(size, size // scale, 1 / scale, mirror=True)
        dense = np.zeros((size // scale, size))
        for row in range(len(indices)):
            np.add.at(dense[row], indices[row], weights[row])
        return dense

    lq = np.einsum('ij,jkc,lk->ilc', matrix(gt.shape[0]), gt.astype(np.float64), matrix(gt.shape[1]))
    return np.clip(np.floor(lq + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_mirrored_borders_are_told_apart(tmp_path: Path, scale: int) -> None:
    for frame in range(2):
        gt = gt_image(0, frame, 36, 48)
        write_image(tmp_path / 'GT' / 'a' / f'{frame}.png', gt)
        write_image(tmp_path / f'LR{scale}x' / 'a' / f'{frame}.png', mirrored(gt, scale))
    report = check(tmp_path)
    assert report.scale == scale and report.degradation.making == 'borders'
    assert 'at the borders only (the 2 outermost pixels' in render_text(report)
    # one frame changed at its centre as well
    path = tmp_path / f'LR{scale}x' / 'a' / '1.png'
    lq = read_image(path)
    lq[lq.shape[0] // 2, lq.shape[1] // 2] ^= 1
    write_image(path, lq)
    assert check(tmp_path).degradation.making == 'otherwise'


def test_the_authors_lr_is_ours(shared_dir: Path) -> None:
    report = check(shared_dir / 'data' / 'jilin1_clip', processes=2)
    assert report.in_order and not report.findings and report.scale == 4
    assert report.degradation.making == 'exact'
    assert report.degradation.summary.samples == 7 * 160 * 160 * 3


@pytest.mark.parametrize('encoding', ['png', 'raw'])
def test_an_lmdb_gives_what_its_folder_gives(clean: Path, encoding: str) -> None:
    copy_pairs(clean, '001/001.png', '001/002.png')
    made_otherwise(clean)
    expected = to_json(check(clean))
    for side in ('GT', 'LR4x'):
        write_lmdb(ClipFolder(clean / side), clean / f'{side}.lmdb', encoding=encoding)
    assert check(clean).unused == ('GT.lmdb', 'LR4x.lmdb')  # the folders go first
    for side in ('GT', 'LR4x'):
        shutil.rmtree(clean / side)
    result = to_json(check(clean, processes=2))
    assert result['sides']['GT']['size'] == sum(path.stat().st_size for path in (clean / 'GT.lmdb').iterdir())
    for report in (expected, result):
        report.pop('seconds')
        for side in report['sides'].values():
            del side['root'], side['size']
    assert result == expected
    assert [finding['kind'] for finding in result['findings']] == ['mispaired', 'frozen', 'other_degradation'][1:]


def test_an_lmdb_that_is_cut_short_is_told(clean: Path) -> None:
    write_lmdb(ClipFolder(clean / 'GT'), clean / 'GT.lmdb')
    shutil.rmtree(clean / 'GT')
    os.truncate(clean / 'GT.lmdb' / 'data.mdb', 8192)
    report = check(clean)
    assert found(report) == {('unreadable', 'GT', ())} and not report.in_order
    assert 'data.mdb is cut short' in report.findings[0].message
    assert report.sides[1].frames == 12  # LR is checked all the same


def test_one_side_alone(clean: Path) -> None:
    """Of formats, copies and names as much is said as of pairs."""
    copy_pairs(clean, '000/003.png', '002/001.png')
    (clean / 'GT' / '001' / '001.png').unlink()
    report = check(clean / 'GT')
    assert found(report) == {('repeated', 'clips', ('000/003.png', '002/001.png')), ('gap', 'clips', ('001/002',))}
    assert [side.side for side in report.sides] == ['clips'] and report.scale is None and report.in_order
    assert (report.sides[0].shortest, report.sides[0].longest, report.sides[0].usual_length) == (3, 4, 4)


@pytest.mark.parametrize(('numbers', 'after'), [
    ([0, 5, 10, 15], []), ([1, 2, 4], ['4']), ([0, 5, 10, 11, 15], ['11', '15']), ([3, 9], []), ([1, 2, 3, 10], ['10']),
])
def test_gaps(tmp_path: Path, numbers: list[int], after: list[str]) -> None:
    for number in numbers:
        write_image(tmp_path / 'a' / f'x{number}.png', gt_image(0, number))
    expected = {('gap', 'clips', tuple(f'a/x{number}' for number in after))} if after else set()
    assert found(check(tmp_path)) == expected


def test_frames_shared_with_another_set(clean: Path, tmp_path: Path) -> None:
    other = tmp_path / 'test set'
    write_pair(other, 'b/000.png', gt_image(77, 0))
    write_pair(other, 'a/000.png', gt_image(1, 2))
    write_pair(other, 'b/001.png', gt_image(1, 3))
    write_pair(other, 'b/002.png', np.zeros((32, 48, 3), np.uint8))
    write_pair(clean, '000/004.png', np.zeros((32, 48, 3), np.uint8))  # blank: not a leak
    report = check(clean, against=[find_layout(other)])
    shared = {('shared', side, places('001', frame)) for side in ('GT', 'LR4x') for frame in (2, 3)}
    assert found(report) == shared | {('blank', BOTH, ('000/004.png',))}
    assert not report.in_order and report.against == [other / 'GT']
    assert f'clip 001: 1 of its 4 frames are in {other}/GT too; e.g. 003.png is b/001.png there' in render_text(report)

    (other / 'GT/b/000.png').write_bytes(b'')
    assert ('damaged', f'{other}/GT', ('b/000.png',)) in found(check(clean, against=[find_layout(other)]))


def test_sample_compares_so_many_pairs_of_a_clip(clean: Path) -> None:
    assert check(clean, sample=2).degradation.summary.frames == 6
    path = clean / 'LR4x' / '001' / FRAMES[-1]  # the last is among them
    write_image(path, 255 - read_image(path))
    assert check(clean, sample=2).degradation.making == 'otherwise'
    path = clean / 'LR4x' / '002' / FRAMES[1]  # all frames are read all the same
    path.write_bytes(b'')
    assert ('damaged', 'LR4x', places('002', 1)) in found(check(clean, sample=1))


def test_the_scale_comes_from_the_sizes(clean: Path, tmp_path: Path) -> None:
    (clean / 'LR4x').rename(tmp_path / 'low')
    report = check_dataset(explicit_layout(clean / 'GT', tmp_path / 'low'))
    assert report.scale == 4 and [side.side for side in report.sides] == ['GT', 'LR'] and not report.findings
    for path in (tmp_path / 'low').rglob('*.png'):
        write_image(path, gt_image(3, 3, 7, 12))
    with pytest.raises(OptionError, match='low: the sizes do not tell .* give --scale'):
        check_dataset(explicit_layout(clean / 'GT', tmp_path / 'low'))
    report = check_dataset(explicit_layout(clean / 'GT', tmp_path / 'low', scale=4))
    assert {kind for kind, _, _ in found(report)} >= {'wrong_size'} and report.degradation is None


def test_input_that_is_no_data_set(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='nothing: there is no such folder'):
        find_layout(tmp_path / 'nothing')
    with pytest.raises(DataError, match='000.png: is a file; give a folder'):
        find_layout(clean / 'GT' / '000' / '000.png')
    with pytest.raises(DataError, match='000: no clips in it; frames lie in this folder itself'):
        check(clean / 'GT' / '000')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='empty: no clips in it; it should hold one folder'):
        check(tmp_path / 'empty')
    with pytest.raises(OptionError, match='set: holds no LR2x, but LR4x; correct --scale'):
        find_layout(clean, scale=2)
    write_image(clean / 'LR2x' / 'a' / '0.png', gt_image(0, 0))
    with pytest.raises(OptionError, match='holds LR2x, LR4x; choose one with --scale'):
        find_layout(clean)
    assert find_layout(clean, scale=2).lq.side == 'LR2x'


def test_folders_that_may_not_be_looked_into(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name in ('001', 'locked'):
            raise PermissionError(13, 'Permission denied')
        return scandir(folder)

    monkeypatch.setattr(os, 'scandir', refuse)
    report = check(clean / 'GT')
    assert found(report) == {('unreadable', 'clips', ('001',))} and not report.in_order
    assert report.findings[0].message == '001: cannot list this folder: Permission denied'
    (clean / 'GT' / 'locked' / 'x').mkdir(parents=True)
    with pytest.raises(DataError, match='locked: cannot list this folder: Permission denied'):
        check_dataset(explicit_layout(clean / 'GT' / 'locked', None))
    with pytest.raises(DataError, match='cannot list this folder: File name too long'):
        find_layout(clean / ('x' * 300))


def test_names_that_are_no_text(clean: Path) -> None:
    clip = os.fsdecode(b'\xff')
    (clean / 'GT' / '001').rename(clean / 'GT' / clip)
    (clean / 'GT' / clip / '000.png').write_bytes(b'')
    report = check(clean / 'GT', processes=2)
    assert found(report) == {('damaged', 'clips', (f'{clip}/000.png',))}
    assert json.loads(json.dumps(to_json(report)))['findings'][0]['places'] == [f'{clip}/000.png']


def test_script(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', [str(SCRIPT), *map(str, arguments), '--processes', '1'])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(SCRIPT), run_name='__main__')
        return left.value.code, *capsys.readouterr()

    code, out, err = run('--input', clean, '--json', tmp_path / 'new' / 'report.json')
    assert code == 0 and 'bit for bit (12 pairs)' in out and '12/12' in err
    assert json.loads((tmp_path / 'new' / 'report.json').read_text())['degradation']['making'] == 'exact'

    (clean / 'GT' / '001' / '001.png').unlink()
    code, out, _ = run('--gt', clean / 'GT', '--lq', clean / 'LR4x')
    assert code == 1
    assert 'error: frames on one side only (1)\n  - GT: 001/001: is in LR4x only\nNOT in order: 1 error (' in out

    assert run('--input', tmp_path / 'nothing')[::2] == (
        2, f'error: {tmp_path}/nothing: there is no such folder; give a folder of clips, an LMDB, or a folder with '
           'GT and LR4x\n')
    for arguments, message in (((), 'give either --input, or'), (('--input', clean, '--gt', clean), 'give either'),
                               (('--input', clean, '--json', clean / 'GT/000/000.png'), 'ends with .json'),
                               (('--input', clean, '--scale', '1'), "'1' is not a whole number from 2")):
        code, out, err = run(*arguments)
        assert code == 2 and not out and message in err
    code, out, err = run('--input', clean, '--json', clean / 'GT/000/000.png/x.json')
    assert code == 2 and 'NOT in order' in out and 'x.json: cannot write the report: ' in err


def test_ctrl_c_ends_it_with_one_word(tmp_path: Path) -> None:
    first = tmp_path / 'a' / '0.png'
    write_image(first, gt_image(0, 0, 640, 640))
    for index in range(1, 1000):  # a quarter of a minute of work
        os.link(first, first.with_name(f'{index}.png'))
    process = subprocess.Popen([sys.executable, SCRIPT, '--input', tmp_path, '--processes', '2'], bufsize=0,
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    shown = b''
    while not re.search(rb' [1-9]\d?%', shown):
        assert process.poll() is None
        shown += process.stderr.read(200)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and not out
    assert err.endswith(b'\ninterrupted\n') and b'Traceback' not in err
