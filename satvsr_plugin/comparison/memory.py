"""The peak of a process's memory, counted from a moment on."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path('/proc/self/status')
_CLEAR = Path('/proc/self/clear_refs')


class PeakMemory:
    """What is taken at most between :meth:`reset` and :meth:`peak`, over what was held when this was made.

    On a GPU what torch has allocated there; else the resident memory of the process. Where the system cannot forget
    its earlier peak (only Linux can), a lower one than that is not seen.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        on_gpu = device.type == 'cuda'
        self.before = torch.cuda.memory_allocated(device) if on_gpu else _of_status('VmRSS') or _peak_of_usage()

    def reset(self) -> None:
        """Forget earlier peaks."""
        if self.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        with suppress(OSError):
            _CLEAR.write_text('5')  # see proc(5)

    def peak(self) -> int:
        """Bytes."""
        if self.device.type == 'cuda':
            return torch.cuda.max_memory_allocated(self.device) - self.before
        return max(0, (_of_status('VmHWM') or _peak_of_usage()) - self.before)


def _of_status(field: str) -> int | None:
    """Bytes; None where the system does not tell."""
    try:
        found = re.search(rf'^{field}:\s*(\d+) kB', _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _peak_of_usage() -> int:
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
