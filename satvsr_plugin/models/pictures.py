"""From tensors to pictures, and their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from basicsr.metrics import calculate_metric
from basicsr.utils.registry import METRIC_REGISTRY
from torch import Tensor

from satvsr_plugin.errors import DataError, SatVSRError


def to_hwc(image: Tensor) -> np.ndarray:
    """(1, c, h, w) or (c, h, w) tensor to a float32 (h, w, c) array."""
    return image.reshape(image.shape[-3:]).float().permute(1, 2, 0).cpu().numpy()


def to_integers(image: np.ndarray, bit_depth: int) -> np.ndarray:
    """Floats in [0, 1] to uint8 or uint16, clipped and rounded half up."""
    peak = 2**bit_depth - 1
    return (image.clip(0, 1) * peak + 0.5).astype(np.uint8 if bit_depth == 8 else np.uint16)


def integers_of(image: Tensor, bit_depth: int) -> Tensor:
    """As :func:`to_integers`, on the tensor's device."""
    peak = 2**bit_depth - 1
    return (image.clamp(0, 1) * peak + 0.5).to(torch.uint8 if bit_depth == 8 else torch.uint16)


def score(result: np.ndarray, gt: np.ndarray, frame: str, name: str, metric: dict[str, Any]) -> float:
    """Compare a result with its GT.

    Args:
        result: (h, w, c) floats, RGB.
        gt: (h, w, c) uint8 or uint16, RGB.
        frame: how an error names the frame.
        name: what the option file calls the metric.
        metric: its ``type`` and arguments.

    Raises:
        SatVSRError: the metric cannot score these pictures; names it and the frame.
    """
    # Our metrics take floats and do the rounding; the toolbox's take 8-bit pictures. Both expect BGR.
    images = [result, gt]
    if not getattr(METRIC_REGISTRY.get(metric['type']), 'takes_float', False):
        images = [to_integers(result, 8), gt if gt.dtype == np.uint8 else (gt / 257 + 0.5).astype(np.uint8)]
    img, img2 = (image[..., ::-1] if image.shape[2] == 3 else image for image in images)
    try:
        return float(calculate_metric({'img': img, 'img2': img2}, metric))
    except Exception as error:  # a metric may be anybody's; the toolbox's NIQE raises LinAlgError on small pictures
        kind = type(error) if isinstance(error, SatVSRError) else DataError
        raise kind(f'metric {name} cannot score {frame}: {error}') from error
