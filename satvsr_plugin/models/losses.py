"""The losses of a training step, as the ``train`` section names them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from satvsr_plugin.archs.interface import InputSpec

Extras = dict[str, Any]


class Losses:
    """``pixel_opt``, ``perceptual_opt`` and ``aux_opt``.

    Args:
        spec: of the network, which says whether results are of the centre frame or of all.
        pixel: compares results with GT, (b, ...) both.
        perceptual: likewise, of pictures (b, c, h, w); gives the perceptual and the style loss, or None.
        aux: judges a network's extra outputs: takes them, LR frames and GT.
    """

    def __init__(self, spec: InputSpec, pixel: nn.Module | None, perceptual: nn.Module | None,
                 aux: nn.Module | None) -> None:
        self.pixel, self.perceptual, self.aux = pixel, perceptual, aux
        self.of_all_frames = spec.sees == 'clip'

    @property
    def needs_extras(self) -> bool:
        """Whether the network has to give its extra outputs."""
        return self.aux is not None

    def __call__(self, output: Tensor, extras: Extras, lq: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """Compare a result with GT.

        Args:
            output: (b, c, s*h, s*w), or (b, t, c, s*h, s*w) of networks that see clips; float32.
            extras: the network's extra outputs.
            lq: (b, t, c, h, w).
            gt: of the centre frame or of all frames.

        Returns:
            Name of each loss in the log: its value, a scalar.
        """
        target = gt if self.of_all_frames or gt.dim() == 4 else gt[:, gt.shape[1] // 2]
        losses: dict[str, Tensor] = {}
        if self.pixel:
            losses['l_pix'] = self.pixel(output, target)
        if self.perceptual:
            # it takes pictures: frames of a clip are as good as samples of a batch
            named = zip(('l_percep', 'l_style'), self.perceptual(_pictures(output), _pictures(target)), strict=True)
            losses.update((name, value) for name, value in named if value is not None)
        if self.aux:
            losses['l_aux'] = self.aux(extras, lq, gt)
        return losses


def _pictures(x: Tensor) -> Tensor:
    """(b, t, c, h, w) to (b * t, c, h, w)."""
    return x.flatten(0, 1) if x.dim() == 5 else x
