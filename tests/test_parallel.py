"""Work in several processes: order, read-ahead, errors, and that no process is left behind, whoever is killed."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from satvsr_plugin.errors import DataError
from satvsr_plugin.parallel import AHEAD, add_processes_argument, available_processes, ordered_map


def slow_if_even(number: int) -> tuple[int, int]:
    time.sleep(0.05 if number % 2 == 0 else 0)
    return number * number, os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise DataError('000/003.png: damaged')
    return number


def divide(number: int) -> float:
    return 1 / number


def die(name: str) -> str:
    if name == 'a/exits.png':
        time.sleep(0.3)  # the other item is done by then
        os._exit(3)
    if name == 'a/killed.png':
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return name.upper()


@pytest.mark.parametrize('processes', [1, 2])
def test_results_come_in_order_with_their_items(processes: int) -> None:
    results = list(ordered_map(slow_if_even, range(12), processes))
    assert [(item, square) for item, (square, _) in results] == [(number, number**2) for number in range(12)]
    workers = {process for _, (_, process) in results}
    assert workers == {os.getpid()} if processes == 1 else len(workers) == 2 and os.getpid() not in workers


@pytest.mark.parametrize('processes', [1, 2])
def test_nothing_to_do(processes: int) -> None:
    assert list(ordered_map(divide, [], processes)) == []


@pytest.mark.parametrize(('processes', 'most'), [(1, 1), (2, 2 * AHEAD)])
def test_items_are_taken_when_they_are_needed(processes: int, most: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1, 1000):
            taken.append(number)
            yield number

    results = ordered_map(divide, items(), processes)
    assert taken == []
    next(results)
    time.sleep(0.2)  # nobody takes the other results, so no more items may be read
    assert len(taken) == most
    next(results)
    assert len(taken) == most + 1
    results.close()


@pytest.mark.parametrize('processes', [1, 2])
def test_data_errors_are_results(processes: int) -> None:
    results = dict(ordered_map(refuse_three, range(6), processes))
    error = results.pop(3)
    assert isinstance(error, DataError) and str(error) == '000/003.png: damaged'
    assert results == {number: number for number in (0, 1, 2, 4, 5)}


@pytest.mark.parametrize('processes', [1, 2])
def test_other_errors_are_raised_after_the_results_before_them(processes: int) -> None:
    results = ordered_map(divide, [2, 1, 0, 4], processes)
    assert [next(results), next(results)] == [(2, 0.5), (1, 1.0)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize('processes', [1, 2])
def test_an_error_of_the_items_is_raised(processes: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError('no such folder')

    with pytest.raises(OSError, match='no such folder'):
        list(ordered_map(divide, items(), processes))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize('item', ['a/exits.png', 'a/killed.png'])
def test_a_worker_that_dies_is_an_error_with_the_items_in_work(item: str) -> None:
    results = ordered_map(die, ['a/done.png', item, 'a/done too.png'], 2)
    assert next(results) == ('a/done.png', 'A/DONE.PNG')
    with pytest.raises(DataError, match=r'a worker process died .* \(--processes 1\)') as error:
        next(results)
    assert f'one of: {item};' in str(error.value)
    assert multiprocessing.active_children() == []


def test_closing_early_ends_the_workers() -> None:
    results = ordered_map(slow_if_even, range(1000), 2)
    next(results)
    assert len(multiprocessing.active_children()) == 2
    results.close()
    assert multiprocessing.active_children() == []


OPENCV = """
import os, threading, time
os.environ['SATVSR_REGISTER'] = '0'
import cv2
import numpy as np
from satvsr_plugin.parallel import ordered_map

def blur(size):
    return float(cv2.GaussianBlur(np.ones((size, size), np.float32), (31, 31), 5).mean())

# As torch does: a new thread in every forked process, in the place of one that the fork did not take along.
os.register_at_fork(after_in_child=lambda: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start())
cv2.setNumThreads(4)
expected = blur(1500)
assert [result for _, result in ordered_map(blur, [1500] * 4, 2)] == [expected] * 4
assert cv2.getNumThreads() == 4
"""


def test_workers_run_opencv_after_the_parent_used_its_threads() -> None:
    """OpenCV's threads do not survive a fork; a worker that waits for them to end hangs."""
    with subprocess.Popen([sys.executable, '-c', OPENCV], start_new_session=True) as process:
        try:
            assert process.wait(timeout=30) == 0
        finally:
            with suppress(ProcessLookupError):  # all is well: the session is empty
                os.killpg(process.pid, signal.SIGKILL)


PARENT = """
import os, sys, time
os.environ['SATVSR_REGISTER'] = '0'
from satvsr_plugin.parallel import ordered_map

def work(item):
    os.write(1, b'.')
    time.sleep(float(sys.argv[1]))

list(ordered_map(work, range(8), 3))
"""


def start_parent(seconds: float) -> subprocess.Popen:
    """A process whose three workers are all at work, for so many seconds an item."""
    parent = subprocess.Popen([sys.executable, '-c', PARENT, str(seconds)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True)
    for _ in range(3):
        assert os.read(parent.stdout.fileno(), 1) == b'.'
    return parent


def test_no_worker_outlives_a_parent_that_is_killed() -> None:
    parent = start_parent(120)
    parent.kill()
    # The workers hold the other ends of these pipes; they end when the last of them has.
    assert parent.communicate(timeout=20) == (b'', b'')
    assert parent.returncode == -signal.SIGKILL


def test_ctrl_c_is_left_to_the_parent() -> None:
    parent = start_parent(0.5)
    os.killpg(parent.pid, signal.SIGINT)
    errors = parent.communicate(timeout=20)[1].decode()
    assert errors.count('Traceback') == 1 and errors.rstrip().endswith('KeyboardInterrupt')  # no worker's


def test_processes_argument(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_processes_argument(parser)
    assert parser.parse_args([]).processes == available_processes() >= 1
    assert parser.parse_args(['--processes', '3']).processes == 3
    for text in ('0', '-2', '1.5', 'many'):
        with pytest.raises(SystemExit) as left:
            parser.parse_args([f'--processes={text}'])
        assert left.value.code == 2 and text in capsys.readouterr().err
