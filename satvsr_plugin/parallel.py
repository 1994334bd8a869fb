"""The same work on many items in several processes: results in order, bounded memory, no process left behind."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

import cv2

from satvsr_plugin.errors import DataError

Item = TypeVar('Item')
Result = TypeVar('Result')

AHEAD = 4  # items in work or waiting to be taken, for each process


def available_processes() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def add_processes_argument(parser: argparse.ArgumentParser) -> None:
    """Give a script the option ``--processes``: by default one for each core, at most sixteen."""
    parser.add_argument('--processes', type=_number_of_processes, default=available_processes(), metavar='N',
                        help='how many work at the same time (default: one for each core, here %(default)s)')


def _number_of_processes(text: str) -> int:
    most = 16 * available_processes()
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f'{text} is not a number of processes for this machine; give 1 to {most}')
    return int(text)


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item],
                processes: int) -> Generator[tuple[Item, Result | DataError], None, None]:
    """Apply a function to items in several processes; at most ``AHEAD * processes`` results wait in memory.

    Processes rather than threads: a decoder that crashes on a hostile file takes a worker with it, not the run.

    Args:
        function: picklable, as are its results.
        items: each item must say in its ``str`` what it is about, e.g. ``clip/frame``.
        processes: how many; with one all is done in this process.

    Yields:
        Each item, in order, and its result, or the ``DataError`` that the function raised. Other errors are raised
        here.

    Raises:
        DataError: a process died; names the items that were in work.
    """
    if processes <= 1:
        for item in items:
            yield item, _guarded(function, item)
        return
    with _opencv_without_threads():
        yield from _in_processes(function, iter(items), processes)


def _in_processes(function: Callable[[Item], Result], rest: Iterator[Item],
                  processes: int) -> Iterator[tuple[Item, Result | DataError]]:
    # Forked workers share what is loaded and start at once; where the system is not made for it, they are spawned.
    context = multiprocessing.get_context('fork' if sys.platform == 'linux' else None)
    pool = ProcessPoolExecutor(processes, context, initializer=_start_worker)
    waiting: deque[tuple[Item, Future]] = deque()
    try:
        while True:
            for item in islice(rest, AHEAD * processes - len(waiting)):
                waiting.append((item, pool.submit(_guarded, function, item)))
            if not waiting:
                return
            item, future = waiting[0]
            result = future.result()
            waiting.popleft()
            yield item, result
    except BrokenProcessPool as error:
        names = ', '.join(str(item) for item, future in waiting if not _is_done(future))
        raise DataError(f'a worker process died while working on one of: {names}; was it killed for lack of memory? '
                        'With one process (--processes 1) the frame shows') from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _opencv_without_threads() -> Iterator[None]:
    """End OpenCV's threads before a fork.

    A forked process has none of them but does not know: when it sets their number, it waits for them to end, and for
    ever where another library's thread has taken the place of one.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _is_done(future: Future) -> bool:
    return future.done() and future.exception() is None


def _guarded(function: Callable[[Item], Result], item: Item) -> Result | DataError:
    try:
        return function(item)
    except DataError as error:
        return error


def _start_worker() -> None:
    """One thread a process; Ctrl-C is the parent's business; and no worker outlives a parent that was killed."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in workers only
    wait([parent.sentinel])
    os._exit(1)
