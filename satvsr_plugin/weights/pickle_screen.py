"""A pickle is looked through before it is unpickled: nothing in it may fill the memory or crash the interpreter.

Python's unpickler is safe from code once it finds no global but inert ones, yet not from bytes made to harm it: it
reserves whatever memory an index or a length asks for, and hashing tuples that are nested a hundred thousand deep
overflows its stack.
"""

from __future__ import annotations

import pickletools
from io import BytesIO
from typing import Any

from satvsr_plugin.errors import WeightsError

MOST_OPERATIONS = 200_000  # a network of a thousand tensors takes half
DEEPEST_NESTING = 100
MARK = -1

# What protocol 2 needs, which torch.save writes. Left out: the registry of extensions, out-of-band buffers, and
# everything that other protocols do in other ways.
PUTS = {'BINPUT', 'LONG_BINPUT'}
GETS = {'BINGET', 'LONG_BINGET'}
TUPLES = {'EMPTY_TUPLE', 'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3'}
ALLOWED = PUTS | GETS | TUPLES | {
    'PROTO', 'STOP', 'MARK', 'NONE', 'NEWTRUE', 'NEWFALSE', 'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT',
    'BINUNICODE', 'BINSTRING', 'SHORT_BINSTRING', 'EMPTY_LIST', 'APPEND', 'APPENDS', 'EMPTY_DICT', 'SETITEM',
    'SETITEMS', 'GLOBAL', 'REDUCE', 'NEWOBJ', 'BUILD', 'BINPERSID',
}


def next_pickle(stream: BytesIO) -> bytes:
    """Cut the next pickle out of a stream, once it was looked through; the stream then stands behind it.

    Raises:
        WeightsError: it does what no saved network does.
        ValueError, IndexError, KeyError, ...: it is damaged, or ends early.
    """
    start = stream.tell()
    nesting = _Nesting()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in ALLOWED:
            raise WeightsError(f'refused, since its pickle uses {opcode.name}, which no saved network needs')
        if number >= MOST_OPERATIONS:
            raise WeightsError(f'refused, since its pickle is longer than {MOST_OPERATIONS:,} operations')
        nesting.follow(opcode, argument)
    return bytes(stream.getbuffer()[start:stream.tell()])


class _Nesting:
    """How deep tuples lie in tuples, at most, for everything on the unpickler's stack and in its memo."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.memo: dict[int, int] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        if opcode.name in PUTS:
            if argument > MOST_OPERATIONS:
                raise WeightsError(f'refused, since its pickle claims to remember {argument:,} things')
            self.memo[argument] = self._pop(1)[0]
            self.stack.append(self.memo[argument])
        elif opcode.name in GETS:
            self.stack.append(self.memo[argument])
        else:
            # Whatever an operation makes counts as deep as what it was made of: many hand their first operand on.
            depth = max(self._take(opcode.stack_before), default=0) + (opcode.name in TUPLES)
            if depth > DEEPEST_NESTING:
                raise WeightsError(f'refused, since its pickle nests tuples more than {DEEPEST_NESTING} deep')
            self.stack += [MARK if kind is pickletools.markobject else depth for kind in opcode.stack_after]

    def _take(self, kinds: list[pickletools.StackObject]) -> list[int]:
        """Take off the stack what an operation consumes: so many things, or all down to the last mark and so many."""
        if pickletools.markobject not in kinds:
            return self._pop(len(kinds))
        mark = len(self.stack) - 1 - self.stack[::-1].index(MARK)
        taken = self.stack[mark + 1:]
        del self.stack[mark:]
        return taken + self._pop(kinds.index(pickletools.markobject))

    def _pop(self, number: int) -> list[int]:
        first = len(self.stack) - number
        taken = self.stack[first:] if first >= 0 else [MARK]
        if MARK in taken:
            raise IndexError('it takes more from its stack than there is')
        del self.stack[first:]
        return taken
