"""Two numbers that say whether a part of a video is worth cutting out: how much texture, how much of a change.

The figures behind the defaults are from seven real Jilin-1 frames, 180 aerial stills of 400x400 px (1 m a pixel) and
made noise and water; see :class:`~satvsr_plugin.data.extraction.options.ExtractionOptions` for the defaults.
"""

from __future__ import annotations

import cv2
import numpy as np

POOL = 4  # px; averaged first, so that noise counts a quarter
BLOCK = 8  # averages of POOL px, so 32 px
CELL = 16  # px; a drift of 3 px a frame moves little of a cell's content into the next one
LEAST_CELLS = 16  # along the shorter side; small frames get smaller cells
LOCAL = 3.0  # cells; changes over more than some LOCAL cells are taken for changes of light
FLOOR = 1.0  # grey levels squared; a frame with less contrast than this has nothing to compare


def grey_levels(image: np.ndarray) -> np.ndarray:
    """Mean of the colour bands of an (h, w, c) image, (h, w) and of its type; a fourth band (alpha) does not count."""
    bands = min(image.shape[2], 3)
    weights = np.zeros((1, image.shape[2]))
    weights[0, :bands] = 1 / bands
    return cv2.transform(image, weights)


def texture(grey: np.ndarray, white: float) -> float:
    """How much fine structure a picture has.

    It is averaged over squares of 4x4 px; the standard deviation in squares of 32x32 px is taken, and the mean over
    all of them. Measured: real Jilin-1 frames 19 to 40 in any 160x160 px; stills 8 and more with the exception of
    open water (0.8) and of clouds or blank areas; white noise of 2.5 grey levels 0.6, of 5 levels 1.2; waves of two
    levels 1.8; a ramp over a third of the range 1.1.

    Args:
        grey: (h, w) uint8 or uint16.
        white: value of white.

    Returns:
        Grey levels of 255.
    """
    averages = _averages(grey, max(1, min(POOL, min(grey.shape) // 2))) * (255 / white)
    side = min(BLOCK, *averages.shape)
    means, squares = _averages(averages, side), _averages(averages * averages, side)
    return float(np.sqrt(np.maximum(squares - means * means, 0)).mean())


def outline(grey: np.ndarray, white: float) -> np.ndarray:
    """What :func:`change` compares: a picture's coarse local structure, as float32 in grey levels of 255.

    Averages of cells of 16x16 px (of less in pictures below 256 px), without what is common to their surroundings.
    """
    cells = _averages(grey, max(1, min(CELL, min(grey.shape) // LEAST_CELLS))) * (255 / white)
    return cells - cv2.GaussianBlur(cells, (0, 0), LOCAL)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """How unlike two frames are, from their outlines: 0 the same, 1 nothing in common, 2 the negative.

    It is 1 minus SSIM's product of contrast and structure, over the whole frame (Wang et al. 2004, equation 12 with
    l = 1). Measured on stills of 400x400 px: at most 0.16 between frames that are 3 px apart, at least 0.77 between
    different stills; see :func:`outline` for why changes of brightness do not count.
    """
    a, b = before - before.mean(), after - after.mean()
    return float(1 - (2 * (a * b).mean() + FLOOR) / ((a * a).mean() + (b * b).mean() + FLOOR))


def _averages(image: np.ndarray, side: int) -> np.ndarray:
    """Averages of squares of ``side`` px as float32; what is left over at the right and at the bottom is not used."""
    height, width = (length // side for length in image.shape)
    whole = image[: height * side, : width * side]
    return cv2.resize(whole.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
