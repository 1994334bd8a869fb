"""A run that a kill, the disk or another run stops: nothing is lost, and the next one ends in the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from small_clips import lr_frame
from tqdm import tqdm

from satvsr_plugin import atomic, disk
from satvsr_plugin.data import lmdb_frames, lmdb_plan, lmdb_writer
from satvsr_plugin.data.clips import ClipFolder, ClipLmdb
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import DataError

KILLS = 24
FORK = multiprocessing.get_context('fork')


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 frames of 7 kB."""
    root = tmp_path_factory.mktemp('clips')
    for frame in range(300):
        write_image(root / f'{frame // 60:03d}' / f'{frame % 60:03d}.png', lr_frame(0, frame, height=48, width=48))
    return root


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_plan, 'BATCH_BYTES', 40_000)


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


def write_slowly(clips: Path, output: Path, encoding: str) -> None:
    """What a killed process was doing: about a second of work, so that kills strike at any of its steps."""
    stored = lmdb_frames.stored_content
    lmdb_writer.stored_content = lambda *arguments: (time.sleep(0.003), stored(*arguments))[1]
    tqdm.set_lock(threading.RLock())  # its own is shared by forks of one process: a killed one would hold it for ever
    write_lmdb(ClipFolder(clips), output, encoding, processes=2)


