"""All measures of one clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from satvsr_plugin.data.clip_source import ClipSource, frame_key
from satvsr_plugin.data.measures.flicker import Flicker, flicker
from satvsr_plugin.data.measures.luma import luma
from satvsr_plugin.data.measures.motion import find_drift
from satvsr_plugin.data.measures.noise import temporal_noise
from satvsr_plugin.data.measures.spectrum import radial_power
from satvsr_plugin.errors import DataError

BLANK = 1e-9  # grey levels squared; a single pixel that differs by one level gives more


@dataclass(frozen=True)
class ClipJob:
    """A clip to measure.

    Attributes:
        source: holds the clip.
        clip: its name.
        frames: at most so many, from the first on.
        tile: side of the spectrum's tiles in px, see :func:`~satvsr_plugin.data.measures.spectrum.tile_size`.
        gt: the ground truth of results, with a clip of the same name; None where flicker is not wanted.
    """

    source: ClipSource
    clip: str
    frames: int
    tile: int
    gt: ClipSource | None = None

    def __str__(self) -> str:
        return f'{self.source.root}: clip {self.clip}'


@dataclass(frozen=True)
class ClipMeasures:
    """What a clip is like.

    Attributes:
        frames: number of frames measured.
        powers: the :func:`~satvsr_plugin.data.measures.spectrum.radial_power` of every frame that is not blank.
        drifts: (down, right) in px between consecutive frames.
        noises: deviation of the noise in grey levels of 255, of consecutive frames.
        flicker: against GT; None without it.
    """

    frames: int
    powers: list[np.ndarray]
    drifts: list[tuple[float, float]]
    noises: list[float]
    flicker: Flicker | None

    @property
    def speeds(self) -> list[float]:
        """Lengths of the drifts, px a frame."""
        return [float(np.hypot(*drift)) for drift in self.drifts]

    @property
    def noise(self) -> float | None:
        """Mean over the clip; None for a single frame."""
        return float(np.mean(self.noises)) if self.noises else None


def measure_clip(job: ClipJob) -> ClipMeasures:
    """Measure one clip, holding two frames in memory.

    Raises:
        DataError: a frame cannot be read, or results and GT do not belong together.
    """
    powers, drifts, noises, frames = [], [], [], 0
    before: np.ndarray | None = None
    for image in _read(job.source, job):
        now = luma(image)
        frames += 1
        power = radial_power(now, job.tile)
        if power.sum() > BLANK:
            powers.append(power)
        if before is not None:
            drifts.append(find_drift(before, now))
            noises.append(temporal_noise(before, now, drifts[-1]))
        before = now
    return ClipMeasures(frames, powers, drifts, [noise for noise in noises if noise is not None], _flicker(job))


def check_partners(job: ClipJob) -> list[str]:
    """What keeps the frames of a result from being compared with GT, as lines to print.

    Results of ``basicsr test`` may be called ``FRAME_SUFFIX.png``.
    """
    if job.gt is None:
        return []
    if job.clip not in job.gt.clips:
        return [f'clip {job.clip}: no GT clip of this name in {job.gt.root}']
    ours, theirs = (source.clips[job.clip] for source in (job.source, job.gt))
    if len(ours) != len(theirs):
        return [f'clip {job.clip}: {len(ours)} results, but {len(theirs)} GT frames']
    unlike = [(result, gt) for result, gt in zip(ours, theirs, strict=True)
              if frame_key(result) != frame_key(gt) and not result.startswith(frame_key(gt) + '_')]
    return [f'clip {job.clip}: the result {unlike[0][0]} stands where GT has {unlike[0][1]}'] if unlike else []


def _read(source: ClipSource, job: ClipJob) -> Iterator[np.ndarray]:
    return (source.read(job.clip, frame) for frame in source.clips[job.clip][:job.frames])


def _flicker(job: ClipJob) -> Flicker | None:
    if job.gt is None:
        return None
    try:
        return flicker(_read(job.source, job), _read(job.gt, job))
    except DataError as error:
        raise DataError(f'{job}: no flicker against {job.gt.root}: {error}') from error
