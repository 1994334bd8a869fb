"""Damaged LMDBs: their text files, and ``data.mdb`` itself, which a process of its own reads: the map may end it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from fuzzing import STRANGE, damaged, fuzz, outcome
from hypothesis import given
from hypothesis import strategies as st

from satvsr_plugin.data.clip_lmdb import ABOUT, META_INFO, ClipLmdb
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.image_io import encode_image, write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import SatVSRError

SIZE = (10, 12, 3)
PAGE = 4096


@pytest.fixture(scope='module')
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two clips of three frames as ``png`` and as ``raw``."""
    folder = tmp_path_factory.mktemp('lmdb')
    for clip in ('000', '001'):
        for frame in range(3):
            image = np.random.default_rng(frame).integers(0, 256, SIZE, np.uint8)
            write_image(folder / 'clips' / clip / f'{frame}.png', image)
    for encoding in ('png', 'raw'):
        write_lmdb(ClipFolder(folder / 'clips'), folder / f'{encoding}.lmdb', encoding, processes=1)
    return {encoding: folder / f'{encoding}.lmdb' for encoding in ('png', 'raw')}


def read_all(root: Path) -> None:
    """Read every frame whole and in part; what is read has the right size, what is not is told in the right way."""
    source = outcome(lambda: ClipLmdb(root), names=root)
    if isinstance(source, SatVSRError):
        return
    for clip, frames in source.clips.items():
        form = outcome(lambda clip=clip: source.format(clip), names=root)
        if isinstance(form, SatVSRError):
            continue
        for frame in frames:
            image = outcome(lambda clip=clip, frame=frame: source.read(clip, frame), names=root)
            assert isinstance(image, SatVSRError) or image.shape == form[:3]
            part = outcome(lambda clip=clip, frame=frame: source.crop(clip, [frame], 0, 0, 1, 1), names=root)
            assert isinstance(part, SatVSRError) or part.shape == (1, 1, 1, form.channels)


class Reader:
    """A process that reads LMDBs; it is started anew after one that ended it."""

    process: subprocess.Popen[str] | None = None

    def read(self, root: Path) -> str:
        """What came of :func:`read_all`: ``done``, the error that it raised, or how it ended the process."""
        if self.process is None:
            command = [sys.executable, '-c', 'import test_fuzz_lmdb; test_fuzz_lmdb.serve()']
            environment = {**os.environ, 'SATVSR_REGISTER': '0', 'PYTHONPATH': os.pathsep.join(sys.path)}
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            cwd=Path(__file__).parent, env=environment)
        assert self.process.stdin and self.process.stdout
        print(root, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip() or f'ended with code {self.close()}'

    def close(self) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.communicate()
        return process.returncode


def serve() -> None:
    """What the process of :class:`Reader` does."""
    for line in sys.stdin:
        try:
            read_all(Path(line.strip()))
            print('done', flush=True)
        except Exception as error:
            traceback.print_exc()
            print(repr(error), flush=True)


@pytest.fixture(scope='module')
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def copy_of(root: Path, name: str) -> Path:
    copy = root.with_name(name)
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(root, copy))


@fuzz(40)
@given(data=st.data())
def test_damaged_data(packed: dict[str, Path], reader: Reader, data: st.DataObject) -> None:
    root = copy_of(packed[data.draw(st.sampled_from(['png', 'raw']))], 'data.lmdb')
    content = (root / 'data.mdb').read_bytes()
    (root / 'data.mdb').write_bytes(data.draw(damaged(content) | st.integers(0, len(content)).map(
        lambda length: content[:length]) | st.binary(max_size=3 * PAGE)))
    assert reader.read(root) == 'done'


