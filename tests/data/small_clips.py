"""Small clips whose pixels say which frame and which place they are from, and the data sets on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from satvsr_plugin.data import Jilin189Dataset, Jilin189RecurrentDataset, Jilin189TestDataset

SCALE = 4
MakePairs = Callable[..., Path]  # the fixture make_pairs


def lr_frame(clip: int, frame: int, height: int = 12, width: int = 16, channels: int = 3,
             dtype: type = np.uint8) -> np.ndarray:
    """(h, w, c) frame: random, and unlike any other clip, frame or place."""
    rng = np.random.default_rng([clip, frame])
    return rng.integers(np.iinfo(dtype).max + 1, size=(height, width, channels), dtype=dtype)


def gt_frame(lr: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """GT whose pixels equal the LR pixel that covers them: patches of both can be compared."""
    return lr.repeat(scale, axis=0).repeat(scale, axis=1)


def train_set(root: Path, **options: Any) -> Jilin189Dataset:
    return Jilin189Dataset({'name': 'small', 'type': 'Jilin189Dataset', 'phase': 'train', 'scale': SCALE,
                            'dataroot': str(root), 'gt_size': 32, **options})


def eval_set(root: Path | None, **options: Any) -> Jilin189TestDataset:
    roots = {} if root is None else {'dataroot': str(root)}
    return Jilin189TestDataset({'name': 'small', 'type': 'Jilin189TestDataset', 'phase': 'val', 'scale': SCALE,
                                **roots, **options})


def to_float(image: np.ndarray) -> torch.Tensor:
    """(h, w, c) uint8 to (c, h, w) in [0, 1]."""
    return torch.from_numpy(image.transpose(2, 0, 1) / np.float32(np.iinfo(image.dtype).max))


def recurrent_set(root: Path, **options: Any) -> Jilin189RecurrentDataset:
    return Jilin189RecurrentDataset({'name': 'small', 'type': 'Jilin189RecurrentDataset', 'phase': 'train',
                                     'scale': SCALE, 'dataroot': str(root), 'gt_size': 32, 'num_frame': 3, **options})


def gt_of(lq: torch.Tensor) -> torch.Tensor:
    """GT as the small clips have it: every LR pixel repeated."""
    return lq.repeat_interleave(SCALE, dim=-2).repeat_interleave(SCALE, dim=-1)


def places_of(patch: torch.Tensor, clip: int, frame: int) -> list[tuple[int, int]]:
    """Where (top, left) in an LR frame a patch (c, h, w) is from; nowhere if it is not."""
    windows = to_float(lr_frame(clip, frame)).unfold(1, patch.shape[1], 1).unfold(2, patch.shape[2], 1)
    return list(map(tuple, (windows == patch[:, None, None]).all(dim=(0, 3, 4)).nonzero().tolist()))
