"""Fetching the files of a record: the list, broken connections, servers that misbehave, what is left on the disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from zenodo_server import RECORD, Fault, ZenodoServer, running_server

from satvsr_plugin.data.download import job, web
from satvsr_plugin.data.download.job import Wishes, download
from satvsr_plugin.data.download.web import Patience, Web
from satvsr_plugin.data.download.zenodo import RemoteFile, list_files, parse_record
from satvsr_plugin.errors import DataError

PATIENCE = Patience(tries=3, first_wait=0.001, longest_wait=5, timeout=5)
CONTENT = os.urandom(300_000)
KEEP = Wishes(unpack=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZenodoServer]:
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    with running_server() as running:
        running.files['frames.bin'] = CONTENT
        yield running


def get(server: ZenodoServer, folder: Path, wishes: Wishes = KEEP, **patience: Any) -> list[job.Done]:
    asker = Web(PATIENCE._replace(**patience))
    return download(list_files(asker, server.base, RECORD), folder, asker, wishes)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def entry(**changes: Any) -> dict[str, Any]:
    return {'key': 'a.zip', 'size': 5, 'checksum': 'md5:' + 32 * 'a', **changes}


@pytest.mark.parametrize(('files', 'url'), [
    ([entry(links={'self': 'https://x/a.zip/content'})], 'https://x/a.zip/content'),
    ([entry(links={'self': 'https://x/a.zip', 'content': 'https://x/bytes'})], 'https://x/bytes'),
    ([entry(links={'self': '/y/a.zip'})], 'https://zenodo.org/y/a.zip'),
    ([{'filename': 'a.zip', 'filesize': 5, 'checksum': 32 * 'A'}],
     'https://zenodo.org/api/records/1/files/a.zip/content'),
    ({'enabled': True, 'entries': {'a.zip': entry()}}, 'https://zenodo.org/api/records/1/files/a.zip/content'),
    ({'entries': [entry(links=None)]}, 'https://zenodo.org/api/records/1/files/a.zip/content'),
])
def test_all_forms_of_a_record_are_read(files: Any, url: str) -> None:
    found = parse_record({'files': files}, 'https://zenodo.org/api/records/1')
    assert found == [RemoteFile('a.zip', 5, 32 * 'a', url)]


@pytest.mark.parametrize('name', ['../a', 'a/b', 'a\\b', '/a', '..', '.hidden', 'C:a', 'a\0', 'a\n', '', None, 7,
                                  '\ud800', 'x' * 250])
def test_names_that_are_not_plain_are_refused(name: Any) -> None:
    with pytest.raises(DataError, match='1 problem\n  - file 2: .*name'):
        parse_record({'files': [entry(), entry(key=name)]}, 'https://x')


@pytest.mark.parametrize(('change', 'message'), [
    ({'size': '5'}, "a.zip: its size is '5'"),
    ({'size': -1}, 'its size is -1'),
    ({'size': True}, 'its size is True'),
    ({'checksum': 'sha256:' + 64 * 'a'}, 'not an MD5 sum'),
    ({'checksum': None}, 'not an MD5 sum'),
    ({'links': {'self': 'ftp://x/a'}}, "'ftp://x/a' is not an http or https address"),
    ({'links': {'self': 'file:///etc/passwd'}}, 'is not an http or https address'),
])
def test_entries_that_cannot_be_verified_or_fetched_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_record({'files': [entry(**change)]}, 'https://x')


@pytest.mark.parametrize('document', [[], {}, {'files': []}, {'files': {'entries': {}}}, {'files': 'a.zip'}, 3])
def test_answers_without_files_are_told(document: Any) -> None:
    with pytest.raises(DataError, match='lists no files'):
        parse_record(document, 'https://x')


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match=r'two files are called a\.zip'):
        parse_record({'files': [entry(), entry(size=6)]}, 'https://x')


def test_a_record_that_is_not_there_or_not_json(server: ZenodoServer) -> None:
    asker = Web(PATIENCE)
    with pytest.raises(DataError, match='404.*--record'):
        list_files(asker, server.base, '12')
    with pytest.raises(DataError, match='all digits'):
        list_files(asker, server.base, '../x')
    for base in ('file:///etc', 'http://[', 'zenodo.org'):
        with pytest.raises(DataError, match='--url'):
            list_files(asker, base, RECORD)
    server.faults['record'] = [Fault(surplus=b'<html>')]
    with pytest.raises(DataError, match='not JSON.*login page'):
        list_files(asker, server.base, RECORD)
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match='cannot connect.*3 times in a row'):
        list_files(asker, server.base, RECORD)


def test_a_file_is_fetched_once(server: ZenodoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files['empty.txt'] = b''
    assert [done.fetched for done in get(server, tmp_path / 'new' / 'data')] == [True, True]
    assert (tmp_path / 'new/data/frames.bin').read_bytes() == CONTENT
    assert names(tmp_path / 'new/data') == ['.download.json', 'empty.txt', 'frames.bin']

    monkeypatch.setattr(job, 'md5_of', lambda path: pytest.fail(f'{path} is hashed again'))
    assert [done.fetched for done in get(server, tmp_path / 'new' / 'data')] == [False, False]
    assert len(server.requests) == 1


def test_a_file_that_came_by_other_means_is_verified_and_never_replaced(server: ZenodoServer, tmp_path: Path) -> None:
    path = tmp_path / 'frames.bin'
    path.write_bytes(CONTENT)
    assert not get(server, tmp_path)[0].fetched and not server.requests

    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    changed = path.read_bytes()
    os.utime(path, (1, 1))
    with pytest.raises(DataError, match='frames.bin: is there already, but is not'):
        get(server, tmp_path)
    assert path.read_bytes() == changed


def test_a_broken_connection_is_taken_up_where_it_broke(server: ZenodoServer, tmp_path: Path) -> None:
    # more breaks than tries: those that bring something do not count
    server.faults['frames.bin'] = [Fault(drop_after=70_000) for _ in range(4)]
    get(server, tmp_path)
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT
    etag = f'"{hashlib.md5(CONTENT).hexdigest()}"'
    ranges = [(request.range, request.if_range) for request in server.requests]
    assert ranges == [(None, None), *((f'bytes={part * 70_000}-', etag) for part in range(1, 5))]


def test_breaks_without_progress_end_the_run_and_the_next_goes_on(server: ZenodoServer, tmp_path: Path) -> None:
    server.faults['frames.bin'] = [Fault(drop_after=100_000), Fault(drop_after=0), Fault(drop_after=0)]
    with pytest.raises(DataError, match=r'broke; 100.0 kB of 300.0 kB have arrived; it failed 3 times'):
        get(server, tmp_path)
    assert (tmp_path / '.frames.bin.part').read_bytes() == CONTENT[:100_000]
    get(server, tmp_path)
    assert server.requests[-1].range == 'bytes=100000-'
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT
    assert names(tmp_path) == ['.download.json', 'frames.bin']


def test_a_server_without_ranges_begins_anew(server: ZenodoServer, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    server.ranges = False
    server.faults['frames.bin'] = [Fault(drop_after=200_000), Fault(drop_after=10)]
    get(server, tmp_path)
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT
    assert 'cannot go on in the middle, so the file begins anew' in capsys.readouterr().err


def test_beginning_anew_again_and_again_is_no_progress(server: ZenodoServer, tmp_path: Path) -> None:
    server.ranges = False
    server.faults['frames.bin'] = [Fault(drop_after=200_000), Fault(drop_after=10)] * 5
    with pytest.raises(DataError, match='3 times in a row'):
        get(server, tmp_path)
    assert len(server.requests) == 3


def test_a_file_that_changed_in_between_begins_anew(server: ZenodoServer, tmp_path: Path) -> None:
    server.faults['frames.bin'] = [Fault(drop_after=100_000), *[Fault(status=503)] * 2]
    with pytest.raises(DataError):
        get(server, tmp_path)
    server.files['frames.bin'] = CONTENT[::-1]
    get(server, tmp_path)
    assert server.requests[-1].range is None
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT[::-1]


def test_a_server_that_ignores_if_range_is_seen_through(server: ZenodoServer, tmp_path: Path) -> None:
    wrong_etag = Fault(headers=(('ETag', '"another version"'),))
    server.faults['frames.bin'] = [Fault(drop_after=100_000), wrong_etag]
    get(server, tmp_path)
    assert [request.range for request in server.requests] == [None, 'bytes=100000-', None]
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT


@pytest.mark.parametrize('content_range', ['bytes 0-299999/300000', 'bytes 100000-299999/400000', 'nonsense'])
def test_a_wrong_range_is_refused(server: ZenodoServer, tmp_path: Path, content_range: str) -> None:
    wrong = Fault(headers=(('Content-Range', content_range),))
    server.faults['frames.bin'] = [Fault(drop_after=100_000), wrong]
    with pytest.raises(DataError, match=f'from 100000 to the end .* the server sends "{content_range}"'):
        get(server, tmp_path)
    assert (tmp_path / '.frames.bin.part').read_bytes() == CONTENT[:100_000]


def test_range_not_satisfiable_begins_anew(server: ZenodoServer, tmp_path: Path) -> None:
    server.faults['frames.bin'] = [Fault(drop_after=100_000), Fault(status=416)]
    get(server, tmp_path)
    assert [request.range for request in server.requests] == [None, 'bytes=100000-', None]
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT


def test_a_file_that_arrives_damaged_is_fetched_once_more(server: ZenodoServer, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    server.faults['frames.bin'] = [Fault(flip=1234)]
    get(server, tmp_path)
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT
    assert 'frames.bin: arrived damaged (MD5' in capsys.readouterr().err


def test_a_file_that_arrives_damaged_twice_leaves_nothing(server: ZenodoServer, tmp_path: Path) -> None:
    server.faults['frames.bin'] = [Fault(flip=1234), Fault(flip=0)]
    with pytest.raises(DataError, match=f'damaged twice.*instead of {hashlib.md5(CONTENT).hexdigest()}'):
        get(server, tmp_path)
    assert len(server.requests) == 2
    assert names(tmp_path) == []


def test_another_length_is_refused_at_once(server: ZenodoServer, tmp_path: Path) -> None:
    server.document = {'files': [{**server.entry('frames.bin'), 'size': 299_999}]}
    with pytest.raises(DataError, match='sends 300000 bytes instead of the 299999.*login page'):
        get(server, tmp_path)
    server.document = None
    server.faults['frames.bin'] = [Fault(surplus=b'x')]
    with pytest.raises(DataError, match='sends more than the 300000 bytes'):
        get(server, tmp_path)


@pytest.mark.parametrize('status', [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: ZenodoServer, tmp_path: Path, status: int) -> None:
    server.faults['record'] = [Fault(status=status)]
    server.faults['frames.bin'] = [Fault(status=status)] * 2
    get(server, tmp_path)
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT

    server.faults['record'] = [Fault(status=status)] * 3
    with pytest.raises(DataError, match=f'answers {status} .*3 times in a row'):
        get(server, tmp_path)


@pytest.mark.parametrize(('status', 'message'), [(403, '403 Forbidden; .*proxy'), (404, '404 Not Found; correct --rec'),
                                                 (401, '401.*public'), (410, 'withdrawn'), (418, "418 I'm a Teapot")])
def test_a_refusal_is_not_repeated(server: ZenodoServer, tmp_path: Path, status: int, message: str) -> None:
    server.faults['frames.bin'] = [Fault(status=status)]
    with pytest.raises(DataError, match=message):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_waiting_is_as_long_as_the_server_asks_and_bounded(server: ZenodoServer, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(web.time, 'sleep', pauses.append)
    in_three = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=3), usegmt=True)
    server.faults['frames.bin'] = [Fault(status=429, headers=(('Retry-After', value),)) for value in ('4', in_three)]
    server.faults['frames.bin'].append(Fault(status=429, headers=(('Retry-After', 'soon'),)))
    get(server, tmp_path, tries=4)
    pauses = [pause for pause in pauses if pause]  # the server's own are zero
    assert pauses[0] == 4 and 1 < pauses[1] <= 3 and pauses[2] == 0.004

    (tmp_path / 'frames.bin').unlink()
    server.faults['frames.bin'] = [Fault(status=429, headers=(('Retry-After', '3600'),))]
    with pytest.raises(DataError, match='429.*pause of 3600 seconds.*run the same command again after that'):
        get(server, tmp_path)


def test_a_redirect_is_followed_but_not_out_of_the_web(server: ZenodoServer, tmp_path: Path) -> None:
    link = f'{server.base}/{RECORD}/files/frames.bin/content'
    server.files['moved.bin'] = CONTENT
    server.faults['moved.bin'] = [Fault(status=302, headers=(('Location', link),)),
                                  Fault(status=302, headers=(('Location', 'file:///etc/passwd'),))]
    server.document = {'files': [server.entry('moved.bin')]}
    get(server, tmp_path)
    assert (tmp_path / 'moved.bin').read_bytes() == CONTENT
    (tmp_path / 'moved.bin').unlink()
    with pytest.raises(DataError, match='cannot be asked for'):
        get(server, tmp_path)


def test_too_little_room_is_told_before_anything_is_fetched(server: ZenodoServer, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {'frames.zip': CONTENT, 'more.tar': CONTENT}
    monkeypatch.setattr('satvsr_plugin.disk.free_space', lambda target: 1_000_000)
    with pytest.raises(DataError, match='1.2 MB are needed, but only 1.0 MB'):
        get(server, tmp_path, Wishes())
    assert not server.requests

    # removed one by one, archives need less; what has arrived needs nothing
    monkeypatch.setattr('satvsr_plugin.disk.free_space', lambda target: 899_999)
    with pytest.raises(DataError, match='900.0 kB are needed'):
        get(server, tmp_path, Wishes(remove_archives=True))
    (tmp_path / '.frames.zip.part').write_bytes(CONTENT[:200_000])
    with pytest.raises(DataError, match='one of several parts'):  # enough room: it is fetched, and is no ZIP
        get(server, tmp_path, Wishes(remove_archives=True))


def test_a_full_disk_keeps_what_has_arrived(server: ZenodoServer, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(DataError, match='No space left on device.*run again to go on'):
        get(server, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / '.frames.bin.part').read_bytes() == CONTENT
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    get(server, tmp_path)
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT and len(server.requests) == 1


def test_two_downloads_into_one_folder(server: ZenodoServer, tmp_path: Path) -> None:
    code = ('import sys; from pathlib import Path; from satvsr_plugin.atomic import locked\n'
            'with locked(Path(sys.argv[1])): print("locked", flush=True); input()')
    with subprocess.Popen([sys.executable, '-c', code, tmp_path], env={**os.environ, 'SATVSR_REGISTER': '0'}, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == 'locked\n'
        with pytest.raises(DataError, match='another process is at work there'):
            get(server, tmp_path)
        assert not server.requests
        other.communicate('\n')
    assert get(server, tmp_path)[0].fetched


def test_a_folder_that_cannot_be_written_to(server: ZenodoServer, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot be read or written: Not a directory'):
        get(server, tmp_path / 'file' / 'data')


@pytest.mark.parametrize('notes', ['', '[]', '{"frames.bin": 3}', '{"frames.bin": {"md5": 1}}', '\udcff'])
def test_damaged_notes_cost_time_only(server: ZenodoServer, tmp_path: Path, notes: str) -> None:
    get(server, tmp_path)
    for name in ('.download.json', '.frames.bin.part.json', '.frames.bin.part'):
        (tmp_path / name).write_bytes(notes.encode(errors='surrogateescape'))
    assert not get(server, tmp_path)[0].fetched
    (tmp_path / 'frames.bin').unlink()
    get(server, tmp_path)
    assert (tmp_path / 'frames.bin').read_bytes() == CONTENT
