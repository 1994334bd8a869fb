"""Files in an archive: names that stay in the folder that they are unpacked to, or are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LITTER = ('__MACOSX', '.DS_Store', 'Thumbs.db')  # of file managers


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: relative, with slashes, as :func:`safe_name` returns it.
        size: bytes, as declared.
        target: name of the member that this one is another name for (a link); none for most.
    """

    name: str
    size: int
    target: str | None = None


def safe_name(name: str) -> str:
    """A member's name with slashes between its parts; empty for the folder itself.

    Raises:
        ValueError: it could lead out of the folder that the archive is unpacked to.
    """
    if re.search(r'[\x00-\x1f\x7f]', name):
        raise ValueError('control characters in its name')
    # tar archives may hold names in any encoding; some programs on Windows write backslashes
    name = name.encode(errors='surrogateescape').decode(errors='replace').replace('\\', '/')
    if name.startswith('/') or re.match('[A-Za-z]:', name):
        raise ValueError('its name begins at the root of a disk')
    parts = [part for part in name.split('/') if part not in ('', '.')]
    if '..' in parts:
        raise ValueError('its name leads out of the folder (..)')
    return '/'.join(parts)


def link_target(name: str, target: str) -> str:
    """What a symbolic link called ``name`` leads to, as the name of a member.

    Raises:
        ValueError: it leads out of the folder that the archive is unpacked to.
    """
    target = target.replace('\\', '/')
    place = name.split('/')[:-1]
    for part in target.split('/'):
        if part == '..' and place:
            place.pop()
        elif part == '..' or target.startswith('/'):
            raise ValueError(f'is a link that leads out of the folder ({target})')
        elif part not in ('', '.'):
            place.append(part)
    return safe_name('/'.join(place))


def is_litter(name: str) -> bool:
    """Whether a file manager left this file."""
    parts = name.split('/')
    return any(part in LITTER for part in parts) or parts[-1].startswith('._')


def conflicts(members: Sequence[Member]) -> list[str]:
    """What is wrong with the members of an archive together: names that cannot all exist, links to nothing."""
    problems = []
    links: dict[str, bool] = {}
    for member in members:
        if member.name in links:
            problems.append(f'{member.name!r}: is there twice')
        links[member.name] = member.target is not None
    problems += [f'{member.name!r}: is a link, and {member.target!r}, to which it leads, is no file here'
                 for member in members if member.target is not None and links.get(member.target, True)]
    folders = {folder for name in links for folder in parents(name)}
    return problems + [f'{name!r}: is both a file and a folder' for name in links if name in folders]


def parents(name: str) -> Iterator[str]:
    """``a/b`` and ``a`` for ``a/b/c``."""
    while '/' in name:
        name = name.rpartition('/')[0]
        yield name
