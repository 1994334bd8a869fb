"""The small result folders as fixtures."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from small_results import CLIPS, FRAMES, SCORES, draw_gt, write_pictures, write_scores

from satvsr_plugin.data.image_io import write_image


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """The result folders of a baseline (blurred GT) and of a better system (GT itself, named by a suffix)."""
    folders = [tmp_path / 'results' / name for name in SCORES]
    for folder in folders:
        write_scores(folder, SCORES[folder.name])
    write_pictures(folders[0], lambda gt: cv2.blur(gt, (5, 5)), 'Bicubic')
    write_pictures(folders[1], lambda gt: gt, 'x4')
    return folders


@pytest.fixture
def gt_folder(tmp_path: Path) -> Path:
    """The ground truth of both clips."""
    for clip in CLIPS:
        for frame in FRAMES:
            write_image(tmp_path / 'GT' / clip / f'{frame}.png', draw_gt(clip, frame))
    return tmp_path / 'GT'
