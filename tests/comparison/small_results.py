"""Small results as ``basicsr test`` leaves them: two clips, three frames, a baseline and a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satvsr_plugin.comparison.results import System
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.test_record import ClipRecord, DatasetRecord, TestRecord, write_record

CLIPS = ('000', '001')
FRAMES = ('00', '01', '02')
PROTOCOL = {'color': 'y', 'crop_border': 0, 'quantize': True, 'data_range': None}
METRICS = {'psnr': {'type': 'satvsr_psnr', **PROTOCOL}, 'ssim': {'type': 'satvsr_ssim', **PROTOCOL}}
BICUBIC = {'type': 'Bicubic', 'scale': 4}
# clip: PSNR of each frame, SSIM of each frame
SCORES = {
    'Bicubic': {'000': ((29.0, 30.0, 31.0), (0.88,) * 3), '001': ((31.5,) * 3, (0.901234,) * 3)},
    'Net': {'000': ((32.125,) * 3, (0.93,) * 3), '001': ((31.25,) * 3, (0.9,) * 3)},
}
Scores = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def make_record(name: str, scores: Scores, network: Mapping[str, Any] | None = None, size: tuple[int, int] = (64, 80),
                pictures: str | None = None, **changes: Any) -> TestRecord:
    """A record of a test with these scores.

    Args:
        name: of the experiment.
        scores: clip: PSNR and SSIM of every frame.
        network: its ``network_g``; one that no registry knows by default.
        size: height and width of the results.
        pictures: pattern of the pictures.
        changes: other fields.
    """
    clips = {}
    for number, (clip, (psnr, ssim)) in enumerate(scores.items()):
        frames = [f'{frame:02}' for frame in range(len(psnr))]
        clips[clip] = ClipRecord(
            height=size[0], width=size[1], bands=3, bit_depth=8, frames=frames,
            lq_crc32=[1000 * number + frame for frame in range(len(psnr))],
            gt_crc32=[1000 * number + frame + 500 for frame in range(len(psnr))],
            scores={'psnr': list(psnr), 'ssim': list(ssim)})
    fields = dict(
        name=name, scale=4, network=dict(network or {'type': name}), weights=None,
        dataset=DatasetRecord(name='Drawn', backend='disk', lq='/data/LR4x', gt='/data/GT'), settings={},
        metrics=METRICS, pictures=pictures, clips=clips, finished='2025-01-01T12:00:00+00:00', device='CPU',
        versions={})
    return TestRecord(**{**fields, **changes})


def make_system(name: str, psnr: Mapping[str, float], network: Mapping[str, Any] | None = None,
                **changes: Any) -> System:
    """A system with one PSNR a clip, the same in all of three frames, and an SSIM of a hundredth of it."""
    scores = {clip: ((value,) * 3, (value / 100,) * 3) for clip, value in psnr.items()}
    return System(name, Path(name), make_record(name, scores, network, **changes))


def change_clip(record: TestRecord, clip: str, **changes: Any) -> TestRecord:
    """The record with other values in one clip."""
    clips = {**record.clips, clip: record.clips[clip].model_copy(update=changes)}
    return record.model_copy(update={'clips': clips})


def write_results(folder: Path, record: TestRecord) -> Path:
    """Returns the folder."""
    write_record(folder, record)
    return folder


def draw_gt(clip: str, frame: str) -> np.ndarray:
    """A textured picture with a flat quarter at the upper left, (64, 80, 3) uint8."""
    rng = np.random.default_rng(int(clip) * 100 + int(frame))
    picture = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    picture[:32, :40] = 128
    return picture


def write_pictures(folder: Path, change: Callable[[np.ndarray], np.ndarray], name: str) -> str:
    """Save a changed GT as each frame's result; returns the pattern of the files."""
    pattern = f'visualization/Drawn/{{clip}}/{{frame}}_{name}.png'
    for clip in CLIPS:
        for frame in FRAMES:
            write_image(folder / pattern.format(clip=clip, frame=frame), change(draw_gt(clip, frame)))
    return pattern
