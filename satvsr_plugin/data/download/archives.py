"""ZIP and tar archives behind one interface, with every member known and safe before anything is unpacked."""

from __future__ import annotations

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Generic, TypeVar

from tqdm import tqdm

from satvsr_plugin.data.download.kinds import SUFFIXES, ZIP_SUFFIXES, is_unpackable
from satvsr_plugin.data.download.members import Member, conflicts, is_litter, link_target, safe_name
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
MOST_MEMBERS = 2_000_000  # Jilin-189 has some 60,000; the list of an endless archive would fill the memory
LONGEST_LINK = 4096  # bytes of the path that a link holds
CHUNK = 1 << 20  # bytes
BLOCK = 512  # bytes of a tar header

# What the standard library raises for damaged archives; some of its decoders raise an OSError without a number, too.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError,
          struct.error)

Source = TypeVar('Source', zipfile.ZipInfo, tarfile.TarInfo)  # what the standard library knows of a member


class Archive(ABC, Generic[Source]):
    """An open archive.

    Attributes:
        path: the file.
        members: without folders and without what file managers leave behind; in the archive's order.

    Raises:
        DataError: the archive holds a member that is encrypted or not safe to unpack.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.members: list[Member] = []
        self._sources: list[Source] = []
        problems = []
        for count, (raw_name, source) in enumerate(self._list()):
            if count == MOST_MEMBERS:
                raise DataError(f'{path}: more than {MOST_MEMBERS} files; this is no data set, so it is not unpacked')
            try:
                name = safe_name(raw_name)
                if name and not is_litter(name):
                    self.members.append(self._member(name, source))
                    self._sources.append(source)
            except ValueError as error:
                problems.append(f'{raw_name!r}: {error}')
        raise_problems(f'{path}: cannot be unpacked safely, so nothing was', problems or conflicts(self.members))

    @property
    def size(self) -> int:
        """Bytes of all members, as declared; none is ever read further."""
        return sum(member.size for member in self.members)

    def contents(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each member that is not a link, and its content, to be read before the next member is asked for.

        Raises:
            DataError: while reading: the member is damaged, or longer or shorter than declared.
        """
        for member, source in zip(self.members, self._sources, strict=True):
            if member.target is None:
                yield member, self._chunks(member, source)

    def _chunks(self, member: Member, source: Source) -> Iterator[bytes]:
        left = member.size
        with _damage(f'{self.path}: {member.name}'), self._open(source) as stream:
            while chunk := stream.read(min(CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise ValueError('it is longer than declared')
                yield chunk
            if left:
                raise ValueError('it is shorter than declared')

    @abstractmethod
    def _list(self) -> Iterator[tuple[str, Source]]:
        """Names as written in the archive, folders left out."""

    @abstractmethod
    def _member(self, name: str, source: Source) -> Member:
        """Raises ``ValueError`` that says why it is not unpacked."""

    @abstractmethod
    def _open(self, source: Source) -> IO[bytes]:
        """The content of a member."""


class ZipArchive(Archive[zipfile.ZipInfo]):
    """A ZIP archive."""

    def __init__(self, path: Path, raw: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(raw)
        super().__init__(path)

    def _list(self) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        for info in self._zip.infolist():
            if not info.orig_filename.endswith(('/', '\\')):  # the other name is cut at a NUL
                yield info.orig_filename, info

    def _member(self, name: str, source: zipfile.ZipInfo) -> Member:
        if source.flag_bits & 0x1:
            raise ValueError('is encrypted; unpack it with a program that asks for the password, e.g. "7z x"')
        if source.compress_type not in ZIP_METHODS:
            raise ValueError(f'its compression (method {source.compress_type}) is unknown to Python; unpack with '
                             '"7z x"')
        kind = stat.S_IFMT(source.external_attr >> 16)  # zero where the archive was made on Windows
        if kind == stat.S_IFLNK:
            if source.file_size > LONGEST_LINK:
                raise ValueError('is a link with too long a target')
            return Member(name, 0, link_target(name, self._zip.read(source).decode(errors='replace')))
        if kind not in (0, stat.S_IFREG):
            raise ValueError('is neither a file nor a folder')
        return Member(name, source.file_size)

    def _open(self, source: zipfile.ZipInfo) -> IO[bytes]:
        return self._zip.open(source)


class TarArchive(Archive[tarfile.TarInfo]):
    """A tar archive, compressed or not. A compressed one is read once for its list, and once more for its content."""

    def __init__(self, path: Path, raw: IO[bytes]) -> None:
        self._raw = raw
        self._tar = tarfile.open(fileobj=raw, mode='r:*')  # noqa: SIM115  (what is opened is raw, closed elsewhere)
        super().__init__(path)

    def _list(self) -> Iterator[tuple[str, tarfile.TarInfo]]:
        last = None
        with tqdm(total=self.path.stat().st_size, desc=f'listing {self.path.name}', unit='B', unit_scale=True) as bar:
            for info in self._tar:
                if info.size < 0:  # tarfile would go back and never end
                    raise DataError(_damaged(f'{self.path}: {info.name!r}', 'negative size'))
                bar.update(max(0, self._raw.tell() - bar.n))
                last = info.name
                if not info.isdir():
                    yield info.name, info
        # tarfile takes a damaged header for the end; the true end is a block of zeros
        self._tar.fileobj.seek(self._tar.offset)
        if self._tar.fileobj.read(BLOCK) != bytes(BLOCK):
            raise DataError(_damaged(str(self.path), f'it breaks off after {last!r}'))

    def _member(self, name: str, source: tarfile.TarInfo) -> Member:
        if source.issym():
            return Member(name, 0, link_target(name, source.linkname))
        if source.islnk():
            return Member(name, 0, safe_name(source.linkname))
        if not source.isreg():
            raise ValueError('is neither a file nor a folder')
        return Member(name, source.size)

    def _open(self, source: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(source)
        assert content is not None  # it is for what is no file, and _member refuses that
        return content


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a ZIP or tar archive, as its name says.

    Raises:
        DataError: it is of another kind, damaged, encrypted, or holds a member that is not safe to unpack.
        OSError: it cannot be opened.
    """
    if not is_unpackable(path.name):
        raise DataError(f'{path}: cannot be unpacked here; the names of archives that can end with '
                        f'{", ".join(SUFFIXES)}')
    with open(path, 'rb') as raw:
        with _damage(str(path)):
            kind = ZipArchive if path.name.lower().endswith(ZIP_SUFFIXES) else TarArchive
            archive = kind(path, raw)
        yield archive


@contextmanager
def _damage(place: str) -> Iterator[None]:
    """Turn what the standard library raises for damaged archives into a ``DataError``."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(_damaged(place, error)) from error
    except DAMAGE as error:
        raise DataError(_damaged(place, error)) from error


def _damaged(place: str, why: Exception | str) -> str:
    return (f'{place}: the archive is damaged, cut short, or one of several parts ({str(why) or type(why).__name__}); '
            'nothing of it was unpacked. If fetching it anew does not help, try "7z x"')
