"""Unpacking: equal bytes, nothing outside the folder whatever an archive says, nothing half-done under a final name."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from satvsr_plugin.data.download import archives
from satvsr_plugin.data.download.archives import open_archive
from satvsr_plugin.data.download.kinds import by_hand
from satvsr_plugin.data.download.members import safe_name
from satvsr_plugin.data.download.unpack import unpack
from satvsr_plugin.errors import DataError

FRAMES = {'set/GT/000/000.png': os.urandom(3000), 'set/GT/000/001.png': b'', 'set/LR4x/000/000.png': b'small'}
TAR_MODES = {'.tar': 'w', '.tar.gz': 'w:gz', '.tgz': 'w:gz', '.tar.bz2': 'w:bz2', '.tar.xz': 'w:xz'}


def make_zip(path: Path, files: dict[str, bytes], **settings: int) -> Path:
    with zipfile.ZipFile(path, 'w', **settings) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    suffix = next(suffix for suffix in sorted(TAR_MODES, key=len, reverse=True) if path.name.endswith(suffix))
    with tarfile.open(path, TAR_MODES[suffix]) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return path


def tar_entry(name: str, kind: bytes, target: str = '') -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(path: Path, name: str, target: str) -> Path:
    with zipfile.ZipFile(path, 'a') as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, target)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where to unpack to, in a folder with a neighbour that must not change."""
    (tmp_path / 'neighbour').mkdir()
    (tmp_path / 'target').mkdir()
    return tmp_path / 'target'


@pytest.mark.parametrize('suffix', ['.zip', '.ZIP', *TAR_MODES])
def test_all_files_arrive(tmp_path: Path, target: Path, suffix: str) -> None:
    make = make_zip if suffix.lower() == '.zip' else make_tar
    archive = make(tmp_path / f'set{suffix}', {**FRAMES, '__MACOSX/set/._000.png': b'x', 'set/.DS_Store': b'x',
                                               './set//readme.txt': b'read'})
    assert unpack(archive, target) == ['set']
    assert contents(target) == {**FRAMES, 'set/readme.txt': b'read'}
    assert everything(target)[0] == 'set' and archive.exists()  # no hidden folder is left


