"""``basicsr`` commands in forks of a process that has imported everything already: a start takes no seconds.

Tests talk to it through :class:`Runs`; run as a script this file is the process that forks.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple


class Done(NamedTuple):
    """How a command ended: its exit code, or minus the signal that killed it, and all that it printed."""

    code: int
    output: str


class Runs:
    """Starts commands in a folder, one at a time.

    Args:
        folder: where they run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=os.environ | {'OMP_NUM_THREADS': '1'})
        assert self._answer() == 'ready'

    def start(self, *arguments: str, patch: str = '', processes: int = 1) -> int:
        """Start ``basicsr``; returns its process, which leads a group of all of them.

        Args:
            arguments: of the command.
            patch: Python that a process runs before, to make something go wrong.
            processes: how many, that find one another as those of torchrun do.
        """
        request = {'folder': str(self.folder), 'arguments': arguments, 'patch': patch, 'processes': processes}
        self._server.stdin.write(json.dumps(request) + '\n')
        self._server.stdin.flush()
        return int(self._answer())

    def wait(self) -> Done:
        """Wait for the end of what was started."""
        code = int(self._answer())
        return Done(code, (self.folder / 'output.txt').read_text(errors='replace'))

    def run(self, *arguments: str, patch: str = '', processes: int = 1) -> Done:
        """Start and wait."""
        self.start(*arguments, patch=patch, processes=processes)
        return self.wait()

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Until the running command has printed ``text`` and the rest of its line; returns all that it printed."""
        end = time.monotonic() + seconds
        while '\n' not in (output := (self.folder / 'output.txt').read_text(errors='replace')).partition(text)[2]:
            assert time.monotonic() < end, f'{text!r} was not printed in {seconds} s, but {output[-2000:]}'
            time.sleep(0.01)
        return output

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait()

    def _answer(self) -> str:
        return self._server.stdout.readline().strip()


def _serve() -> None:
    import torch

    import satvsr_plugin  # noqa: F401  (imports torch and the toolbox)
    from satvsr_plugin.option_check import check_options  # noqa: F401

    torch.set_num_threads(1)
    print('ready', flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        output = Path(request['folder'], 'output.txt')
        output.write_text('')
        with socket.socket() as free:
            free.bind(('localhost', 0))
            port = free.getsockname()[1]
        children: list[int] = []
        for rank in range(request['processes']):
            child = os.fork()
            if child == 0:
                if request['processes'] > 1:
                    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(request['processes']),
                                      MASTER_ADDR='localhost', MASTER_PORT=str(port))
                _run(request, output)
            children.append(child)
            os.setpgid(child, children[0])  # signals to the group of this run reach nobody else
        print(children[0], flush=True)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(next(filter(None, codes), 0), flush=True)


def _run(request: dict[str, Any], output: Path) -> None:
    """In the fork; does not return."""
    from tqdm import tqdm

    from satvsr_plugin.cli import main

    tqdm.set_lock(threading.RLock())  # its own is shared by all forks: one that was killed would hold it for ever
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(request['folder'])
    code: Any = 99
    try:
        exec(request['patch'], {})
        main(request['arguments'])
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == '__main__':
    _serve()
