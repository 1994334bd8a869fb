"""Data that go away while a data set is read: what is waited for, how long, and what is told."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_clips import MakePairs, eval_set, gt_of, lr_frame, places_of, to_float, train_set
from torch.utils.data import DataLoader

from satvsr_plugin.data import clip_lmdb, retry
from satvsr_plugin.data.clips import ClipFolder, ClipLmdb
from satvsr_plugin.data.flow_writer import write_flows
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.data.retry import Retry
from satvsr_plugin.errors import DataError, OptionError

LMDB = {'io_backend': {'type': 'lmdb'}}


@pytest.fixture
def root(make_pairs: MakePairs) -> Path:
    return make_pairs(folder='drive')


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, 'FIRST_PAUSE', 0.05)


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(seconds: float) -> None:
        pytest.fail(f'waits {seconds} s')

    monkeypatch.setattr(retry, 'time', SimpleNamespace(sleep=refuse, monotonic=time.monotonic))


@contextmanager
def away(root: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """A folder that another thread brings back as soon as somebody is ``waiting`` for it."""
    hidden = root.with_name(f'{root.name}_away')

    def bring_back() -> None:
        end = time.monotonic() + 60
        while not waiting() and time.monotonic() < end:
            threading.Event().wait(0.02)
        hidden.rename(root)

    root.rename(hidden)
    thread = threading.Thread(target=bring_back)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def pack(root: Path, encoding: str) -> Path:
    for side in ('GT', 'LR4x'):
        write_lmdb(ClipFolder(root / side), root / f'{side}.lmdb', encoding)
    return root


def is_right(item: dict, clip: int, frame: int) -> bool:
    """Whether a test item of one frame is this one."""
    return torch.equal(item['lq'][0], to_float(lr_frame(clip, frame)))


@pytest.mark.usefixtures('_short_pauses')
def test_a_folder_that_comes_back(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = eval_set(root, num_frame=1)
    assert is_right(data[0], 0, 0)
    with away(root, lambda: caplog.messages):
        assert is_right(data[12], 1, 5)
    first, last = caplog.messages
    assert first == (f'{root}/LR4x: 001/005.png: cannot read the file: No such file or directory. '
                     'Waiting up to 120 s for the data to come back.')
    assert re.fullmatch(rf'{root}/LR4x: 001/005.png: the data are back after \d s\.', last)
    assert {record.name for record in caplog.records} == {'basicsr'}


@pytest.mark.usefixtures('_short_pauses')
def test_training_patches_of_a_folder_that_comes_back(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = train_set(root, num_frame=1, use_flip=False)
    with away(root, lambda: caplog.messages):
        sample = data[12]
    assert len(places_of(sample['lq'][0], 1, 5)) == 1
    assert torch.equal(sample['gt'], gt_of(sample['lq'][0]))
    assert len(caplog.messages) == 2


@pytest.mark.usefixtures('_short_pauses')
@pytest.mark.parametrize('kind', ['folder', 'png', 'raw'])
def test_a_worker_waits(root: Path, tmp_path: Path, kind: str) -> None:
    """An LMDB goes away before the worker opens it; who has it open may read on."""
    data = eval_set(root, num_frame=1) if kind == 'folder' else eval_set(pack(root, kind), num_frame=1, **LMDB)
    handler = logging.FileHandler(tmp_path / 'log')  # workers inherit it
    logging.getLogger('basicsr').addHandler(handler)
    try:
        loader = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context='fork')
        with away(root, (tmp_path / 'log').read_text):
            items = list(loader)
    finally:
        logging.getLogger('basicsr').removeHandler(handler)
        handler.close()
    places = [(0, frame) for frame in range(7)] + [(1, frame) for frame in range(6)]
    assert all(is_right(item, *place) for item, place in zip(items, places, strict=True))
    assert [line.count('Waiting') for line in (tmp_path / 'log').read_text().splitlines()] == [1, 0]


@pytest.mark.usefixtures('_short_pauses')
@pytest.mark.parametrize('kind', ['folder', 'raw'])
@pytest.mark.parametrize('workers', [0, 1])
def test_what_never_comes_back(root: Path, kind: str, workers: int) -> None:
    options = {'num_frame': 1, 'retry_seconds': 0.3}
    data = eval_set(root, **options) if kind == 'folder' else eval_set(pack(root, kind), **options, **LMDB)
    if kind == 'raw':  # as in a worker that starts anew
        data.pairs.lq._opened = None
    root.rename(root.with_name('gone'))
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        next(iter(DataLoader(data, batch_size=None, num_workers=workers)))
    assert 0.3 <= time.monotonic() - start < 10
    lr, what = ('LR4x', 'read the file') if kind == 'folder' else ('LR4x.lmdb', 'open the LMDB')
    assert (f'{root}/{lr}: 000/000.png: cannot {what}: No such file or directory; waited 0.3 s for it to come back. '
            'Restore it (is the drive connected?) and start again, a training with --auto_resume') in str(caught.value)


@pytest.mark.usefixtures('_short_pauses')
def test_flow_that_comes_back(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_flows(ClipFolder(root / 'LR4x'), root.parent / 'flow', 'dis', 3)
    data = eval_set(root, num_frame=3, flow_root=str(root.parent / 'flow'))
    expected = data[4]['flows']
    with away(root.parent / 'flow', lambda: caplog.messages):
        assert torch.equal(data[4]['flows'], expected)
    assert len(caplog.messages) == 2
    assert f'{root.parent}/flow/000/004.npy: missing' in caplog.messages[0]


@pytest.mark.usefixtures('_no_waiting')
def test_damage_is_told_at_once(root: Path) -> None:
    data = eval_set(root, num_frame=1)
    (root / 'LR4x' / '000' / '003.png').write_bytes(b'no image')
    with pytest.raises(DataError, match=r'LR4x: 000/003.png: not a readable image'):
        data[3]
    (root / 'LR4x' / '000' / '003.png').unlink()
    (root / 'LR4x' / '000' / '003.png').mkdir()
    with pytest.raises(DataError, match=r'000/003.png: is not a file'):
        data[3]


@pytest.mark.usefixtures('_no_waiting')
def test_scripts_and_the_start_of_a_run_do_not_wait(root: Path) -> None:
    clips, data = ClipFolder(root / 'LR4x'), eval_set(root, num_frame=1, retry_seconds=0)
    (root / 'LR4x' / '000' / '000.png').unlink()
    for read in (lambda: clips.read('000', '000.png'), lambda: data[0]):
        with pytest.raises(DataError, match='000/000.png: cannot read the file: No such file or directory$'):
            read()
    with pytest.raises(DataError, match='000/000: LR frame missing'):
        eval_set(root)


@pytest.mark.parametrize('value', [-1, float('inf'), float('nan'), 'long'])
def test_wrong_option(root: Path, value: object) -> None:
    with pytest.raises(OptionError, match='retry_seconds'):
        eval_set(root, retry_seconds=value)


def failing(*codes: int) -> Callable[[], str]:
    """Fails with one error after the other, then reads."""
    rest = list(codes)

    def read() -> str:
        if not rest:
            return 'content'
        error = OSError(rest[0], os.strerror(rest.pop(0)))
        raise DataError(f'frame: {error.strerror}') from error

    return read


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, without making them."""
    made: list[float] = []
    monkeypatch.setattr(retry, 'time', SimpleNamespace(sleep=made.append, monotonic=lambda: sum(made)))
    return made


