"""Unpacking that cannot leave its folder, shows nothing half-done, and goes on after being killed."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from satvsr_plugin.atomic import resumable, written_beside
from satvsr_plugin.data.download.archives import Archive, open_archive
from satvsr_plugin.data.download.kinds import without_suffix
from satvsr_plugin.data.download.members import Member, parents
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.disk import require_space
from satvsr_plugin.errors import DataError


def unpack(archive: Path, target: Path, overwrite: bool = False, own_folder: bool = False,
           finished: Callable[[list[str]], None] = lambda names: None) -> list[str]:
    """Unpack a ZIP or tar archive into a folder.

    All is unpacked into a hidden folder in ``target`` first, where a killed run is taken up, and moved into place at
    the end. Permissions and times of the archive are not kept. Links to files of the archive become hard links, so
    no link is ever made that later files could be written through. Progress goes to stderr.

    Args:
        archive: its name says the kind.
        target: made if it is missing.
        overwrite: replace files that are there already.
        own_folder: an archive with more than one thing at its top gets a folder of its own name in ``target``.
        finished: called with what is returned when all is in place and it is not yet forgotten that it is. A caller
            that makes a note of it there never finds files that it does not know of.

    Returns:
        Names in ``target`` of what was unpacked.

    Raises:
        DataError: the archive is damaged, encrypted, of another kind, or holds a member that is not safe; files are
            there already; the disk is full. Nothing was unpacked then.
    """
    try:
        source = archive.stat()
        staging = unpacking_folder(target.resolve(), archive.name)
        with resumable(staging, [archive.name, source.st_size, source.st_mtime_ns, own_folder]):
            names = _unpack(archive, target.resolve(), staging, overwrite, own_folder)
            finished(names)
            return names
    except OSError as error:
        raise DataError(f'{archive}: cannot be unpacked to {target}: {error.strerror or error}'
                        f'{f" ({error.filename})" if error.filename else ""}. Once that is mended, run again to go '
                        'on') from error


def unpacking_folder(target: Path, name: str) -> Path:
    """Where the unfinished work on an archive of this name is."""
    return target / f'.{name}.unpacking'


def _unpack(archive: Path, target: Path, staging: Path, overwrite: bool, own_folder: bool) -> list[str]:
    content, complete = staging / 'content', staging / 'complete'
    if not complete.exists():
        try:
            with open_archive(archive) as opened:
                tops = sorted({member.name.partition('/')[0] for member in opened.members})
                prefix = without_suffix(archive.name) if own_folder and len(tops) > 1 else ''
                _check_target(opened, target, prefix, overwrite)
                _extract(opened, content / prefix, staging)
        except DataError:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        with written_beside(complete) as partial:
            partial.write_text(json.dumps([prefix] if prefix else tops))
    unpacked = json.loads(complete.read_text())
    _merge(content, target, overwrite)
    return unpacked


def _check_target(archive: Archive, target: Path, prefix: str, overwrite: bool) -> None:
    """Find all that would be in the way."""
    names = [f'{prefix}/{member.name}' if prefix else member.name for member in archive.members]
    if not names:
        raise DataError(f'{archive.path}: holds no files')
    folders = {folder for name in names for folder in parents(name)}
    problems = [f'{folder}: is a link or a file here, but a folder in the archive; move it away'
                for folder in sorted(folders) if not _is_free_or_folder(target / folder)]
    there = [name for name in names if os.path.lexists(target / name)]
    problems += [f'{name}: is a folder here, but a file in the archive; move it away'
                 for name in there if (target / name).is_dir()]
    if not overwrite:
        problems += [f'{name}: exists already; add --overwrite to replace it' for name in there]
    raise_problems(f'{archive.path}: cannot be unpacked to {target}', problems)


def _is_free_or_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True


def _extract(archive: Archive, content: Path, staging: Path) -> None:
    """Write all members below ``content``; those that a killed run has finished are kept."""
    done = {member.name for member in archive.members
            if member.target is None and (content / member.name).is_file()}
    left = sum(member.size for member in archive.members if member.name not in done)
    require_space(staging, left)
    content.mkdir(parents=True, exist_ok=True)
    partial = staging / 'partial'
    with tqdm(total=archive.size, initial=archive.size - left, desc=f'unpacking {archive.path.name}', unit='B',
              unit_scale=True) as bar:
        for member, chunks in archive.contents():
            if member.name in done:
                continue
            with open(partial, 'wb') as stream:
                for chunk in chunks:
                    stream.write(chunk)
                    bar.update(len(chunk))
            path = content / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, path)
    _link(archive.members, content)


def _link(members: list[Member], content: Path) -> None:
    for member in members:
        path = content / member.name
        if member.target is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(content / member.target, path)


def _merge(content: Path, target: Path, overwrite: bool) -> None:
    """Move what is in one folder into another. Killed, it leaves in ``content`` exactly what is not yet moved."""
    target.mkdir(exist_ok=True)
    for name in sorted(os.listdir(content)):
        source, goal = content / name, target / name
        if not os.path.lexists(goal):
            os.rename(source, goal)
        elif source.is_dir() and goal.is_dir() and not goal.is_symlink():
            _merge(source, goal, overwrite)
        elif overwrite and source.is_file():
            os.replace(source, goal)
        else:
            raise DataError(f'{goal}: came to be while the archive was unpacked; move it away and run again')
