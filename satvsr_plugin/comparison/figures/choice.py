"""What the figures show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from satvsr_plugin.comparison.figures.crop import Crop


@dataclass(frozen=True)
class FigureChoice:
    """What the figures show; what is None is chosen automatically.

    Attributes:
        clip: by default the first.
        frame: its name without suffix; by default the middle one of the clip.
        crop: the part to enlarge; by default where the best system gains most over the baseline.
        row: of the picture, from 0, that the x-t slice shows; by default the one with most texture in the crop.
        gt: ground truth, a folder of ``<clip>/<frame>.png`` or an LMDB; by default the one that was tested with.
    """

    clip: str | None = None
    frame: str | None = None
    crop: Crop | None = None
    row: int | None = None
    gt: Path | None = None
