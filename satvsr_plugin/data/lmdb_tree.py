"""Whether the tree of an LMDB can be followed: LMDB itself trusts its file, and damage ends the whole process.

Pages are read with the system's ``read``, not through LMDB's map. The frames are not read, only where they lie: for
19,000 frames some hundred pages. The layout is that of data version 1 (``mdb.c`` of LMDB 0.9, "Page Format").
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

NO_PAGE = 2**64 - 1
HEADER = struct.Struct('=QHHHH')  # of a page: number, padding, flags, end of the pointers, start of the nodes
BRANCH, LEAF = 1, 2  # flags of pages
NODE = struct.Struct('=HHHH')  # low and high half of a size or child, flags, bytes of the key
ELSEWHERE, OTHER = 1, 6  # flags of nodes: the value has pages of its own; it is a database in the database
# Magic, version, page size; of the main database flags and root; last page, transaction
META = struct.Struct('=II16xI44x4xHxx32xQQQ')
MAGIC = 0xBEEFC0DE
PAGE_SIZES = tuple(2**power for power in range(8, 17))


class TreeError(Exception):
    """What is wrong with the file, as a part of a sentence."""


def check_tree(descriptor: int, size: int) -> None:
    """Follow every pointer from the root to the values.

    Args:
        descriptor: of the open ``data.mdb``.
        size: bytes of the file.

    Raises:
        TreeError: it is no LMDB, or a page or a value would lie outside the file or its page.
        OSError: the file cannot be read.
    """
    root, pages, page_size = _root(descriptor, size)
    waiting, seen = [root] if root != NO_PAGE else [], set()
    while waiting:
        number = waiting.pop()
        if number >= pages or number in seen:
            raise TreeError(f'data.mdb is damaged (page {number} is out of place)')
        seen.add(number)
        waiting.extend(_children(os.pread(descriptor, page_size, number * page_size), number, page_size, pages))


def _root(descriptor: int, size: int) -> tuple[int, int, int]:
    """Number of the main database's root, number of pages and their size: by the later one of the file's two heads."""
    first = _head(descriptor, 0)
    page_size = first.page_size
    head = max(first, _head(descriptor, page_size))
    if head.page_size != page_size:
        raise TreeError('data.mdb is damaged (its head)')
    if head.flags:
        raise TreeError('data.mdb holds no frames (its keys are not names)')
    if (head.last + 1) * page_size > size:
        raise TreeError(f'data.mdb is cut short ({size} of {(head.last + 1) * page_size} bytes)')
    return head.root, head.last + 1, page_size


class _Head(NamedTuple):
    transaction: int
    page_size: int
    flags: int
    root: int
    last: int


def _head(descriptor: int, place: int) -> _Head:
    content = os.pread(descriptor, HEADER.size + META.size, place)
    if len(content) < HEADER.size + META.size:
        raise TreeError(f'data.mdb is cut short ({place + len(content)} bytes) or empty')
    magic, version, page_size, flags, root, last, transaction = META.unpack_from(content, HEADER.size)
    if magic != MAGIC or version != 1 or page_size not in PAGE_SIZES:
        raise TreeError('cannot open the LMDB: the head of data.mdb is damaged, or it is none')
    return _Head(transaction, page_size, flags, root, last)


def _children(page: bytes, number: int, page_size: int, pages: int) -> Iterator[int]:
    """Numbers of the pages below a page; of a leaf the values are checked, and there is none."""
    if len(page) < page_size:
        raise TreeError(f'data.mdb is cut short (page {number})')
    own, _, flags, lower, upper = HEADER.unpack_from(page)
    count = (lower - HEADER.size) // 2
    sound = own == number and flags in (BRANCH, LEAF) and HEADER.size <= lower <= upper <= page_size
    if not sound or count < (2 if flags == BRANCH else 1):
        raise TreeError(f'data.mdb is damaged (page {number})')
    for place in struct.unpack_from(f'={count}H', page, HEADER.size):
        if not upper <= place <= page_size - NODE.size:
            raise TreeError(f'data.mdb is damaged (page {number})')
        low, high, kind, key = NODE.unpack_from(page, place)
        value = place + NODE.size + key
        if flags == BRANCH:
            yield low | high << 16 | kind << 32
        elif not _fits(page, value, low | high << 16, kind, pages):
            raise TreeError(f'data.mdb is damaged (an entry of page {number})')
        if value > page_size:
            raise TreeError(f'data.mdb is damaged (page {number})')


def _fits(page: bytes, value: int, length: int, kind: int, pages: int) -> bool:
    """Whether the value of a leaf's entry lies in its page, or in pages of its own inside the file."""
    if kind & OTHER:
        return False
    if not kind & ELSEWHERE:
        return value + length <= len(page)
    if value + 8 > len(page):
        return False
    first, = struct.unpack_from('=Q', page, value)
    return 1 < first < pages and first + -(-(HEADER.size + length) // len(page)) <= pages
