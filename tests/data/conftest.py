"""Small paired clips."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_clips import SCALE, MakePairs, gt_frame, lr_frame

from satvsr_plugin.data.image_io import write_image


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    """Write paired clips 000, 001, ... and return the folder with GT and LR4x.

    Arguments: ``lengths``, a number of frames for each clip; ``folder`` below the temporary folder; and the
    keywords of :func:`lr_frame`.
    """
    def make(lengths: tuple[int, ...] = (7, 6), folder: str = '.', **kind: int | type) -> Path:
        for clip, length in enumerate(lengths):
            for frame in range(length):
                lr = lr_frame(clip, frame, **kind)
                for side, image in ((f'LR{SCALE}x', lr), ('GT', gt_frame(lr))):
                    write_image(tmp_path / folder / side / f'{clip:03d}' / f'{frame:03d}.png', image)
        return tmp_path / folder

    return make
