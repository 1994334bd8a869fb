"""Temporal windows: which frames a network sees for a given centre frame."""

from __future__ import annotations

from typing import Literal

Padding = Literal['center', 'replicate', 'reflection', 'reflection_circle', 'circle']


def window_length(num_frame: int, interval: int = 1) -> int:
    """Number of consecutive frames that a window of ``num_frame`` frames, ``interval`` apart, spans."""
    return (num_frame - 1) * interval + 1


def window_indices(centre: int, length: int, num_frame: int, padding: Padding = 'center',
                   interval: int = 1) -> list[int]:
    """Indices of the frames in the window round a centre frame.

    At the ends of a clip ``padding`` says what stands for a missing neighbour. ``center``, the rule of MSDTGP
    and of the published results on Jilin-189, takes the centre frame itself. The other four are the toolbox's
    (``basicsr.data.data_util.generate_frame_indices``), applied to the frames that lie a multiple of ``interval``
    from the centre. For centre 0 and 5 frames: center [0, 0, 0, 1, 2], replicate [0, 0, 0, 1, 2], reflection
    [2, 1, 0, 1, 2], reflection_circle [4, 3, 0, 1, 2], circle [3, 4, 0, 1, 2].

    Args:
        centre: index of the centre frame, 0 <= centre < length.
        length: number of frames of the clip. Where it is too short for the toolbox's rule, the nearest frame
            is taken.
        num_frame: number of frames in the window, odd.
        padding: see above.
        interval: distance between neighbouring frames of the window, at least 1.

    Returns:
        ``num_frame`` indices in [0, length), the centre in the middle.
    """
    if padding == 'center':
        half = num_frame // 2
        wanted = [centre + step * interval for step in range(-half, half + 1)]
        return [index if 0 <= index < length else centre for index in wanted]

    from basicsr.data.data_util import generate_frame_indices  # here, since it loads torch

    offset = centre % interval  # the decimated clip: frames offset, offset + interval, ...
    decimated = (length - offset + interval - 1) // interval
    indices = generate_frame_indices(centre // interval, decimated, num_frame, padding)
    return [offset + interval * min(max(index, 0), decimated - 1) for index in indices]
