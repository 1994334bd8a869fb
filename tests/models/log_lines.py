"""What the toolbox's logger is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logged(level: int) -> Iterator[list[str]]:
    """The messages from this level on, as they come."""
    found: list[str] = []
    handler = logging.Handler(level)
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger('basicsr')
    before = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
