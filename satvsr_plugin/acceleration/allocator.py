"""Freed memory on a CPU: kept for the next tensor instead of given back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3); before glibc 2.35 no threshold for mmap would be high enough
_LARGEST = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Make glibc keep what it frees, for the rest of the process.

    By default every tensor of more than 32 MiB is asked from the system and given back, which then hands out each page
    anew, cleared: that can take as long as computing the tensor. The price is memory: up to twice as much is held.

    Returns:
        Whether it does. Not on other systems, and not where the user has set this up in the environment.
    """
    if not can_keep_freed_memory():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))


def can_keep_freed_memory() -> bool:
    """Whether glibc is there, and left alone by the environment."""
    if not sys.platform.startswith('linux') or 'glibc.malloc' in os.environ.get('GLIBC_TUNABLES', '') \
            or any(name.startswith('MALLOC_') for name in os.environ):
        return False
    libc = ctypes.CDLL(None)
    return hasattr(libc, 'gnu_get_libc_version') and hasattr(libc, 'mallopt')
