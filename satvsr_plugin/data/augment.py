"""Paired random patches: the same place, flips and transposition for LR frames and their GT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch

from satvsr_plugin.data.clip_source import ClipSource
from satvsr_plugin.data.frame_format import FrameFormat


def sample_generator() -> Random:
    """Random numbers for one training sample, seeded from torch's generator.

    The toolbox's ``worker_init_fn`` seeds ``numpy`` and ``random`` with the same number whenever the workers
    start anew, which is every epoch: drawn from there, each epoch would show the same crops. Torch gives every
    worker of every epoch a seed of its own, and ``manual_seed`` of the option file makes it repeatable.
    """
    return Random(int(torch.randint(2**62, ())))


@dataclass(frozen=True)
class Patch:
    """A square patch of a frame, in LR pixels, and how it is turned.

    Both flips with probability 1/2 are the four states that MSDTGP was trained with; the transposition adds
    the quarter turns.
    """

    top: int
    left: int
    size: int
    flip_vertical: bool = False
    flip_horizontal: bool = False
    transpose: bool = False

    @classmethod
    def draw(cls, rng: Random, frame: FrameFormat, size: int, flip: bool, rotate: bool) -> Patch:
        """Draw the place of a patch in an LR frame uniformly, and its flips, each with probability 1/2."""
        top, left = rng.randrange(frame.height - size + 1), rng.randrange(frame.width - size + 1)
        vertical, horizontal, transpose = (rng.random() < 0.5 for _ in range(3))
        return cls(top, left, size, flip and vertical, flip and horizontal, rotate and transpose)

    def cut(self, source: ClipSource, clip: str, frames: Sequence[str], scale: int = 1) -> np.ndarray:
        """The patch of some frames that are ``scale`` times the LR frames' size, flipped and transposed.

        Args:
            source: the clips.
            clip: a clip of ``source``.
            frames: frames of ``clip``.
            scale: 1 for LR frames, the network's scale for GT.

        Returns:
            (t, size * scale, size * scale, c).

        Raises:
            DataError: a frame is missing, damaged or unlike the other frames of its clip.
        """
        size = scale * self.size
        patches = source.crop(clip, frames, scale * self.top, scale * self.left, size, size)
        if self.flip_vertical:
            patches = patches[:, ::-1]
        if self.flip_horizontal:
            patches = patches[:, :, ::-1]
        return patches.swapaxes(1, 2) if self.transpose else patches


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """(..., h, w, c) uint8 or uint16 to contiguous (..., c, h, w) float32 in [0, 1]."""
    planes = images.swapaxes(-1, -2).swapaxes(-2, -3)  # np.moveaxis says it better, but takes ten times as long
    peak = np.float32(2 ** (8 * images.itemsize) - 1)
    return torch.from_numpy(np.divide(planes, peak, dtype=np.float32, order='C'))
