"""What leaves a script: one message and an exit code, whatever was wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from satvsr_plugin.errors import DataError, run_main


def raiser(error: BaseException):
    def main() -> None:
        raise error
    return main


@pytest.mark.parametrize(('error', 'message', 'code'), [
    (DataError('a.png: is damaged'), 'error: a.png: is damaged', 2),
    (PermissionError(13, 'Permission denied', 'private/x'), 'error: private/x: Permission denied', 2),
    (BlockingIOError(11, 'Resource temporarily unavailable'), 'error: the system: Resource temporarily unavailable', 2),
    (MemoryError('Unable to allocate 699 GiB'), 'error: memory does not hold this: Unable to allocate 699 GiB', 2),
    (RuntimeError("Symlink loop from 'loop'"), "error: Symlink loop from 'loop'", 2),
    (KeyboardInterrupt(), 'interrupted', 130),
])
def test_one_message_and_the_exit_code(capsys, error, message, code):
    with pytest.raises(SystemExit) as left:
        run_main(raiser(error))
    assert left.value.code == code and capsys.readouterr().err == message + '\n'


def test_faults_of_our_own_show_their_traceback():
    with pytest.raises(RuntimeError, match='a fault'):
        run_main(raiser(RuntimeError('a fault')))


def test_nobody_reads_any_more():
    code = ('from satvsr_plugin.errors import run_main\n'
            'run_main(lambda: [print("line", flush=True) for _ in range(100000)] and None)')
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={'SATVSR_REGISTER': '0'}, text=True)
    assert process.stdout.readline() == 'line\n'
    process.stdout.close()
    assert process.stderr.read() == '' and process.wait(timeout=60) == 141
