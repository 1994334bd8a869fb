"""The script as a user runs it: to the end, killed and run again, and what it says when something is left to do."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_clips import gt_frame, lr_frame
from zenodo_server import RECORD, ZenodoServer, running_server

from satvsr_plugin.data.download.web import Patience
from satvsr_plugin.data.image_io import encode_image
from satvsr_plugin.errors import SatVSRError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'download_jilin189.py'
PATIENCE = Patience(tries=2, first_wait=0.001)


def frames(folder: str, clips: int, count: int) -> dict[str, bytes]:
    """GT and LR clips, name -> PNG."""
    made = {}
    for clip in range(clips):
        for frame in range(count):
            lr = lr_frame(clip, frame)
            for side, image in (('LR4x', lr), ('GT', gt_frame(lr))):
                made[f'{folder}/{side}/{clip:03d}/{frame:03d}.png'] = encode_image('.png', image, 'frame')
    return made


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


TRAIN, TEST = frames('training_set', 3, 2), frames('test_set', 1, 2)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZenodoServer]:
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    with running_server() as running:
        running.files = {'trainset.zip': zipped(TRAIN), 'testset.zip': zipped(TEST), 'readme.txt': b'hello'}
        yield running


def run_script(server: ZenodoServer, *arguments: object) -> int:
    spec = importlib.util.spec_from_file_location('download_jilin189_script', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([*map(str, arguments), '--url', server.base], PATIENCE)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_list_shows_and_fetches_nothing(server: ZenodoServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.files = {'a.zip': bytes(1234), 'long name.txt': b'x'}
    assert run_script(server, '--list') == 0
    assert capsys.readouterr().out == (f'record {RECORD}: 2 files, 1.2 kB\n'
                                       '  a.zip              1.2 kB\n'
                                       '  long name.txt     1 bytes\n')
    assert not server.requests


def test_all_is_fetched_unpacked_and_checked(server: ZenodoServer, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / 'Jilin-189'
    assert run_script(server, '--output', output) == 1  # fewer clips than the release has
    found = contents(output)
    assert found.pop('.download.json')
    assert found == {**TRAIN, **TEST, **server.files}
    out = capsys.readouterr().out
    assert 'trainset.zip: fetched and verified; unpacked: training_set\n' in out
    assert 'GT: 3 clips instead of 189' in out and out.endswith(f'  dataroot: {output}\n')

    # again: nothing is fetched or unpacked; what was deleted comes back
    requests = len(server.requests)
    (output / 'training_set/GT/000/000.png').write_bytes(b'mine')
    assert run_script(server, '--output', output) == 1
    assert len(server.requests) == requests
    assert (output / 'training_set/GT/000/000.png').read_bytes() == b'mine'
    assert run_script(server, '--output', output, '--overwrite') == 1
    assert contents(output).items() >= {**TRAIN, **TEST}.items()


def test_archives_are_removed_if_asked_and_not_fetched_again(server: ZenodoServer, tmp_path: Path) -> None:
    for _ in range(2):
        run_script(server, '--output', tmp_path, '--remove-archives')
        assert sorted(os.listdir(tmp_path)) == ['.download.json', 'readme.txt', 'test_set', 'training_set']
        assert len(server.requests) == 3


def test_without_unpacking(server: ZenodoServer, tmp_path: Path) -> None:
    assert run_script(server, '--output', tmp_path, '--no-unpack', '--remove-archives') == 0
    assert sorted(os.listdir(tmp_path)) == ['.download.json', *sorted(server.files)]


def test_some_files(server: ZenodoServer, tmp_path: Path) -> None:
    assert run_script(server, '--output', tmp_path, '--files', 'testset.zip') == 0
    assert sorted(os.listdir(tmp_path)) == ['.download.json', 'test_set', 'testset.zip']
    with pytest.raises(SatVSRError, match='not in the record: x.zip; it has trainset.zip, testset.zip, readme.txt'):
        run_script(server, '--output', tmp_path, '--files', 'x.zip')


def test_other_archives_are_kept_with_advice(server: ZenodoServer, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    server.files = {'Jilin 189.rar': b'r', 'readme.txt': b'x'}
    assert run_script(server, '--output', tmp_path) == 1
    assert (tmp_path / 'Jilin 189.rar').read_bytes() == b'r'
    assert capsys.readouterr().out.endswith(f"""\
Python does not unpack these; in {tmp_path} run:
  unrar x 'Jilin 189.rar'
and then:
  python scripts/download_jilin189.py --check {tmp_path}
""")


def test_a_hostile_archive_changes_nothing_outside(server: ZenodoServer, tmp_path: Path) -> None:
    server.files = {'evil.zip': zipped({'ok': b'1', '../evil': b'2'})}
    with pytest.raises(SatVSRError, match=r"'../evil': its name leads out of the folder"):
        run_script(server, '--output', tmp_path / 'data')
    assert sorted(map(str, contents(tmp_path))) == ['data/.download.json', 'data/evil.zip']


def start(server: ZenodoServer, output: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, SCRIPT, '--output', output, '--url', server.base],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_in_the_middle_it_goes_on(server: ZenodoServer, tmp_path: Path) -> None:
    content = os.urandom(4 << 20)
    server.files = {'frames.bin': content}
    server.pause = 0.01
    part = tmp_path / '.frames.bin.part'
    process = start(server, tmp_path)
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 1 << 20):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    arrived = part.stat().st_size
    assert 1 << 20 < arrived < 4 << 20 and part.read_bytes() == content[:arrived]

    server.pause = 0
    process = start(server, tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and 'is everything unpacked?' in out and 'Traceback' not in err
    etag = f'"{hashlib.md5(content).hexdigest()}"'
    assert [(request.range, request.if_range) for request in server.requests] == [
        (None, None), (f'bytes={arrived}-', etag)]
    assert (tmp_path / 'frames.bin').read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ['.download.json', 'frames.bin']


def test_errors_are_one_message(server: ZenodoServer, tmp_path: Path) -> None:
    server.files = {}
    process = start(server, tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, '')
    assert err == (f'error: {server.base}/{RECORD}: the answer lists no files; is this a Zenodo record, and is it '
                   'public?\n')


def test_it_starts_without_torch() -> None:
    code = f'import runpy, sys; runpy.run_path({str(SCRIPT)!r}); sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
