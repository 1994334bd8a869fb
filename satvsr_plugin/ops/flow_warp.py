"""Backward warping in SOF-VSR's unit of flow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# The authors' grid runs from -1 to 1 over 32 samples, their training patch, and they kept its step for all sizes.
FLOW_UNIT = 15.5  # pixels


def flow_warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample an image at displaced places: out(p) = image(p + flow(p)), bilinear.

    Beyond the border the outermost pixel goes on. Pixel centres of the corners are at -1 and 1 of torch's grid
    (``align_corners``), as at the time of the published weights.

    Args:
        image: (b, c, h, w).
        flow: (b, 2, h, w), displacement to the right and downwards in units of ``FLOW_UNIT`` pixels of ``image``.

    Returns:
        (b, c, h, w) in image's dtype; half types are sampled in float32.
    """
    h, w = image.shape[-2:]
    dtype = torch.float64 if image.dtype == torch.float64 else torch.float32
    with torch.autocast(image.device.type, enabled=False):
        dx, dy = flow.to(dtype).unbind(1)  # (b, h, w)
        x = torch.linspace(-1, 1, w, dtype=dtype, device=image.device) + dx * _grid_step(w)
        y = torch.linspace(-1, 1, h, dtype=dtype, device=image.device)[:, None] + dy * _grid_step(h)
        grid = torch.stack([x, y], -1)
        return F.grid_sample(image.to(dtype), grid, padding_mode='border', align_corners=True).to(image.dtype)


def _grid_step(size: int) -> float:
    """One unit of flow on torch's grid, along an axis of ``size`` pixels."""
    return 2 * FLOW_UNIT / max(size - 1, 1)
