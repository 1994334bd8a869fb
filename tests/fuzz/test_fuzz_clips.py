"""Folders of clips as they come, lists of their frames, and the check of a data set on both."""

from __future__ import annotations

import os
import random
import runpy
import shutil
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import STRANGE, damaged, exit_code, fuzz, outcome
from hypothesis import given
from hypothesis import strategies as st

from satvsr_plugin.data import Jilin189Dataset, Jilin189RecurrentDataset, Jilin189TestDataset
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.image_io import encode_image
from satvsr_plugin.data.pairs import read_frame_list
from satvsr_plugin.errors import SatVSRError, run_main

SCRIPTS = Path(__file__).resolve().parents[2] / 'scripts'
LR = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
PICTURES = {
    'LR': encode_image('.png', LR, 'LR'),
    'GT': encode_image('.png', LR.repeat(4, 0).repeat(4, 1), 'GT'),
    'wide': encode_image('.png', LR.repeat(2, 1), 'wide'),
    'grey': encode_image('.png', LR[..., :1], 'grey'),
    'alpha': encode_image('.png', np.dstack([LR, LR[..., :1]]), 'alpha'),
    'deep': encode_image('.png', LR.astype(np.uint16), 'deep'),
    'jpg': encode_image('.jpg', LR, 'jpg'),
    'dot': encode_image('.png', LR[:1, :1], 'dot'),
    'empty': b'',
    'text': b'<html>not found</html>',
}
NAMES = ['0', '00', '1', '10', '-1', '1e3', 'ü', '²', '\u0663', 'a b', ' ', '%s', '{}', '*', '.hidden', '~', 'a\nb',
         '\x1b[31m', os.fsdecode(b'\xff'), 'x' * 200, '9' * 60, 'CON', 'GT', 'LR4x', 'data.mdb']
SUFFIXES = ['.png', '.PNG', '.jpg', '.tif', '.bmp', '.txt', '.png.part', '', '.']


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('trees')


def sound_tree(root: Path) -> Path:
    """GT and LR4x of two clips of three frames."""
    shutil.rmtree(root, ignore_errors=True)
    for side, kind in (('GT', 'GT'), ('LR4x', 'LR')):
        for clip in ('000', '001'):
            folder = root / side / clip
            folder.mkdir(parents=True)
            for frame in range(3):
                (folder / f'{frame}.png').write_bytes(PICTURES[kind])
    return root


@st.composite
def spoiled_tree(draw: st.DrawFn, root: Path) -> Path:
    """The sound tree after one to four accidents."""
    sound_tree(root)
    for _ in range(draw(st.integers(1, 4))):
        folders = sorted(path for path in root.rglob('*') if path.is_dir() and not path.is_symlink())
        files = sorted(path for path in root.rglob('*') if path.is_file())
        folder = draw(st.sampled_from(folders or [root]))
        file = draw(st.sampled_from(files or [root / 'none']))
        name = draw(st.sampled_from(NAMES)) + draw(st.sampled_from(SUFFIXES))
        new = folder / name
        match draw(st.sampled_from(['delete', 'remove', 'replace', 'new', 'folder', 'link', 'pipe', 'rename', 'copy'])):
            case 'delete':
                file.unlink(missing_ok=True)
            case 'remove':
                shutil.rmtree(folder)
                root.mkdir(exist_ok=True)
            case 'replace' if files:
                file.write_bytes(PICTURES[draw(st.sampled_from(sorted(PICTURES)))])
            case 'new' if not os.path.lexists(new):
                new.write_bytes(PICTURES[draw(st.sampled_from(sorted(PICTURES)))])
            case 'folder' if not os.path.lexists(new):
                new.mkdir()
            case 'link' if not os.path.lexists(new):
                new.symlink_to(draw(st.sampled_from([new, new.parent, root, '/nowhere', file, '.', '..', '/dev/zero'])))
            case 'pipe' if not os.path.lexists(new):
                os.mkfifo(new)
            case 'rename':
                old = draw(st.sampled_from([folder, file]))
                if os.path.lexists(old) and not os.path.lexists(old.with_name(name)):
                    old.rename(old.with_name(name))
                    root.mkdir(exist_ok=True)
            case 'copy' if not os.path.lexists(new) and files:
                shutil.copy(file, new)
    return root


def data_sets(root: Path, **more: object) -> list[Callable[[], torch.utils.data.Dataset]]:
    base = {'name': 'fuzz', 'scale': 4, 'num_frame': 3, 'dataroot': str(root), **more}
    return [lambda: Jilin189Dataset({**base, 'type': 'Jilin189Dataset', 'phase': 'train', 'gt_size': 16}),
            lambda: Jilin189RecurrentDataset({**base, 'type': 'Jilin189RecurrentDataset', 'phase': 'train',
                                              'gt_size': 16, 'num_frame': 2}),
            lambda: Jilin189TestDataset({**base, 'type': 'Jilin189TestDataset', 'phase': 'val'})]


