"""How much results flicker where the scene stands still, against how much the ground truth does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import cv2
import numpy as np

from satvsr_plugin.data.measures.luma import luma
from satvsr_plugin.data.measures.motion import find_drift, margin_of, resample
from satvsr_plugin.errors import DataError

STATIC = 2.0  # grey levels of 255; real GT has noise of up to 2.5, which the mean over NEIGHBOURHOOD brings below 0.4
NEIGHBOURHOOD = 9  # px
SMALLEST = 32  # px; the outermost ones are lost to interpolation


@dataclass(frozen=True)
class Flicker:
    """Mean absolute difference of luma from frame to frame in static areas, in grey levels of 255.

    Attributes:
        result: of the results.
        gt: of the ground truth: its noise.
        ratio: the one over the other; infinite where only the ground truth does not change, NaN where neither does.
    """

    result: float
    gt: float
    ratio: float


def flicker(results: Iterable[np.ndarray], gt: Iterable[np.ndarray]) -> Flicker:
    """Compare the flicker of results with that of their ground truth.

    Static is a pixel round which the mean change of GT over 9x9 px is at most 2 levels, so that noise neither counts
    as motion nor chooses the pixels. The drift of the whole picture from GT frame to GT frame is taken back in both
    beforehand: a drift of a tenth of a pixel, which would pass for flicker along every edge, does not count, nor does
    a larger one. What GT as a whole gets brighter or darker is taken off both. Interpolation smooths the noise of one
    of the two frames: of the flicker of white noise 6 % are lost where the drift is half a pixel in both directions,
    1 % where it is a tenth; of smooth results nothing.

    Args:
        results: frames (h, w, c), uint8 or uint16, in order; one after the other is read.
        gt: as many, of the same size.

    Raises:
        DataError: there are fewer than two frames, or too small ones; sizes or numbers differ; nothing is static.
    """
    sums, pixels = np.zeros(2), 0
    for before, after in pairwise(_side_by_side(results, gt)):
        changes, static = _changes(before, after)
        sums += [np.abs(change[static]).sum() for change in changes]
        pixels += int(static.sum())
    if not pixels:
        raise DataError('there are no two consecutive frames with something static in them')
    result, reference = sums / pixels
    return Flicker(float(result), float(reference), ratio_of(result, reference))


def _side_by_side(results: Iterable[np.ndarray], gt: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The lumas of a result and of its GT, frame by frame."""
    for number, (result, reference) in enumerate(zip_longest(results, gt)):
        if result is None or reference is None:
            raise DataError(f'there are only {number} {"results" if result is None else "GT frames"}')
        if result.shape[:2] != reference.shape[:2]:
            raise DataError(f'frame {number} of the results is {_size(result)} and of GT {_size(reference)}')
        if min(result.shape[:2]) < SMALLEST:
            raise DataError(f'frames of {_size(result)} are too small; {SMALLEST} pixels each way are needed')
        yield luma(result), luma(reference)


def _size(image: np.ndarray) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'


def _changes(before: tuple[np.ndarray, np.ndarray],
             after: tuple[np.ndarray, np.ndarray]) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Changes of the result and of GT from one frame to the next, both (h, w) without margin, and what is static."""
    drift = find_drift(before[1], after[1])
    margin = margin_of(drift)
    inner = np.s_[margin:-margin, margin:-margin]
    result, gt = ((resample(late, *drift) - early)[inner] for early, late in zip(before, after, strict=True))
    brighter = np.median(gt)
    result, gt = result - brighter, gt - brighter
    return (result, gt), np.abs(cv2.blur(gt, (NEIGHBOURHOOD, NEIGHBOURHOOD))) <= STATIC


def ratio_of(result: float, gt: float) -> float:
    """See :class:`Flicker`."""
    if gt > 0:
        return float(result / gt)
    return math.inf if result > 0 else math.nan
