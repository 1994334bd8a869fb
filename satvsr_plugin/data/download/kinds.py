"""Kinds of archives by their names: those that are unpacked here, and those that need another program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

ZIP_SUFFIXES = ('.zip',)
TAR_SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tbz2', '.tar.xz', '.txz')
SUFFIXES = (*ZIP_SUFFIXES, *TAR_SUFFIXES)


def is_unpackable(name: str) -> bool:
    """Whether a file is called like an archive that Python reads."""
    return name.lower().endswith(SUFFIXES)


def without_suffix(name: str) -> str:
    """``trainset`` for ``trainset.tar.gz``."""
    suffix = max((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), key=len, default='')
    return name[:len(name) - len(suffix)] or name


def by_hand(names: Iterable[str]) -> dict[str, str]:
    """Find the archives among some files that Python does not read: RAR, 7z, and all that is split into parts.

    Returns:
        The name of each (of its first part, or of the part that the program asks for), and the command to unpack it.
    """
    names = sorted(names)
    split_zips = {name[:-4].lower() for name in names if name.lower().endswith('.z01')}
    commands = {}
    for name in names:
        lower, quoted = name.lower(), shlex.quote(name)
        is_split_zip = lower.endswith('.zip') and lower[:-4] in split_zips
        follows_another = f'{name[:-1]}0' in names
        if is_split_zip or (re.search(r'\.(7z|(7z|zip|tar|rar)\.0*1)$', lower) and not follows_another):
            commands[name] = f'7z x {quoted}'
        elif re.search(r'\.part0*1\.rar$', lower) or re.search(r'(?<!\.part\d)(?<!\.part\d\d)\.rar$', lower):
            commands[name] = f'unrar x {quoted}'
        elif re.search(r'\.(tar|tgz|gz|bz2|xz)\.(aa|0+)$', lower):
            stem, _, _ = name.rpartition('.')
            commands[name] = f'cat {shlex.quote(stem)}.* | tar x{_compression_flag(stem.lower())}'
    return commands


def _compression_flag(name: str) -> str:
    """What tar needs to be told when it reads from a pipe."""
    return next((flag for end, flag in (('gz', 'z'), ('bz2', 'j'), ('xz', 'J')) if name.endswith(end)), '')
