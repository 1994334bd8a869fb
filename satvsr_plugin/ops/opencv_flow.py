"""Optical flow of OpenCV between a frame and its neighbours, for frames of any size; needs no torch.

DIS: Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016, in OpenCV's preset MEDIUM. Farneback:
Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003. Both see 8-bit grey frames.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# OpenCV's DIS (5.0.0) ends the process where one side is shorter than 32 and the other much longer, since its deepest
# pyramid level is then smaller than a patch; where both are shorter than 32 it works down to 12.
LONG_SIDE = 32
SHORT_SIDE = 12
DARK = 1 / 8  # e.g. 12 bit in 16-bit files: of the 256 grey levels few would be left


def to_grey(frames: np.ndarray) -> np.ndarray:
    """Frames as OpenCV's flow takes them: Y of RGB, the mean of any other number of bands, in 256 levels.

    Frames that are all darker than an eighth of the range are brightened by the same factor.

    Args:
        frames: (n, c, h, w) float32 in [0, 1].

    Returns:
        (n, h, w) uint8.
    """
    bands = frames.shape[1]
    weights = np.array([0.299, 0.587, 0.114] if bands == 3 else [1 / bands] * bands, np.float32)
    grey = np.einsum('nchw,c->nhw', frames, weights)
    brightest = grey.max(initial=0.0)
    if 0 < brightest < DARK:
        grey /= brightest
    return (np.nan_to_num(grey).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def opencv_flow(frames: np.ndarray, centre: int, method: str) -> np.ndarray:
    """Flow from a frame to each of the others, in their order.

    Args:
        frames: (n, h, w) uint8.
        centre: index of the frame that the flow starts from.
        method: ``dis`` or ``farneback``.

    Returns:
        (n - 1, 2, h, w) float32: how far right (u) and down (v), in pixels, what is seen at a pixel of the centre
        frame lies in the other frame. A neighbour equal to the centre frame has zero flow.
    """
    estimate = METHODS[method]()
    flows = np.zeros((len(frames) - 1, 2, *frames.shape[1:]), np.float32)
    for flow, neighbour in zip(flows, np.delete(frames, centre, axis=0), strict=True):
        if not np.array_equal(frames[centre], neighbour):  # as at the ends of clips
            flow[:] = estimate(frames[centre], neighbour).transpose(2, 0, 1)
    return flows


def _dis() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def estimate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape
        first, second = _enlarge(first), _enlarge(second)
        top, left = (first.shape[0] - height) // 2, (first.shape[1] - width) // 2
        flow = estimator.calc(first, second, None)  # type: ignore[call-overload]  # None makes it start anew
        return flow[top:top + height, left:left + width]

    return estimate


def _enlarge(frame: np.ndarray) -> np.ndarray:
    """Repeat the outermost pixels, all round, up to a size that DIS can take; mirroring them was less exact."""
    smallest = LONG_SIDE if max(frame.shape) >= LONG_SIDE else SHORT_SIDE
    lacking = [max(smallest - side, 0) for side in frame.shape]
    return np.pad(frame, [(lack // 2, lack - lack // 2) for lack in lacking], 'edge') if any(lacking) else frame


def _farneback() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def estimate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        flow = np.empty((*first.shape, 2), np.float32)
        return cv2.calcOpticalFlowFarneback(first, second, flow, pyr_scale=0.5, levels=3, winsize=15, iterations=3,
                                            poly_n=5, poly_sigma=1.2, flags=0)

    return estimate


METHODS: dict[str, Callable[[], Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    'dis': _dis, 'farneback': _farneback}
