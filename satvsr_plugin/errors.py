"""Errors that are meant for the user: what is wrong, in which file or option, what to do."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable


class SatVSRError(Exception):
    """Base of all errors that a user can mend; shown as one message, without a traceback."""


class OptionError(SatVSRError):
    """An option file, an override or a command-line argument is wrong."""


class DataError(SatVSRError):
    """An image, a clip, a data set or an LMDB is wrong or missing. Names the clip and the frame."""


class WeightsError(SatVSRError):
    """A checkpoint cannot be read or does not fit the network."""


class TrainingError(SatVSRError):
    """Training cannot go on, e.g. because the loss is not a number."""


class Stopped(Exception):
    """A signal asked for the end, and all is in order; shown as it is.

    Args:
        message: what was saved, and how to go on.
        code: the exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def require(owner: str, rules: dict[str, bool]) -> None:
    """Check the arguments of a network.

    Args:
        owner: its name.
        rules: what is wrong where a rule does not hold, and whether it holds.

    Raises:
        OptionError: lists all rules that do not hold.
    """
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise OptionError(f'{owner}: ' + '; '.join(broken))


def run_main(main: Callable[[], int | None]) -> None:
    """Run a script's ``main`` and leave the interpreter with its exit code.

    Exit codes: 0 done, 1 the thing asked about is not in order (returned by ``main``), 2 wrong input or
    options (a ``SatVSRError``, or what the system refuses, printed to stderr as one message), 130 interrupted by the
    user (143: by a scheduler), 141 nobody reads the output any more.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # names of files need not be text
    try:
        code = main()
    except SatVSRError as error:
        print(f'error: {error}', file=sys.stderr)
        code = 2
    except Stopped as stop:
        print(stop, file=sys.stderr)
        code = stop.code
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        code = 130
    except BrokenPipeError:  # e.g. of "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        print(f'error: {error.filename or "the system"}: {error.strerror or error}', file=sys.stderr)
        code = 2
    except MemoryError as error:
        print(f'error: memory does not hold this: {error}', file=sys.stderr)
        code = 2
    except RuntimeError as error:
        if not str(error).startswith('Symlink loop'):  # what Path.resolve says before Python 3.13
            raise
        print(f'error: {error}', file=sys.stderr)
        code = 2
    sys.exit(code or 0)
