"""Chooses which part of a frame to enlarge: where the systems differ most, in a place with something to see."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from satvsr_plugin.comparison.figures.scene import Scene
from satvsr_plugin.errors import OptionError

_TEXTURED_SHARE = 0.25  # of all windows; flat ones (water, fields) show nothing, however large the gain


@dataclass(frozen=True)
class Crop:
    """A square of ``size`` pixels whose upper left pixel is in column ``x`` and row ``y``."""

    x: int
    y: int
    size: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The crop's pixels of a (h, w, bands) picture."""
        return picture[self.y : self.y + self.size, self.x : self.x + self.size]

    def check(self, picture: np.ndarray) -> None:
        """Raises an ``OptionError`` where the crop does not lie inside a (h, w, bands) picture."""
        height, width = picture.shape[:2]
        if self.size < 1 or min(self.x, self.y) < 0 or self.x + self.size > width or self.y + self.size > height:
            raise OptionError(
                f'--crop {self.x},{self.y},{self.size}: not inside the picture of {width}x{height} pixels '
                f'(x and y of the upper left corner, then the size)'
            )


def choose_crop(scene: Scene, best: str) -> Crop:
    """The window where the best system gains most over the baseline, among the quarter with the most texture.

    The gain is the drop of the mean squared error; without ground truth, the mean squared difference of the two.
    With the baseline alone it is its error, and if that is unknown too, the texture decides.

    Args:
        scene: its first picture is the baseline's.
        best: name of the best system.
    """
    pictures = {name: _grey(picture) for name, picture in scene.pictures.items()}
    baseline = next(iter(pictures.values()))
    reference = pictures[best] if scene.gt is None else _grey(scene.gt)
    height, width = reference.shape
    size = min(height, width, max(48, min(96, min(height, width) // 8)))
    texture = window_means(reference**2, size) - window_means(reference, size) ** 2
    gain = (baseline - reference) ** 2
    if pictures[best] is not baseline:
        gain -= (pictures[best] - reference) ** 2
    score = window_means(gain, size) if gain.any() else texture
    textured = texture >= np.quantile(texture, 1 - _TEXTURED_SHARE)
    y, x = np.unravel_index(np.argmax(np.where(textured, score, -np.inf)), score.shape)
    return Crop(int(x), int(y), size)


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture.mean(axis=2, dtype=np.float64)


def window_means(plane: np.ndarray, size: int) -> np.ndarray:
    """Mean of every window: (h, w) to (h - size + 1, w - size + 1), indexed by the window's upper left pixel."""
    means = cv2.boxFilter(plane, cv2.CV_64F, (size, size), anchor=(0, 0))
    return means[: plane.shape[0] - size + 1, : plane.shape[1] - size + 1]
