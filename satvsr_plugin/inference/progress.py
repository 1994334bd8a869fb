"""How far a run is, how fast it goes and how long it will take."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30  # where a log file takes the output, a line now and then instead of a bar that moves


class Progress:
    """A bar on stderr with frames a second and the time left; in a log file, a line every half minute.

    Args:
        count: frames that this process has to do.
        already: frames of the video that were finished before.
        total: frames of the video.
        shown: whether this process shows anything.
    """

    def __init__(self, count: int, already: int, total: int, shown: bool) -> None:
        moving = sys.stderr.isatty()
        self._bar = tqdm(total=count, unit='frame', desc='super-resolving', disable=not shown or not count,
                         mininterval=0.5 if moving else SECONDS_BETWEEN_LINES, maxinterval=SECONDS_BETWEEN_LINES,
                         dynamic_ncols=moving, bar_format=None if moving else '{desc}: {n_fmt} of {total_fmt} frames, '
                         '{rate_fmt}, {remaining} left\n')
        if shown and already:
            print(f'{already} of {total} frames are finished already; going on', file=sys.stderr)

    def step(self) -> None:
        """One more frame is finished."""
        self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bar.close()
