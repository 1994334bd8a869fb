"""Places without data: out of the network's sight, and out of its results."""

from __future__ import annotations

import cv2
import numpy as np


def fill_nodata(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Give every place without data the value of the nearest place with data, so that none bleeds into the picture.

    Args:
        image: (h, w, c) uint8 or uint16.
        valid: (h, w) bool, false where there is no data.

    Returns:
        (h, w, c); ``image`` itself where all of it is valid or nothing is.
    """
    if valid.all() or not valid.any():
        return image
    # each valid place gets a label of its own, and every other place that of the valid one nearest to it
    labels = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    place_of = np.zeros(labels.max() + 1, np.intp)
    place_of[labels[valid]] = np.flatnonzero(valid)
    filled = image.copy()
    filled[~valid] = image.reshape(-1, image.shape[2])[place_of[labels[~valid]]]
    return filled


def enlarge_valid(valid: np.ndarray, scale: int) -> np.ndarray:
    """(scale * h, scale * w) bool of an (h, w) one: each place becomes a square."""
    return valid.repeat(scale, axis=0).repeat(scale, axis=1)


def put_nodata(image: np.ndarray, valid: np.ndarray | None, value: int) -> np.ndarray:
    """Mark places without data by a value, and keep all others off it, by one grey level.

    Args:
        image: (h, w, c) uint8 or uint16.
        valid: (h, w) bool, false where there is no data; None for data everywhere.
        value: that of places without data.

    Returns:
        (h, w, c), a copy.
    """
    neighbour = value - 1 if value == np.iinfo(image.dtype).max else value + 1
    marked = np.where(image == value, image.dtype.type(neighbour), image)
    if valid is not None:
        marked[~valid] = value
    return marked


def blacken(image: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """An (h, w, c) image, black where an (h, w) bool says that there is no data; itself for None."""
    return image if valid is None else image * valid[..., None].astype(image.dtype)
