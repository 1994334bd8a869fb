"""The small result folders as fixtures."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from small_results import BICUBIC, CLIPS, FRAMES, SCORES, draw_gt, make_record, write_pictures, write_results

from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.test_record import DatasetRecord


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """The result folders of bicubic interpolation (blurred GT) and of a better system (GT itself)."""
    for clip in CLIPS:
        for frame in FRAMES:
            write_image(tmp_path / 'GT' / clip / f'{frame}.png', draw_gt(clip, frame))
            write_image(tmp_path / 'LR4x' / clip / f'{frame}.png', downsample(draw_gt(clip, frame), 4))
    dataset = DatasetRecord(name='Drawn', backend='disk', lq=str(tmp_path / 'LR4x'), gt=str(tmp_path / 'GT'))
    folders = []
    for name, change in (('Bicubic', lambda gt: cv2.blur(gt, (5, 5))), ('Net', lambda gt: gt)):
        folder = tmp_path / 'results' / name
        pattern = write_pictures(folder, change, name)
        network = BICUBIC if name == 'Bicubic' else None
        folders.append(write_results(folder, make_record(name, SCORES[name], network, pictures=pattern,
                                                         dataset=dataset)))
    return folders
