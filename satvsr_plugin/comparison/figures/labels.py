"""Writes names beside the points of a plot so that they do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

# Where a name may stand, from the best place on: how far from the point (in points) and how it is aligned there.
_PLACES = [
    (right, up, horizontal, vertical)
    for far in (1, 2, 3)
    for right, up, horizontal, vertical in (
        (8, 0, 'left', 'center'), (-8, 0, 'right', 'center'),
        (0, 9 * far, 'center', 'bottom'), (0, -9 * far, 'center', 'top'),
        (7 * far, 7 * far, 'left', 'bottom'), (7 * far, -7 * far, 'left', 'top'),
        (-7 * far, 7 * far, 'right', 'bottom'), (-7 * far, -7 * far, 'right', 'top'),
    )
]  # fmt: skip


def put_labels(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write every name at the place where it covers least of points, names before it, and the world outside.

    Args:
        axes: with its limits and layout final.
        points: names, and where they are in data coordinates.
    """
    taken = [text.get_window_extent() for text in axes.texts]
    taken += [_around(axes.transData.transform((x, y))) for _, x, y in points]
    for name, x, y in points:
        label = axes.annotate(name, (x, y), (0, 0), textcoords='offset points', fontsize=9)
        costs = []
        for place in _PLACES:
            _move(label, place)
            box = label.get_window_extent()
            costs.append(_covered(box, taken) + _outside(box, axes.bbox))
            if not costs[-1]:
                break
        _move(label, _PLACES[int(np.argmin(costs))])
        taken.append(label.get_window_extent())


def _move(label: Annotation, place: tuple[int, int, str, str]) -> None:
    right, up, horizontal, vertical = place
    label.set(position=(right, up), ha=horizontal, va=vertical)


def _around(centre: np.ndarray) -> Bbox:
    x, y = centre
    return Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)


def _covered(box: Bbox, others: Sequence[Bbox]) -> float:
    shared = [Bbox.intersection(box, other) for other in others]
    return sum(part.width * part.height for part in shared if part is not None)


def _outside(box: Bbox, panel: Bbox) -> float:
    inside = Bbox.intersection(box, panel)
    return box.width * box.height - (inside.width * inside.height if inside is not None else 0.0)
