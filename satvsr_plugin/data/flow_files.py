"""Optical flow that was computed beforehand, beside LR clips: ``<clip>/<frame>.npy`` for every frame.

A file holds the flow from its frame to the neighbours in the window round it, past to future, the frame itself left
out: (num_frame - 1, 2, h, w) float16 or float32, how far right (u) and down (v) in LR pixels. Where a clip's end cuts
the window, the frame itself stands for what is missing (``padding: center``), and its flow is zero.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from satvsr_plugin.data.clip_source import ClipSource, frame_key
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

if TYPE_CHECKING:
    from satvsr_plugin.data.augment import Patch  # loads torch, which scripts do without


def flow_file(frame: str) -> str:
    """Name of the flow file of a frame: ``017.npy`` for ``017.png``."""
    return f'{frame_key(frame)}.npy'


class FlowFiles:
    """The flow files of some LR clips. Safe to hand to worker processes, forked or spawned.

    Args:
        root: the folder.
        lq: the LR clips, in folders or in an LMDB.
        num_frame: length of the window.
    """

    def __init__(self, root: Path, lq: ClipSource, num_frame: int) -> None:
        self.root = root
        self.lq = lq
        self.num_frame = num_frame

    def check(self, frames: Iterable[tuple[str, int]]) -> None:
        """Look for the files of these frames, given as clip and index in the clip; only their heads are read.

        Raises:
            DataError: files are missing, or do not hold flow of this window and size; lists all of them.
        """
        if not os.path.isdir(self.root):
            raise DataError(f'{self.root}: there is no such folder; {self._remedy}')
        raise_problems(f'{self.root} lacks flow for {self.lq.root} ({self._remedy})', list(self._problems(frames)))

    def read(self, clip: str, index: int, patch: Patch | None = None) -> np.ndarray:
        """The flow of a frame, or of a patch of it, flipped and transposed.

        Returns:
            (num_frame - 1, 2, h, w) float32.

        Raises:
            DataError: the file is missing or damaged, its shape is another, or its values are not finite.
        """
        name = str(self._path(clip, index))
        # Not mapped: were the file to go away, the process would die.
        flows = self.lq.retry(lambda: self._open(clip, index, mapped=False), name)
        flows = flows.astype(np.float32) if patch is None else patch.cut_flows(flows)
        if not np.isfinite(flows).all():
            raise DataError(f'{name}: holds values that are not finite numbers; {self._remedy}')
        return flows

    def _open(self, clip: str, index: int, mapped: bool) -> np.ndarray:
        """The whole file, read or mapped into memory, with its shape and type checked."""
        path = self._path(clip, index)
        try:
            flows = np.load(path, mmap_mode='r' if mapped else None, allow_pickle=False)
        except FileNotFoundError as error:
            raise DataError(f'{path}: missing; {self._remedy}') from error
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise DataError(f'{path}: not a readable .npy file ({error}); {self._remedy}') from error
        form = self.lq.format(clip)
        expected = (self.num_frame - 1, 2, form.height, form.width)
        if getattr(flows, 'shape', None) != expected or flows.dtype not in (np.float16, np.float32):
            found = f'{flows.shape} {flows.dtype}' if isinstance(flows, np.ndarray) else 'an archive of arrays'
            raise DataError(f'{path}: holds {found}, but {expected} float16 or float32 is needed; {self._remedy}')
        return flows

    def _problems(self, frames: Iterable[tuple[str, int]]) -> Iterator[str]:
        missing: set[str] = set()
        for clip, index in frames:
            if clip in missing:
                continue
            if not os.path.isdir(self.root / clip):
                missing.add(clip)
                yield f'clip {clip}: no folder of this name'
                continue
            try:
                self._open(clip, index, mapped=True)
            except DataError as error:
                yield str(error).removesuffix(f'; {self._remedy}').removeprefix(f'{self.root}/')

    def _path(self, clip: str, index: int) -> Path:
        return self.root / clip / flow_file(self.lq.clips[clip][index])

    @property
    def _remedy(self) -> str:
        return f'make it with scripts/estimate_flow.py --input LR --output FLOW --num_frame {self.num_frame}'