@pytest.mark.parametrize('compression', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_zips(tmp_path: Path, target: Path, compression: int) -> None:
    large = bytes(3_000_000) + os.urandom(100)  # several chunks
    unpack(make_zip(tmp_path / 'a.zip', {'large': large}, compression=compression), target)
    assert contents(target) == {'large': large}


def test_an_archive_of_several_things_gets_a_folder_if_asked(tmp_path: Path, target: Path) -> None:
    archive = make_tar(tmp_path / 'trainset.tar.gz', {'GT/000/0.png': b'1', 'LR4x/000/0.png': b'2'})
    assert unpack(archive, target, own_folder=True) == ['trainset']
    assert contents(target) == {'trainset/GT/000/0.png': b'1', 'trainset/LR4x/000/0.png': b'2'}
    assert unpack(make_zip(tmp_path / 'a.zip', FRAMES), target, own_folder=True) == ['set']


NAMES_THAT_LEAVE = ['../evil', 'a/../../evil', '/evil', '//evil', 'C:/evil', 'c:evil', '..\\evil', 'a\\..\\..\\evil',
                    '\\evil', 'a/..', 'evil\0.png', 'evil\n']


@pytest.mark.parametrize(('make', 'name'), [
    *((make_zip, name) for name in NAMES_THAT_LEAVE),
    *((make_tar, name) for name in NAMES_THAT_LEAVE if '\0' not in name),  # there names end at a NUL
])
def test_names_that_leave_are_refused(tmp_path: Path, target: Path, make: Callable[..., Path], name: str) -> None:
    suffix = 'zip' if make is make_zip else 'tar'
    placeholder = name.replace('\0', '#')  # zipfile would cut it
    archive = make(tmp_path / f'a.{suffix}', {'good': b'x', placeholder: b'x'})
    archive.write_bytes(archive.read_bytes().replace(b'#', b'\0'))
    before = everything(tmp_path)
    with pytest.raises(DataError, match='cannot be unpacked safely, so nothing was: 1 problem\n'):
        unpack(archive, target)
    assert everything(tmp_path) == before


def test_backslashes_separate_folders(tmp_path: Path, target: Path) -> None:
    """Some programs on Windows write them."""
    unpack(make_zip(tmp_path / 'a.zip', {'set\\GT\\0.png': b'x', 'set\\GT\\': b''}), target)
    assert contents(target) == {'set/GT/0.png': b'x'}


def test_names_in_other_encodings_become_readable(tmp_path: Path, target: Path) -> None:
    with tarfile.open(tmp_path / 'a.tar', 'w', encoding='gbk', format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo('说明.txt'))
    unpack(tmp_path / 'a.tar', target)
    (name,) = contents(target)
    assert name.endswith('.txt') and name.encode()


@pytest.mark.parametrize('link', [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize('goal', ['../neighbour', '../../neighbour', '/etc/passwd', 'nothing', 'set', 'set/GT'])
def test_links_that_lead_elsewhere_are_refused_in_tar(tmp_path: Path, target: Path, link: bytes, goal: str) -> None:
    archive = make_tar(tmp_path / 'a.tar.gz', FRAMES, tar_entry('set/link', link, goal),
                       tar_entry('set/link/evil', tarfile.REGTYPE))
    before = everything(tmp_path)
    with pytest.raises(DataError, match="'set/link'"):
        unpack(archive, target)
    assert everything(tmp_path) == before


@pytest.mark.parametrize('goal', ['../../neighbour', '/etc/passwd', '..\\..\\neighbour', 'nothing', 'GT', 5000 * 'x'])
def test_links_that_lead_elsewhere_are_refused_in_zip(tmp_path: Path, target: Path, goal: str) -> None:
    archive = zip_link(make_zip(tmp_path / 'a.zip', FRAMES), 'set/link', goal)
    before = everything(tmp_path)
    with pytest.raises(DataError, match="'set/link'"):
        unpack(archive, target)
    assert everything(tmp_path) == before


def test_links_within_become_second_names(tmp_path: Path, target: Path) -> None:
    archive = make_tar(tmp_path / 'a.tar', FRAMES, tar_entry('set/GT/000/002.png', tarfile.SYMTYPE, '000.png'),
                       tar_entry('other/hard', tarfile.LNKTYPE, './set/GT/000/000.png'))
    zip_link(make_zip(tmp_path / 'b.zip', {'b/x': b'x'}), 'b/c/link', '../x')
    unpack(archive, target)
    unpack(tmp_path / 'b.zip', target)
    same = FRAMES['set/GT/000/000.png']
    assert contents(target) == {**FRAMES, 'set/GT/000/002.png': same, 'other/hard': same, 'b/x': b'x', 'b/c/link': b'x'}
    assert not [path for path in target.rglob('*') if path.is_symlink()]


@pytest.mark.parametrize('kind', [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, target: Path, kind: bytes) -> None:
    with pytest.raises(DataError, match="'null': is neither a file nor a folder"):
        unpack(make_tar(tmp_path / 'a.tar', FRAMES, tar_entry('null', kind)), target)
    assert everything(target) == []


@pytest.mark.parametrize(('names', 'message'), [(['a', 'a'], "'a': is there twice"), (['a/b', './a//b'], 'twice'),
                                                (['a', 'a/b'], "'a': is both a file and a folder")])
def test_names_that_cannot_all_exist_are_refused(tmp_path: Path, target: Path, names: list[str], message: str) -> None:
    archive = make_tar(tmp_path / 'a.tar', {}, *(tar_entry(name, tarfile.REGTYPE) for name in names))
    with pytest.raises(DataError, match=message):
        unpack(archive, target)
    assert everything(target) == []


def test_files_that_are_there_are_kept_unless_overwrite(tmp_path: Path, target: Path) -> None:
    archive = make_zip(tmp_path / 'a.zip', FRAMES)
    mine = target / 'set/GT/000/000.png'
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b'mine')
    (target / 'set/GT/000/007.png').write_bytes(b'mine too')
    before = contents(target)
    with pytest.raises(DataError, match='1 problem\n  - set/GT/000/000.png: exists already; add --overwrite'):
        unpack(archive, target)
    assert contents(target) == before and everything(target) == ['set', 'set/GT', 'set/GT/000', *sorted(before)]

    unpack(archive, target, overwrite=True)
    assert contents(target) == {**FRAMES, 'set/GT/000/007.png': b'mine too'}


def test_nothing_is_written_through_a_link_that_is_there(tmp_path: Path, target: Path) -> None:
    (target / 'set').symlink_to(tmp_path / 'neighbour')
    with pytest.raises(DataError, match='set: is a link or a file here, but a folder in the archive'):
        unpack(make_zip(tmp_path / 'a.zip', FRAMES), target, overwrite=True)
    assert everything(tmp_path / 'neighbour') == []
    (target / 'set').unlink()
    (target / 'set/GT/000/000.png').mkdir(parents=True)
    with pytest.raises(DataError, match='set/GT/000/000.png: is a folder here, but a file in the archive'):
        unpack(tmp_path / 'a.zip', target, overwrite=True)


def test_encrypted_zips_are_refused(tmp_path: Path, target: Path) -> None:
    archive = make_zip(tmp_path / 'a.zip', {'a': b'secret'})
    content = bytearray(archive.read_bytes())
    content[content.index(b'PK\1\2') + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="'a': is encrypted; unpack it with a program that asks"):
        unpack(archive, target)


def test_compressions_unknown_to_python_are_told(tmp_path: Path, target: Path) -> None:
    archive = make_zip(tmp_path / 'a.zip', {'a': b'x'})
    content = bytearray(archive.read_bytes())
    content[content.index(b'PK\1\2') + 10] = 9  # Deflate64, as Windows writes it for large files
    archive.write_bytes(content)
    with pytest.raises(DataError, match='method 9.*7z x'):
        unpack(archive, target)


def declare(archive: Path, size: int) -> None:
    """Make a ZIP of one stored file declare another size for it."""
    content = bytearray(archive.read_bytes())
    for start, offset in ((0, 22), (content.index(b'PK\1\2'), 24)):
        content[start + offset:start + offset + 4] = struct.pack('<I', size)
    archive.write_bytes(content)


@pytest.mark.parametrize('size', [10, 999_999, 1_000_001])
def test_a_file_of_another_length_than_declared(tmp_path: Path, target: Path, size: int) -> None:
    archive = make_zip(tmp_path / 'a.zip', {'bomb': bytes(1_000_000)}, compression=zipfile.ZIP_DEFLATED)
    declare(archive, size)
    with pytest.raises(DataError, match=r'a.zip: bomb: the archive is damaged'):
        unpack(archive, target)
    assert everything(target) == []


def test_a_bomb_is_stopped_before_it_is_written(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / 'a.zip', {'bomb': b'x'})
    declare(archive, 2**32 - 2)
    monkeypatch.setattr('satvsr_plugin.disk.free_space', lambda place: 1_000_000)
    with pytest.raises(DataError, match='4.3 GB are needed, but only 1.0 MB are free'):
        unpack(archive, target)
    assert everything(target) == []


def test_an_endless_list_is_given_up(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, 'MOST_MEMBERS', 2)
    with pytest.raises(DataError, match='more than 2 files'):
        unpack(make_zip(tmp_path / 'a.zip', FRAMES), target)


@pytest.mark.parametrize('suffix', ['.zip', '.tar', '.tar.gz', '.tar.bz2', '.tar.xz'])
@pytest.mark.parametrize('left', [0.0, 0.3, 0.97])
def test_archives_that_are_cut_short(tmp_path: Path, target: Path, suffix: str, left: float) -> None:
    make = make_zip if suffix == '.zip' else make_tar
    archive = make(tmp_path / f'a{suffix}', {f'set/{number}.png': os.urandom(9000) for number in range(9)})
    if suffix == '.tar':  # to the end of the last file; what follows is filled up with zeros
        archive.write_bytes(archive.read_bytes()[:9 * (512 + 9216)])
    archive.write_bytes(archive.read_bytes()[:int(left * archive.stat().st_size)])
    with pytest.raises(DataError, match='the archive is damaged, cut short'):
        unpack(archive, target)
    assert everything(target) == []


def test_a_tar_that_ends_between_two_files_is_cut_short(tmp_path: Path, target: Path) -> None:
    archive = make_tar(tmp_path / 'a.tar', {'0.png': bytes(100), '1.png': bytes(100)})
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(DataError, match="it breaks off after '0.png'"):
        unpack(archive, target)


def test_a_damaged_header_in_a_tar_is_not_taken_for_its_end(tmp_path: Path, target: Path) -> None:
    archive = make_tar(tmp_path / 'a.tar', {'0.png': bytes(100), '1.png': bytes(100)})
    content = bytearray(archive.read_bytes())
    content[1024] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="it breaks off after '0.png'"):
        unpack(archive, target)


def test_a_damaged_member_is_named(tmp_path: Path, target: Path) -> None:
    archive = make_zip(tmp_path / 'a.zip', FRAMES)
    content = bytearray(archive.read_bytes())
    content[content.index(b'small')] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match='a.zip: set/LR4x/000/000.png: the archive is damaged.*CRC'):
        unpack(archive, target)
    assert everything(target) == []


@pytest.mark.parametrize('name', ['a.zip', 'a.tar.gz'])
def test_other_files_called_like_archives(tmp_path: Path, target: Path, name: str) -> None:
    (tmp_path / name).write_bytes(os.urandom(1000))
    with pytest.raises(DataError, match='one of several parts'):
        unpack(tmp_path / name, target)
    with pytest.raises(DataError, match=r'a.rar: cannot be unpacked here; .*\.zip, \.tar'):
        unpack(make_zip(tmp_path / 'a.rar', FRAMES), target)
    with pytest.raises(DataError, match='No such file'):
        unpack(tmp_path / 'missing.zip', target)
    with pytest.raises(DataError, match='holds no files'):
        unpack(make_zip(tmp_path / 'empty.zip', {}), target)


def times(folder: Path) -> dict[tuple[str, ...], int]:
    return {path.parts[-3:]: path.stat().st_mtime_ns for path in folder.rglob('*.png')}


KILLED = """
import os, signal, sys
from pathlib import Path
from satvsr_plugin.data.download.unpack import unpack
count, name = int(sys.argv[3]), sys.argv[4]
original = getattr(os, name)
def counted(*arguments):
    global count
    count -= 1
    if count < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)
setattr(os, name, counted)
unpack(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize(('call', 'count'), [('replace', 3), ('rename', 1)])
@pytest.mark.parametrize('suffix', ['.zip', '.tar.gz'])
def test_killed_it_goes_on(tmp_path: Path, target: Path, suffix: str, call: str, count: int) -> None:
    """In the middle of unpacking (``replace``) and of moving into place (``rename``)."""
    make = make_zip if suffix == '.zip' else make_tar
    archive = make(tmp_path / f'a{suffix}', {**FRAMES, 'top.txt': b'x', 'zz/more': b'y'})
    run = subprocess.run([sys.executable, '-c', KILLED, archive, target, str(count), call],
                         env={**os.environ, 'SATVSR_REGISTER': '0'}, capture_output=True)
    assert run.returncode == -signal.SIGKILL
    visible = [path for path in target.iterdir() if not path.name.startswith('.')]
    assert len(visible) == (0 if call == 'replace' else 1)
    written = times(target)
    assert written

    assert unpack(archive, target) == ['set', 'top.txt', 'zz']
    assert contents(target) == {**FRAMES, 'top.txt': b'x', 'zz/more': b'y'}
    assert written.items() <= times(target).items()  # not written again
    assert sorted(os.listdir(target)) == ['set', 'top.txt', 'zz']


def test_another_archive_of_the_same_name_begins_anew(tmp_path: Path, target: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / 'a.zip', FRAMES)

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'rename', full)
    with pytest.raises(DataError, match='a.zip: cannot be unpacked .*: No space left on device.*run again to go on'):
        unpack(archive, target)
    assert os.listdir(target) == ['.a.zip.unpacking']
    monkeypatch.undo()
    unpack(make_zip(tmp_path / 'a.zip', {'other': b'1'}), target)
    assert contents(target) == {'other': b'1'}


def test_an_archive_lists_what_it_declares(tmp_path: Path) -> None:
    with open_archive(make_tar(tmp_path / 'a.tar', FRAMES)) as archive:
        assert {member.name: member.size for member in archive.members} == {n: len(c) for n, c in FRAMES.items()}
        assert archive.size == 3005


def test_safe_names_are_kept() -> None:
    for name in ('a', 'a b/c..d/...', 'é/中.png', 'ab:c', 'trainset/GT/000/000.png'):
        assert safe_name(name) == name
    assert safe_name('./') == '' and safe_name('./a/./b//') == 'a/b'


def test_archives_for_other_programs() -> None:
    assert by_hand(['read me.txt', 'a.zip', 'a.tar.gz', 'data.csv.gz', 'a.png']) == {}
    assert by_hand(['a b.7z', 'set.rar', 'set2.rar']) == {
        'a b.7z': "7z x 'a b.7z'", 'set.rar': 'unrar x set.rar', 'set2.rar': 'unrar x set2.rar'}
    assert by_hand(['a.7z.002', 'a.7z.001', 'b.part2.rar', 'b.part1.rar', 'c.part01.rar', 'c.part02.rar']) == {
        'a.7z.001': '7z x a.7z.001', 'b.part1.rar': 'unrar x b.part1.rar', 'c.part01.rar': 'unrar x c.part01.rar'}
    assert by_hand(['a.zip', 'a.z01', 'a.z02', 'b.zip']) == {'a.zip': '7z x a.zip'}
    assert by_hand(['a.tar.gz.aa', 'a.tar.gz.ab', 'b.tar.00', 'b.tar.01']) == {
        'a.tar.gz.aa': 'cat a.tar.gz.* | tar xz', 'b.tar.00': 'cat b.tar.* | tar x'}