def test_pauses_grow_and_fill_the_time(pauses: list[float]) -> None:
    with pytest.raises(DataError, match='^frame: Input/output error; waited 120 s'):
        Retry(120)(failing(*[errno.EIO] * 99), 'frame')
    assert pauses == [1, 2, 4, 8, 16, 16, 16, 16, 16, 16, 9]


@pytest.mark.parametrize('code', [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT,
                                  errno.ENODEV, errno.ENXIO, errno.ENOENT])
def test_what_may_pass(pauses: list[float], code: int) -> None:
    assert Retry(120)(failing(code, errno.EIO), 'frame') == 'content'
    assert pauses == [1, 2]


@pytest.mark.parametrize('code', [errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG])
def test_what_will_not_pass(pauses: list[float], code: int) -> None:
    with pytest.raises(DataError, match=f'^frame: {os.strerror(code)}$'):
        Retry(120)(failing(code), 'frame')
    assert pauses == []
    with pytest.raises(DataError, match=f'^frame: {os.strerror(code)}$'):
        Retry(120)(failing(errno.ESTALE, code), 'frame')  # the drive is back, but with other rights
    assert pauses == [1]


@pytest.fixture
def packed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clip_lmdb, 'CHECK_EVERY', 0)
    return pack(root, 'raw') / 'LR4x.lmdb'