def start(*arguments: object) -> multiprocessing.Process:
    process = FORK.Process(target=write_slowly, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize('encoding', ['png', 'raw'])
def test_killed_at_random_moments_it_ends_in_the_same_bytes(clips: Path, tmp_path: Path, encoding: str) -> None:
    write_lmdb(ClipFolder(clips), tmp_path / 'whole.lmdb', encoding)
    expected = contents(tmp_path / 'whole.lmdb')
    output = tmp_path / 'killed.lmdb'
    rng, kills, stored = random.Random(encoding), 0, []
    while kills < KILLS // 2:
        process = start(clips, output, encoding)
        process.join(rng.uniform(0, 0.5))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            stored.append((tmp_path / '.killed.lmdb.partial' / 'killed.lmdb' / 'data.mdb').exists())
        else:
            assert process.exitcode == 0
        if output.exists():  # faster than the kill, which may still have struck while it cleaned up: begin anew
            assert contents(output) == expected
            shutil.rmtree(output)
    write_lmdb(ClipFolder(clips), output, encoding)
    assert contents(output) == expected
    assert any(stored), 'no kill struck while frames were written'
    assert sorted(os.listdir(tmp_path)) == ['killed.lmdb', 'whole.lmdb']


def test_a_run_goes_on_and_does_not_begin_anew(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def failing(frame: lmdb_frames.Frame, encoded: bytes | int) -> bytes:
        calls.append(str(frame))
        if len(calls) == 100:
            raise KeyboardInterrupt
        return lmdb_frames.stored_content(frame, encoded)

    monkeypatch.setattr(lmdb_writer, 'stored_content', failing)
    with pytest.raises(KeyboardInterrupt):
        write_lmdb(ClipFolder(clips), tmp_path / 'X.lmdb')
    assert os.listdir(tmp_path) == ['.X.lmdb.partial']
    first = calls.copy()
    write_lmdb(ClipFolder(clips), tmp_path / 'X.lmdb')
    again = set(first) & set(calls[100:])
    assert 0 < len(again) <= 6  # the batch of 40 kB that was open
    assert len(calls) == 300 + len(again)
    assert len(ClipLmdb(tmp_path / 'X.lmdb').clips['004']) == 60


@pytest.mark.parametrize('step', ['replace', 'rmtree'])
def test_killed_at_the_very_end(clips: Path, tmp_path: Path, step: str) -> None:
    """Before and after the two renames that replace an LMDB, and before its unfinished folder is removed."""
    output = tmp_path / 'X.lmdb'
    old = tmp_path / 'old'
    write_image(old / '000' / '000.png', lr_frame(7, 7))
    for kill_at in range(1, 4):
        write_lmdb(ClipFolder(old), output, overwrite=True)

        def run(kill_at: int = kill_at) -> None:
            module, calls = (os, 0) if step == 'replace' else (atomic.shutil, 0)
            original = getattr(module, step)

            def dying(*arguments: object, **keywords: object) -> None:
                nonlocal calls
                calls += '.X.lmdb' in str(arguments[0]) or str(arguments[0]) == str(output)
                if calls == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                original(*arguments, **keywords)

            setattr(module, step, dying)
            write_lmdb(ClipFolder(clips), output, overwrite=True)

        process = FORK.Process(target=run)
        process.start()
        process.join()
        if output.exists():  # the old one or the new one, whole
            assert sum(map(len, ClipLmdb(output).clips.values())) in (1, 300)
        write_lmdb(ClipFolder(clips), output, overwrite=True)
        assert sum(map(len, ClipLmdb(output).clips.values())) == 300
        assert sorted(os.listdir(tmp_path)) == ['X.lmdb', 'old']


def test_changed_clips_begin_anew(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    root = tmp_path / 'clips'
    for frame in range(20):
        write_image(root / 'a' / f'{frame:02d}.png', lr_frame(1, frame))
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_writer.LmdbPlan, 'stored_name', stop)  # after the last frame
        with pytest.raises(KeyboardInterrupt):
            write_lmdb(ClipFolder(root), tmp_path / 'X.lmdb')
    write_image(root / 'a' / '00.png', lr_frame(2, 0))
    write_lmdb(ClipFolder(root), tmp_path / 'X.lmdb')
    np.testing.assert_array_equal(ClipLmdb(tmp_path / 'X.lmdb').read('a', '00.png'), lr_frame(2, 0))


def test_two_runs_at_once(clips: Path, tmp_path: Path) -> None:
    process = start(clips, tmp_path / 'X.lmdb', 'png')
    while not (tmp_path / '.X.lmdb.partial' / 'X.lmdb').exists():
        time.sleep(0.01)
    with pytest.raises(DataError, match='.X.lmdb.partial: another process is at work there'):
        write_lmdb(ClipFolder(clips), tmp_path / 'X.lmdb')
    process.join()
    assert process.exitcode == 0 and len(ClipLmdb(tmp_path / 'X.lmdb').clips) == 5


def test_a_disk_that_is_too_small_is_refused_at_once(clips: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.shutil, 'disk_usage', lambda _: disk.shutil._ntuple_diskusage(9**9, 9**9, 1_500_000))
    with pytest.raises(DataError, match=r'X.lmdb: \d.\d MB are needed, but only 1.5 MB are free'):
        write_lmdb(ClipFolder(clips), tmp_path / 'X.lmdb')
    assert os.listdir(tmp_path) == []


def test_a_disk_that_becomes_full(clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Stood for by a limit on the size of files, which the kernel enforces in the same way."""
    def run() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            write_lmdb(ClipFolder(clips), tmp_path / 'X.lmdb')
        except DataError as error:
            print(error, flush=True)
            os._exit(2)

    process = FORK.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == 2
    shown = capfd.readouterr().out
    assert 'X.lmdb: cannot write the LMDB: ' in shown and 'goes on where it stopped' in shown
    assert os.listdir(tmp_path) == ['.X.lmdb.partial']
    write_lmdb(ClipFolder(clips), tmp_path / 'X.lmdb')
    write_lmdb(ClipFolder(clips), tmp_path / 'whole.lmdb')
    assert contents(tmp_path / 'X.lmdb') == contents(tmp_path / 'whole.lmdb')


def test_a_read_only_folder(capfd: pytest.CaptureFixture[str]) -> None:
    """In a process of a user who may not write there; root may write everywhere."""
    folder = Path(tempfile.mkdtemp())
    write_image(folder / 'clips' / 'a' / '0.png', lr_frame(0, 0))
    folder.chmod(0o555)

    def run() -> None:
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            write_lmdb(ClipFolder(folder / 'clips'), folder / 'X.lmdb')
        except DataError as error:
            print(error, flush=True)
            os._exit(2)

    process = FORK.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == 2
    assert re.search('X.lmdb: cannot write the LMDB: .*Permission denied', capfd.readouterr().out)
    assert os.listdir(folder) == ['clips']
    folder.chmod(0o755)
    shutil.rmtree(folder)
