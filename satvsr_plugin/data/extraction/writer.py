"""Pictures written by threads while the next frame is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.parallel import available_processes


class BackgroundWriter:
    """Writes images in several threads (encoding is OpenCV's work, which does not hold Python's lock)."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(available_processes())
        self._waiting: list[Future] = []

    def __enter__(self) -> BackgroundWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, images: Iterable[tuple[Path, np.ndarray]]) -> None:
        """Begin to write images; they must not be changed before :meth:`wait` returns."""
        self._waiting += [self._pool.submit(write_image, path, image) for path, image in images]

    def wait(self) -> None:
        """Wait until all images are written.

        Raises:
            DataError: one could not be written.
        """
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.result()
