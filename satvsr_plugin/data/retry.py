"""Patience with data that went away and may come back, such as a network drive: for training and testing runs.

Scripts that read a data set once have none: what is missing there is told at once.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from satvsr_plugin.errors import DataError

Result = TypeVar('Result')

FIRST_PAUSE = 1.0  # seconds; each pause is twice as long as the one before
LONGEST_PAUSE = 16.0  # so that data that are back are not left waiting for long

# Not every system knows all of them. ENOENT belongs to them since only files are read that were there before.
_NAMES = ('EIO', 'EREMOTEIO', 'ENOENT', 'ESTALE', 'ENODEV', 'ENXIO', 'ENOMEDIUM', 'ENOLINK', 'EAGAIN',
          'ENOTCONN', 'ETIMEDOUT', 'ESHUTDOWN', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH', 'ENETRESET',
          'ECONNABORTED', 'ECONNREFUSED', 'ECONNRESET')
PASSING = frozenset(getattr(errno, name) for name in _NAMES if hasattr(errno, name))


def may_pass(error: DataError) -> bool:
    """Whether the system refused to read in a way that may be over soon; damaged content or a lack of rights is not."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in PASSING


@dataclass(frozen=True)
class Retry:
    """Reads again what cannot be read, for some time.

    The logger ``basicsr`` gets a warning when waiting begins and one when the data are back, from each process that
    waits.

    Attributes:
        seconds: how long to wait in all; with 0 no read is repeated.
    """

    seconds: float = 0.0

    def __call__(self, read: Callable[[], Result], name: str) -> Result:
        """Call ``read`` until it succeeds.

        Args:
            read: raises a ``DataError`` whose cause is the system's ``OSError``.
            name: what is read, for the log.

        Raises:
            DataError: that of ``read``, at once where waiting cannot help, else when the time is over.
        """
        try:
            return read()
        except DataError as error:
            if not self.seconds or not may_pass(error):
                raise
            return self._wait(read, name, error)

    def _wait(self, read: Callable[[], Result], name: str, error: DataError) -> Result:
        logger = logging.getLogger('basicsr')
        logger.warning('%s. Waiting up to %g s for the data to come back.', error, self.seconds)
        start, pause = time.monotonic(), FIRST_PAUSE
        while (left := start + self.seconds - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                result = read()
            except DataError as latest:
                error = latest
                if not may_pass(error):
                    raise
            else:
                logger.warning('%s: the data are back after %.0f s.', name, time.monotonic() - start)
                return result
        raise DataError(f'{error}; waited {self.seconds:g} s for it to come back. Restore it (is the drive connected?) '
                        'and start again, a training with --auto_resume; the data set\'s option retry_seconds says how '
                        'long to wait') from error