def read_all(build: Callable[[], torch.utils.data.Dataset]) -> None:
    """Every item is sound or told in the right way."""
    random.seed(0)
    dataset = outcome(build)
    for index in range(0 if isinstance(dataset, SatVSRError) else len(dataset)):
        item = outcome(lambda index=index: dataset[index])
        if not isinstance(item, SatVSRError):
            assert item['lq'].ndim == 4 and item['lq'].isfinite().all()
            assert 'gt' not in item or item['gt'].shape[-1] == 4 * item['lq'].shape[-1]


@fuzz(40)
@given(data=st.data())
def test_data_sets_on_spoiled_trees(place: Path, data: st.DataObject) -> None:
    root = data.draw(spoiled_tree(place / 'tree'))
    for build in data_sets(root):
        read_all(build)


def run(script: str, *arguments: object) -> int:
    main = runpy.run_path(str(SCRIPTS / script))['main']
    sys.stderr.reconfigure(errors='backslashreplace')  # as that of a program
    return exit_code(lambda: run_main(lambda: main([str(argument) for argument in arguments])))


@fuzz(25)
@given(data=st.data())
def test_check_dataset_on_spoiled_trees(place: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject) -> None:
    root = data.draw(spoiled_tree(place / 'check'))
    arguments = data.draw(st.sampled_from([['--input', root], ['--input', root / 'GT'],
                                           ['--gt', root / 'GT', '--lq', root / 'LR4x']]))
    report = place / 'report.json'
    report.unlink(missing_ok=True)
    code = run('check_dataset.py', *arguments, '--processes', '1', '--json', report)
    printed = capsys.readouterr()
    assert 'Traceback' not in printed.err
    assert report.exists() == (code != 2)
    assert ('error: ' in printed.err) == (code == 2) and ('NOT in order' in printed.out) == (code == 1)


@fuzz(15)
@given(data=st.data())
def test_prepare_lmdb_on_spoiled_trees(place: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject) -> None:
    """An LMDB that is whole, or none."""
    root = data.draw(spoiled_tree(place / 'pack'))
    encoding = data.draw(st.sampled_from(['png', 'raw']))
    output = place / 'out.lmdb'
    shutil.rmtree(output, ignore_errors=True)
    code = run('prepare_lmdb.py', '--input', root / 'LR4x', '--output', output, '--encoding', encoding,
               '--processes', '1')
    assert code in (0, 2) and output.exists() == (code == 0)
    assert 'Traceback' not in capsys.readouterr().err
    if code == 0:
        assert run('prepare_lmdb.py', '--input', root / 'LR4x', '--output', output, '--verify', '--processes', '1') == 0


GOOD = ['000/0.png', '000/1', ' 000/2.tif ', '001', '']
LINES = [*GOOD, '000', '001/2', '002', '000/', '/', '/0.png', '000//0.png', '../000/0.png',
         '000/0.png (8,12,3) 1', '#', '0\x00', '\ufeff', '\u2028', *STRANGE]


@fuzz(60)
@given(data=st.data())
def test_lists_of_frames(place: Path, data: st.DataObject) -> None:
    """Each name that is accepted stands in the list, and each frame is chosen once."""
    root = place / 'listed'
    if not root.exists():
        sound_tree(root)
    file = place / 'frames.txt'
    lines = data.draw(st.lists(st.sampled_from(GOOD), max_size=5, unique=True) | st.lists(
        st.sampled_from(LINES) | st.text(max_size=8), max_size=5))
    end = data.draw(st.sampled_from(['\n', '\r\n', '\r']))
    content = end.join(lines).encode('utf-8', 'surrogatepass')
    file.write_bytes(data.draw(st.just(content) | damaged(content or b'000')))
    source = ClipFolder(root / 'LR4x')
    chosen = outcome(lambda: read_frame_list(file, source), names=file)
    if not isinstance(chosen, SatVSRError):
        assert chosen and set(chosen) <= {'000', '001'}
        for clip, indices in chosen.items():
            assert clip in file.read_text('utf-8-sig') and set(indices) <= {0, 1, 2} and indices
            assert all(before < after for before, after in pairwise(indices))
    for build in data_sets(root, meta_info_file=str(file))[2:]:
        read_all(build)


@pytest.mark.parametrize('key', ['dataroot', 'meta_info_file', 'flow_root'])
@pytest.mark.parametrize('value', STRANGE)
def test_strange_paths(place: Path, key: str, value: str) -> None:
    root = sound_tree(place / 'strange')
    for build in data_sets(root, **{key: value})[::2]:
        read_all(build)