@pytest.fixture(scope='module')
def tall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LMDB of 200 frames of one pixel: most of it is its tree."""
    folder = tmp_path_factory.mktemp('tall')
    pixel = encode_image('.png', np.zeros((1, 1, 3), np.uint8), 'pixel')
    (folder / 'clips' / '000').mkdir(parents=True)
    for frame in range(200):
        (folder / 'clips' / '000' / f'{frame}.png').write_bytes(pixel)
    write_lmdb(ClipFolder(folder / 'clips'), folder / 'tall.lmdb', processes=1)
    return folder / 'tall.lmdb'


@fuzz(60)
@given(data=st.data())
def test_damaged_trees(tall: Path, reader: Reader, data: st.DataObject) -> None:
    """LMDB follows whatever its pages say; damage to them ended one process in ten."""
    root = copy_of(tall, 'tree.lmdb')
    content = bytearray((root / 'data.mdb').read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        page = data.draw(st.integers(0, len(content) // PAGE - 1))
        place = page * PAGE + data.draw(st.integers(0, 160) | st.integers(0, PAGE - 8))
        new = data.draw(st.sampled_from([b'\xff\xff', bytes(8), b'\xff' * 8]) | st.binary(min_size=1, max_size=2))
        content[place:place + len(new)] = new
    (root / 'data.mdb').write_bytes(content)
    assert reader.read(root) == 'done'


def test_trees_of_any_height_are_read(tall: Path) -> None:
    source = ClipLmdb(tall)
    assert len(source.clips['000']) == 200
    assert all(source.read('000', frame).shape == (1, 1, 3) for frame in source.clips['000'])


@fuzz(40)
@given(data=st.data())
def test_damaged_text_files(packed: dict[str, Path], data: st.DataObject) -> None:
    root = copy_of(packed[data.draw(st.sampled_from(['png', 'raw']))], 'text.lmdb')
    file = root / data.draw(st.sampled_from([ABOUT, META_INFO]))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    read_all(root)


odd = st.sampled_from([None, True, -1, 0, 1, 3, 10, 12, 2**31, 2**64, 10**30, 1.5, float('nan'), 'png', 'raw', [], {},
                       [10, 12, 3, 8], [1, 1, 1, 16], [2**40, 2**40, 3, 8], [10, 12, 2**62, 8], *STRANGE])


@fuzz(40)
@given(data=st.data())
def test_edited_about(packed: dict[str, Path], data: st.DataObject) -> None:
    root = copy_of(packed['raw'], 'about.lmdb')
    about = json.loads((root / ABOUT).read_text())
    match data.draw(st.integers(0, 3)):
        case 0:
            about[data.draw(st.sampled_from(list(about)))] = data.draw(odd)
        case 1:
            about['formats'][data.draw(st.sampled_from(['000', '001', 'x', '']))] = data.draw(odd)
        case 2:
            about['formats']['000'][data.draw(st.integers(0, 3))] = data.draw(odd)
        case 3:
            about = data.draw(odd)
    (root / ABOUT).write_text(json.dumps(about))
    read_all(root)


LINES = ['', ' ', '000', '000/', '/0.png', '000/0', '000/0.png', '000/9.png (1,1,1) 1', '/etc/passwd', '../000/0.png',
         '000//0.png', '0' * 600 + '/0.png', '\ufeff000/0.png', '000/0.png (10,12,3) 1', *STRANGE]


@fuzz(40)
@given(data=st.data())
def test_edited_list(packed: dict[str, Path], data: st.DataObject) -> None:
    root = copy_of(packed['png'], 'list.lmdb')
    lines = (root / META_INFO).read_text().splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        lines[place] = data.draw(st.sampled_from(LINES))
    (root / META_INFO).write_text('\n'.join(lines), encoding='utf-8', errors='surrogatepass')
    read_all(root)


@pytest.mark.parametrize('missing', ['data.mdb', META_INFO, ABOUT])
@pytest.mark.parametrize('encoding', ['png', 'raw'])
def test_missing_files(packed: dict[str, Path], missing: str, encoding: str) -> None:
    root = copy_of(packed[encoding], 'missing.lmdb')
    (root / missing).unlink()
    read_all(root)
    (root / missing).mkdir()
    read_all(root)


@pytest.mark.parametrize('settings', [{}, {'dupsort': True}, {'max_dbs': 3}, {'integerkey': True}])
def test_foreign_lmdbs(packed: dict[str, Path], reader: Reader, settings: dict[str, Any]) -> None:
    """LMDBs of other programs, with as many entries as the list says."""
    root = copy_of(packed['raw'], 'foreign.lmdb')
    (root / 'data.mdb').unlink()
    named = settings.pop('max_dbs', 0)
    with lmdb.open(str(root), map_size=1 << 20, max_dbs=4) as environment:
        database = environment.open_db(b'other' if named else b'main' if settings else None, **settings)
        with environment.begin(write=True, db=database) as transaction:
            for number in range(6):
                key = number.to_bytes(8, 'little') if 'integerkey' in settings else f'000/{number}'.encode()
                transaction.put(key, b'\0' * 10)
    assert reader.read(root) == 'done'
