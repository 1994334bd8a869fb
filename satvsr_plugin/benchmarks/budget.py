"""The time that a benchmark may take, and what was left out to keep to it."""

from __future__ import annotations

import time
from collections.abc import Callable

MARGIN = 1.25  # things take longer than was guessed


class Budget:
    """Counts down.

    Args:
        seconds: that all may take.
        begun: when that began, by the clock; None for now.
        clock: seconds since any moment.

    Attributes:
        reserve: seconds that are kept for later parts.
        compiling: seconds that compiling a network takes; a guess until it was seen once.
        skipped: what was not measured, in words.
    """

    def __init__(self, seconds: float, begun: float | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = (clock() if begun is None else begun) + seconds
        self.reserve = 0.0
        self.compiling = 45.0
        self.skipped: list[str] = []

    def left(self) -> float:
        """Seconds that may still be used; below 0 where it is over."""
        return self._end - self._clock() - self.reserve

    def holds(self, seconds: float) -> bool:
        """Whether there is time for something that takes about so long."""
        return MARGIN * seconds <= self.left()

    def allows(self, seconds: float, what: str) -> bool:
        """As :meth:`holds`; what it does not hold is noted as skipped."""
        if self.holds(seconds):
            return True
        self.skip(what, seconds)
        return False

    def skip(self, what: str, seconds: float) -> None:
        """Note what is left out, and how long it would have taken."""
        self.skipped.append(f'{what}: would take about {max(seconds, 1):,.0f} s, '
                            f'of --budget {max(self.left(), 0):,.0f} s were left')