def test_an_lmdb_that_was_replaced_deleted_or_renamed_is_read_on(packed: Path, make_pairs: MakePairs) -> None:
    source = ClipLmdb(packed)
    other = pack(make_pairs((2,), folder='other'), 'raw') / 'LR4x.lmdb'
    shutil.rmtree(packed)
    other.rename(packed)
    np.testing.assert_array_equal(source.read('001', '004.png'), lr_frame(1, 4))
    assert ClipLmdb(packed).clips.keys() == {'000'}


def read_after_it_was_cut(packed: Path) -> None:
    source = ClipLmdb(packed)
    os.truncate(packed / 'data.mdb', 8192)
    with pytest.raises(DataError, match=r'LR4x.lmdb: 001/004.png: data.mdb is cut short \(8192 of \d+ bytes\)'):
        source.read('001', '004.png')


def test_an_lmdb_that_is_cut_while_it_is_open_does_not_end_the_process(packed: Path) -> None:
    process = multiprocessing.get_context('fork').Process(target=read_after_it_was_cut, args=[packed])
    process.start()
    process.join()
    assert process.exitcode == 0


def test_an_lmdb_that_was_written_over_is_opened_anew(packed: Path, make_pairs: MakePairs) -> None:
    first, second = ClipLmdb(packed), ClipLmdb(packed)
    twin = make_pairs(folder='twin')
    for frame in (twin / 'LR4x').glob('*/*.png'):  # each clip with the frames of the other
        frame.write_bytes((packed.parent / 'LR4x' / f'{1 - int(frame.parent.name):03d}' / frame.name).read_bytes()
                          if int(frame.stem) < 6 else frame.read_bytes())
    shutil.copyfile(pack(twin, 'raw') / 'LR4x.lmdb' / 'data.mdb', packed / 'data.mdb')
    for source in (first, second):
        np.testing.assert_array_equal(source.read('001', '004.png'), lr_frame(0, 4))


@pytest.mark.usefixtures('_short_pauses')
def test_an_lmdb_on_a_drive_that_hangs(packed: Path, monkeypatch: pytest.MonkeyPatch,
                                       caplog: pytest.LogCaptureFixture) -> None:
    """A network drive says so when it is asked about the file; to read the map instead would end the process."""
    monkeypatch.setattr(clip_lmdb, 'CHECK_EVERY', 0.05)
    source, fstat, end = ClipLmdb(packed), os.fstat, time.monotonic() + 0.4
    time.sleep(0.06)
    source.retry = Retry(60)

    def stale(descriptor: int) -> os.stat_result:
        if time.monotonic() < end:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return fstat(descriptor)

    monkeypatch.setattr(os, 'fstat', stale)
    np.testing.assert_array_equal(source.read('001', '004.png'), lr_frame(1, 4))
    first, last = caplog.messages
    assert first.startswith(f'{packed}: 001/004.png: cannot open the LMDB: {os.strerror(errno.ESTALE)}. Waiting')
    assert last.startswith(f'{packed}: 001/004.png: the data are back after')
