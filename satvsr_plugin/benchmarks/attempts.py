"""Tries what may fail, and what it takes: reasons in words, and memory at its peak."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from basicsr.utils import get_root_logger

from satvsr_plugin.comparison.memory import PeakMemory
from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.models.segments import is_out_of_memory


def attempt(run: Callable[..., Any], *arguments: Any) -> Any:
    """What ``run(*arguments)`` returns, or, where it fails, the reason as one line."""
    try:
        return run(*arguments)
    except Exception as error:  # whatever a network, a compiler or a GPU does: the others are measured all the same
        return reason_of(error)


def reason_of(error: Exception) -> str:
    """One line for a table."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_out_of_memory(error)):
        return 'out of memory'
    kind = '' if isinstance(error, SatVSRError) else f'{type(error).__name__}: '
    return kind + (str(error).strip().splitlines() or ['an error without a message'])[0][:160]


def give_memory_back() -> None:
    """Give memory that nobody uses back to the system, so that it is seen when it is taken again."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == 'linux':
        trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # of glibc
        if trim is not None:
            trim(0)


def measure_peak(run: Callable[[], Any], device: torch.device) -> int:
    """Bytes that ``run`` takes at its peak, over what is held before."""
    give_memory_back()
    memory = PeakMemory(device)
    memory.reset()
    run()
    return memory.peak()


@contextmanager
def warnings_are_errors() -> Iterator[None]:
    """A fast path that cannot be had warns in the log and takes the plain one, which must not be measured for it."""
    class Refuse(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SatVSRError(record.getMessage())

    handler = Refuse(logging.WARNING)
    get_root_logger().addHandler(handler)
    try:
        yield
    finally:
        get_root_logger().removeHandler(handler)
