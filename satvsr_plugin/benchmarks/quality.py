"""What faster ways cost in quality: PSNR against ground truth on a few frames."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks.variants import Runner
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.simulation import SimulationOptions, simulate_clip
from satvsr_plugin.data.simulation.sources import draw_source
from satvsr_plugin.data.windows import window_indices
from satvsr_plugin.errors import DataError
from satvsr_plugin.metrics import satvsr_psnr

FRAMES, SCORED = 9, 3  # of a drawn clip, and those in its middle whose results are scored


class Pairs(NamedTuple):
    """Frames of one clip, RGB of 8 bit: ``lq`` (h, w, 3), ``gt`` (scale * h, scale * w, 3)."""

    lq: list[np.ndarray]
    gt: list[np.ndarray]

    def cut(self, size: int, scale: int) -> Pairs:
        """The middle ``size`` x ``size`` LR pixels of each, fewer where frames are smaller."""
        height, width = self.lq[0].shape[:2]
        top, left = max(height - size, 0) // 2, max(width - size, 0) // 2
        return Pairs([frame[top:top + size, left:left + size] for frame in self.lq],
                     [frame[scale * top:scale * (top + size), scale * left:scale * (left + size)]
                      for frame in self.gt])


class Quality(NamedTuple):
    """PSNR of a variant's results in dB (8 bit, Y), and what it is from the plain variant's."""

    variant: str
    psnr: float
    from_plain: float


def drawn_pairs(size: int, scale: int) -> Pairs:
    """A drawn scene under a drifting camera, always the same; LR of ``size`` x ``size``."""
    options = SimulationOptions(clips=1, frames=FRAMES, size=scale * size, scale=scale)
    rng = np.random.default_rng(0)
    scene = draw_source(options, rng)
    gt = list(simulate_clip(scene.picture, options, rng, scene.lanes))
    return Pairs([downsample(frame, scale) for frame in gt], gt)


def read_pairs(gt: Path, lq: Path, scale: int) -> Pairs:
    """The first frames of the first clip in two folders of clips.

    Raises:
        DataError: a folder cannot be read, frames are not RGB of 8 bit, or the two do not fit each other.
    """
    clips = ClipFolder(gt), ClipFolder(lq)
    clip = next(iter(clips[0].clips))
    if clip not in clips[1].clips:
        raise DataError(f'{lq}: has no clip {clip}, which {gt} has')
    names = [source.clips[clip][:FRAMES] for source in clips]
    pairs = Pairs([clips[1].read(clip, name) for name in names[1]], [clips[0].read(clip, name) for name in names[0]])
    if len(pairs.gt) != len(pairs.lq) or any(frame.dtype != np.uint8 or frame.shape[2:] != (3,)
                                             for frame in pairs.gt + pairs.lq):
        raise DataError(f'{gt} and {lq}, clip {clip}: give as many frames in both, RGB of 8 bit')
    height, width = pairs.lq[0].shape[:2]
    if any(frame.shape[:2] != (scale * height, scale * width) for frame in pairs.gt):
        raise DataError(f'{gt}, clip {clip}: frames are not {scale} times as large as those in {lq}')
    return pairs


def measure_quality(runners: list[Runner], spec: InputSpec, pairs: Pairs) -> list[Quality]:
    """Score every variant on the middle frames, the first one being the plain one."""
    inputs, numbers = _inputs(spec, pairs.lq)
    truth = [pairs.gt[number] for number in numbers]
    scores = {}
    for runner in runners:
        found = runner.batches(inputs)
        scores[runner.variant.name] = _score(found[0, numbers] if spec.sees == 'clip' else found, truth)
    plain = scores[runners[0].variant.name]
    return [Quality(name, score, score - plain) for name, score in scores.items()]


def _inputs(spec: InputSpec, frames: list[np.ndarray]) -> tuple[Tensor, list[int]]:
    """What the network is given, (n, t, c, h, w) in [0, 1], and the numbers of the frames that are scored."""
    clip = torch.stack([torch.from_numpy(frame.transpose(2, 0, 1).astype(np.float32) / 255) for frame in frames])
    first = max(0, (len(frames) - SCORED) // 2)
    numbers = list(range(first, min(first + SCORED, len(frames))))
    if spec.sees == 'clip':
        return clip[None], numbers
    length = spec.num_frame or 1
    return torch.stack([clip[window_indices(number, len(frames), length)] for number in numbers]), numbers


def _score(results: Tensor, truth: list[np.ndarray]) -> float:
    """Mean PSNR of (n, 3, h, w) in [0, 1]."""
    pictures = [picture.permute(1, 2, 0).flip(-1).numpy() for picture in results]  # BGR, as the metric wants it
    return float(np.mean([satvsr_psnr(picture, gt[..., ::-1]) for picture, gt in zip(pictures, truth, strict=True)]))
