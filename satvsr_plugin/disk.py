"""Room on disks, in words."""

from __future__ import annotations

import shutil
from pathlib import Path

from satvsr_plugin.errors import DataError


def format_size(size: float) -> str:
    """Bytes for people: ``12.3 GB`` (powers of 1000, as disks are sold)."""
    if round(size) < 1000:
        return f'{size:.0f} bytes'
    for unit in ('kB', 'MB', 'GB'):
        size /= 1000
        if round(size, 1) < 1000:
            return f'{size:.1f} {unit}'
    return f'{size / 1000:.1f} TB'


def free_space(target: Path) -> int:
    """Bytes that may be written to the disk on which ``target`` lies or will lie."""
    place = target.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def require_space(target: Path, needed: int, advice: str = '') -> None:
    """Refuse work that the disk cannot hold.

    Args:
        target: the file or folder that will be written; need not exist.
        needed: bytes.
        advice: what else can be done, a sentence.

    Raises:
        DataError: fewer bytes than that are free.
    """
    free = free_space(target)
    if free < needed:
        raise DataError(f'{target}: {format_size(needed)} are needed, but only {format_size(free)} are free on its '
                        f'disk; make room or choose another place{advice and ". "}{advice}')
