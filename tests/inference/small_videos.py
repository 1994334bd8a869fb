"""Videos of noise, and what a test asks of their results."""

from __future__ import annotations

import numpy as np
from torch import nn

from satvsr_plugin.inference import VideoUpscaler


def video(length: int, height: int = 16, width: int = 20, bands: int = 3, dtype: type = np.uint8) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, np.iinfo(dtype).max + 1, (length, height, width, bands), dtype))


def enlarge(frame: np.ndarray) -> np.ndarray:
    return frame.repeat(2, 0).repeat(2, 1)


def same(results, expected) -> bool:
    results = list(results)
    return len(results) == len(expected) and all(map(np.array_equal, results, expected))


def make(net: nn.Module, **options) -> VideoUpscaler:
    return VideoUpscaler(net, device='cpu', **options)
