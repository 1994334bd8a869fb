"""Systems as ``basicsr test`` leaves them, made of pictures that a test draws itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satvsr_plugin.comparison.results import System
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.test_record import ClipRecord, DatasetRecord, TestRecord

CLIPS = ('000', '001')
FRAMES = ('00', '01', '02')
METRICS = {'psnr': {'type': 'satvsr_psnr', 'color': 'y'}, 'ssim': {'type': 'satvsr_ssim', 'color': 'y'}}
Change = Callable[[np.ndarray], np.ndarray]


def draw_gt(clip: str, frame: str) -> np.ndarray:
    """A textured picture with a flat quarter at the upper left, (64, 80, 3) uint8; other frames, other texture."""
    rng = np.random.default_rng(int(clip) * 100 + int(frame))
    picture = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    picture[:32, :40] = 128
    return picture


def score(place: int, clip: str, frame: str) -> tuple[float, float]:
    """A PSNR and an SSIM that tell system, clip and frame: 31.12 dB is system 1, clip 001, frame 02."""
    return 30 + place + int(clip) / 10 + int(frame) / 100, 0.9 + place / 100 + int(frame) / 1000


def make_systems(
    root: Path,
    changes: Mapping[str, Change | None],
    *,
    clips: Sequence[str] = CLIPS,
    frames: Sequence[str] = FRAMES,
    gt: Callable[[str, str], np.ndarray] = draw_gt,
    networks: Mapping[str, dict[str, Any]] | None = None,
) -> list[System]:
    """Write GT, LR and the systems' pictures under a folder.

    Args:
        root: gets ``GT``, ``LR4x`` and ``results``.
        changes: what every system makes of GT; None for a system that saved no pictures.
        clips: names of the clips.
        frames: names of the frames of each.
        gt: draws a frame.
        networks: ``network_g`` of systems; by default their type is their name.
    """
    for clip in clips:
        for frame in frames:
            write_image(root / 'GT' / clip / f'{frame}.png', gt(clip, frame))
            write_image(root / 'LR4x' / clip / f'{frame}.png', downsample(gt(clip, frame), 4))
    return [_make(root, number, name, change, clips, frames, gt, (networks or {}).get(name, {'type': name}))
            for number, (name, change) in enumerate(changes.items())]


def _make(root: Path, number: int, name: str, change: Change | None, clips: Sequence[str], frames: Sequence[str],
          gt: Callable[[str, str], np.ndarray], network: dict[str, Any]) -> System:
    folder = root / 'results' / f'test_{number}'
    records = {}
    for clip in clips:
        height, width, bands = gt(clip, frames[0]).shape
        values = [score(number, clip, frame) for frame in frames]
        records[clip] = ClipRecord(
            height=height, width=width, bands=bands, bit_depth=gt(clip, frames[0]).itemsize * 8, frames=list(frames),
            lq_crc32=[0] * len(frames), gt_crc32=[0] * len(frames),
            scores={'psnr': [psnr for psnr, _ in values], 'ssim': [ssim for _, ssim in values]})
        for frame in frames if change else ():
            write_image(folder / 'visualization' / 'Drawn' / clip / f'{frame}_x.png', change(gt(clip, frame)))
    record = TestRecord(
        name=f'test_{number}', scale=4, network=network, weights=None,
        dataset=DatasetRecord(name='Drawn', backend='disk', lq=str(root / 'LR4x'), gt=str(root / 'GT')),
        settings={}, metrics=METRICS, pictures='visualization/Drawn/{clip}/{frame}_x.png' if change else None,
        clips=records, finished='2026-01-02T03:04:05', device='cpu', versions={'torch': '2.13.0'})
    return System(name, folder, record)
