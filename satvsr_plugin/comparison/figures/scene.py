"""One frame of one clip, as every system shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scene:
    """One frame as every system shows it: (h, w, bands) arrays of one shape and type, colour as RGB."""

    clip: str
    frame: str
    pictures: dict[str, np.ndarray]
    gt: np.ndarray | None

    @property
    def reference(self) -> np.ndarray:
        """The ground truth; without one, the last system's picture."""
        return list(self.pictures.values())[-1] if self.gt is None else self.gt

    def with_gt(self) -> dict[str, np.ndarray]:
        """All pictures in the order in which they are shown, the ground truth last."""
        return dict(self.pictures) if self.gt is None else {**self.pictures, GT: self.gt}


GT = 'GT'  # how figures call the ground truth
