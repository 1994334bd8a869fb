"""Paired random patches: the same place, flips and transposition for LR frames, their GT and their flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from satvsr_plugin.data.clip_source import ClipSource
from satvsr_plugin.data.frame_format import FrameFormat


class SampleRandom:
    """The random numbers of one training sample, at most sixteen, drawn from torch's generator.

    The toolbox's ``worker_init_fn`` seeds ``numpy`` and ``random`` with the same number whenever the workers
    start anew, which is every epoch: drawn from there, each epoch would show the same crops. Torch gives every
    worker of every epoch a seed of its own, and ``manual_seed`` of the option file makes it repeatable.
    """

    def __init__(self) -> None:
        # all at once: a generator of its own for every sample would take longer to seed than a crop to read
        self._numbers = iter(torch.rand(16, dtype=torch.float64).tolist())

    def below(self, limit: int) -> int:
        """A whole number in [0, limit), uniform."""
        return int(next(self._numbers) * limit)

    def coin(self) -> bool:
        """True with probability 1/2."""
        return next(self._numbers) < 0.5


class Patch(NamedTuple):
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
    def draw(cls, rng: SampleRandom, frame: FrameFormat, size: int, flip: bool, rotate: bool) -> Patch:
        """Draw the place of a patch in an LR frame uniformly, and its flips, each with probability 1/2."""
        top, left = rng.below(frame.height - size + 1), rng.below(frame.width - size + 1)
        vertical, horizontal, transpose = rng.coin(), rng.coin(), rng.coin()
        return cls(top, left, size, flip and vertical, flip and horizontal, rotate and transpose)

    def cut(self, source: ClipSource, clip: str, frames: Sequence[str], scale: int = 1) -> np.ndarray:
        """The patch of some frames that are ``scale`` times the LR frames' size, flipped and transposed.

        Args:
            source: the clips.
            clip: a clip of ``source``.
            frames: frames of ``clip``.
            scale: 1 for LR frames, the network's scale for GT.

        Returns:
            (t, c, size * scale, size * scale) uint8 or uint16.

        Raises:
            DataError: a frame is missing, damaged or unlike the other frames of its clip.
        """
        size = scale * self.size
        patches = source.crop(clip, frames, scale * self.top, scale * self.left, size, size)
        planes = np.ascontiguousarray(patches.transpose(0, 3, 1, 2))
        if self.flip_horizontal:
            planes = cv2.flip(planes.reshape(-1, size), 1).reshape(planes.shape)  # numpy copies backwards slowly
        if self.flip_vertical:
            planes = planes[:, :, ::-1]
        return planes.swapaxes(2, 3) if self.transpose else planes

    def cut_flows(self, flows: np.ndarray) -> np.ndarray:
        """The patch of optical flow, flipped and transposed: vectors turn with the picture.

        Args:
            flows: (n, 2, h, w) of whole LR frames, the second axis u (right) and v (down) in pixels.

        Returns:
            (n, 2, size, size) float32, contiguous: the flow of what :meth:`cut` gives.
        """
        part = flows[..., self.top:self.top + self.size, self.left:self.left + self.size].astype(np.float32)
        if self.flip_horizontal:
            part = part[..., ::-1]
            part[:, 0] *= -1
        if self.flip_vertical:
            part = part[..., ::-1, :]
            part[:, 1] *= -1
        if self.transpose:
            part = part.swapaxes(2, 3)[:, ::-1]
        return np.ascontiguousarray(part)


def to_tensor(planes: np.ndarray) -> torch.Tensor:
    """(..., c, h, w) uint8 or uint16 to contiguous float32 in [0, 1]."""
    pixels = planes.astype(np.float32, order='C')
    pixels /= np.float32(2 ** (8 * planes.itemsize) - 1)
    return torch.from_numpy(pixels)
