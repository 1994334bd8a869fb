"""Whether the best system is better than the others by more than the choice of clips explains.

Paired percentile bootstrap over clips (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): clips
are drawn with replacement, the same ones for both systems, and the mean of their differences is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from satvsr_plugin.comparison.metrics import better, labels, leading_metric
from satvsr_plugin.comparison.results import System

RESAMPLES = 10_000
CONFIDENCE = 0.95
FEW_CLIPS = 5  # below it, an interval says little
_SEED = 0


@dataclass(frozen=True)
class Difference:
    """One system against the best.

    Attributes:
        system: its name.
        mean: its mean over clips minus that of the best system, in the metric's unit.
        low, high: the 95 % interval of ``mean``; None with a single clip, or where scores are not finite.
        won: share of clips in which it is better than the best system, in [0, 1].
    """

    system: str
    mean: float
    low: float | None
    high: float | None
    won: float


@dataclass(frozen=True)
class Significance:
    """All systems against the best one.

    Attributes:
        metric: label of the metric, e.g. ``PSNR``.
        best: name of the best system by the mean over clips.
        clips: how many clips there are.
        differences: one for every other system, in the order of the systems.
        notes: how to read it.
    """

    metric: str
    best: str
    clips: int
    differences: list[Difference]
    notes: list[str]


def significance(systems: Sequence[System]) -> Significance | None:
    """Compare every system with the best, clip by clip; None for a single system.

    Args:
        systems: tested alike.
    """
    if len(systems) < 2:
        return None
    first = systems[0].record
    metric = leading_metric(first)
    sign = 1 if better(first.metrics[metric]) == 'higher' else -1
    means = {system.name: np.array([system.record.clips[clip].mean(metric) for clip in first.clips])
             for system in systems}
    best = _best(means, sign)
    differences = [_difference(name, found - means[best], sign) for name, found in means.items() if name != best]
    return Significance(labels(first.metrics)[metric], best, len(first.clips), differences, _notes(len(first.clips)))


def bootstrap_interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of (clips,) differences; the same at every call."""
    drawn = np.random.default_rng(_SEED).integers(len(differences), size=(RESAMPLES, len(differences)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def _best(means: dict[str, np.ndarray], sign: int) -> str:
    """Scores that are not a number never win."""
    def merit(name: str) -> float:
        mean = sign * float(means[name].mean())
        return -np.inf if np.isnan(mean) else mean

    return max(means, key=merit)


def _difference(name: str, differences: np.ndarray, sign: int) -> Difference:
    bounded = len(differences) > 1 and bool(np.isfinite(differences).all())
    low, high = bootstrap_interval(differences) if bounded else (None, None)
    return Difference(name, float(differences.mean()), low, high, float((sign * differences > 0).mean()))


def _notes(clips: int) -> list[str]:
    if clips == 1:
        return ['With one clip there is no interval: nothing is known about other clips.']
    notes = [f'95 % interval of the mean difference: paired bootstrap over {clips} clips, {RESAMPLES:,} resamples. '
             'An interval that holds 0 leaves open which system is better on other clips.']
    if clips < FEW_CLIPS:
        notes.append(f'An interval over as few as {clips} clips means little.')
    return notes
