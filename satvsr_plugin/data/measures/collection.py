"""All measures of several sets of clips, made alike so that they can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from satvsr_plugin.data.clip_source import ClipSource, natural_order
from satvsr_plugin.data.measures.clip import ClipJob, ClipMeasures, check_partners, measure_clip
from satvsr_plugin.data.measures.flicker import Flicker, ratio_of
from satvsr_plugin.data.measures.spectrum import Spectrum, share_of_energy, summarise, tile_size
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.parallel import ordered_map

GT = 'GT'  # what the ground truth of results is called


@dataclass(frozen=True)
class SetMeasures:
    """What the clips of one set are like.

    Attributes:
        root: its folder or LMDB.
        clips: the measures of every clip, by name.
    """

    root: Path
    clips: dict[str, ClipMeasures]

    @property
    def frames(self) -> int:
        """Number of frames measured."""
        return sum(clip.frames for clip in self.clips.values())

    @property
    def powers(self) -> list[np.ndarray]:
        """The radial power of every frame that is not blank."""
        return [power for clip in self.clips.values() for power in clip.powers]

    @property
    def spectrum(self) -> Spectrum:
        """Of all frames."""
        return summarise(self.powers)

    @property
    def share(self) -> float:
        """Mean over frames of the share of energy between 0.25 and 0.375 cycles/px."""
        return float(np.mean([share_of_energy(power) for power in self.powers]))

    @property
    def noises(self) -> list[float]:
        """The noise of every clip of two frames or more."""
        return [clip.noise for clip in self.clips.values() if clip.noise is not None]

    @property
    def speeds(self) -> list[float]:
        """Px from frame to frame, of all frames."""
        return [speed for clip in self.clips.values() for speed in clip.speeds]

    @property
    def flicker(self) -> Flicker | None:
        """Mean over clips, and the ratio of the means; None where there is no GT."""
        found = [clip.flicker for clip in self.clips.values() if clip.flicker is not None]
        if not found:
            return None
        result, gt = (float(np.mean([getattr(one, side) for one in found])) for side in ('result', 'gt'))
        return Flicker(result, gt, ratio_of(result, gt))


@dataclass(frozen=True)
class Measures:
    """Sets by name, all measured with tiles of ``tile`` px."""

    tile: int
    sets: dict[str, SetMeasures]


def measure_sets(sources: Mapping[str, ClipSource], gt: ClipSource | None = None, frames: int = 10,
                 processes: int = 1) -> Measures:
    """Measure sets of clips.

    Args:
        sources: by name.
        gt: where the sources are results, their ground truth; its clips are measured as well, as the set ``GT``.
        frames: of every clip, from the first on.
        processes: number of worker processes.

    Raises:
        DataError: a frame cannot be read or is too small, all of a set are blank, results and GT do not belong
            together, or a worker process died.
        OptionError: one of several sets is called GT, which is the ground truth.
    """
    if gt is not None and GT in sources:
        raise OptionError(f'results cannot be called {GT} beside their ground truth; name them otherwise')
    jobs = _jobs(sources, gt, frames)
    raise_problems('results and GT', [f'{job.source.root}: {problem}' for _, job in jobs
                                      for problem in check_partners(job)])
    found: dict[str, SetMeasures] = {name: SetMeasures(job.source.root, {}) for name, job in jobs}
    with closing(ordered_map(measure_clip, (job for _, job in jobs), processes)) as results:
        for (name, _), (job, measures) in zip(jobs, results, strict=True):
            if isinstance(measures, DataError):
                raise measures
            found[name].clips[job.clip] = measures
    raise_problems('spectra', [f'{one.root}: all frames are blank' for one in found.values() if not one.powers])
    return Measures(jobs[0][1].tile, found)


def _jobs(sources: Mapping[str, ClipSource], gt: ClipSource | None, frames: int) -> list[tuple[str, ClipJob]]:
    """The clips to measure, each with the name of its set; GT last."""
    tile = min(map(_tile_of, sources.values()))
    jobs = [(name, ClipJob(source, clip, frames, tile, gt)) for name, source in sources.items()
            for clip in source.clips]
    if gt is not None:
        wanted = {job.clip for _, job in jobs if job.clip in gt.clips}
        jobs += [(GT, ClipJob(gt, clip, frames, tile)) for clip in natural_order(wanted)]
    return jobs


def _tile_of(source: ClipSource) -> int:
    """The largest tile that all clips of a set hold."""
    try:
        return min(tile_size(*source.format(clip)[:2]) for clip in source.clips)
    except DataError as error:
        raise DataError(f'{source.root}: {error}') from error
