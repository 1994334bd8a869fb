"""Paired random patches: the same place, flips and transposition for LR frames and their GT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from satvsr_plugin.data.clip_source import FrameFormat


def sample_generator() -> np.random.Generator:
    """Random numbers for one training sample, seeded from torch's generator.

    The toolbox's ``worker_init_fn`` seeds ``numpy`` and ``random`` with the same number whenever the workers
    start anew, which is every epoch: drawn from there, each epoch would show the same crops. Torch gives every
    worker of every epoch a seed of its own, and ``manual_seed`` of the option file makes it repeatable.
    """
    return np.random.default_rng(int(torch.randint(2**62, ())))


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
    def draw(cls, rng: np.random.Generator, frame: FrameFormat, size: int, flip: bool, rotate: bool) -> Patch:
        """Draw the place of a patch in an LR frame uniformly, and its flips, each with probability 1/2."""
        top, left = rng.integers(frame.height - size + 1), rng.integers(frame.width - size + 1)
        coins = rng.random(3) < 0.5
        return cls(int(top), int(left), size, bool(flip and coins[0]), bool(flip and coins[1]),
                   bool(rotate and coins[2]))

    def cut(self, image: np.ndarray, scale: int = 1) -> np.ndarray:
        """Cut the patch from a frame that is ``scale`` times the LR frame's size.

        Args:
            image: (h, w, c).
            scale: 1 for LR frames, the network's scale for GT.

        Returns:
            (size * scale, size * scale, c) view of ``image``.
        """
        top, left, size = scale * self.top, scale * self.left, scale * self.size
        patch = image[top:top + size, left:left + size]
        if self.flip_vertical:
            patch = patch[::-1]
        if self.flip_horizontal:
            patch = patch[:, ::-1]
        return patch.transpose(1, 0, 2) if self.transpose else patch


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """(h, w, c) uint8 or uint16 to contiguous (c, h, w) float32 in [0, 1]."""
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
    pixels /= np.iinfo(image.dtype).max
    return torch.from_numpy(pixels)
