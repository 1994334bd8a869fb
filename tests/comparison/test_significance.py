"""Differences to the best system, against cases computed by hand and SciPy's bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_results import make_system

from satvsr_plugin.comparison.significance import bootstrap_interval, significance


def systems(**psnr: tuple[float, ...]) -> list:
    return [make_system(name, {f'{clip:03}': value for clip, value in enumerate(values)})
            for name, values in psnr.items()]


def test_two_clips_by_hand() -> None:
    """The mean of two drawn differences of -1 and -3 is -3, -2, -2 or -1: the outer ones have a quarter each."""
    found = significance(systems(base=(30.0, 30.0), best=(31.0, 33.0)))
    (base,) = found.differences
    assert (found.metric, found.best, found.clips) == ('PSNR', 'best', 2)
    assert (base.system, base.mean, base.low, base.high, base.won) == ('base', -2.0, -3.0, -1.0, 0.0)
    assert 'An interval over as few as 2 clips means little.' in found.notes


def test_clips_won_and_the_order_of_systems() -> None:
    found = significance(systems(a=(30.0, 33.0, 30.0, 30.0, 31.0), b=(32.0,) * 5, c=(20.0, 40.0, 20.0, 20.0, 32.0)))
    assert found.best == 'b'
    assert [(one.system, one.won) for one in found.differences] == [('a', 0.2), ('c', 0.2)]
    assert found.differences[1].mean == pytest.approx(-5.6)
    assert len(found.notes) == 1 and 'over 5 clips, 10,000 resamples' in found.notes[0]


def test_the_interval_is_that_of_scipy() -> None:
    stats = pytest.importorskip('scipy.stats')
    differences = np.random.default_rng(1).normal(-0.3, 0.2, 10)
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=100_000, method='percentile', rng=2)
    ours = bootstrap_interval(differences)
    spread = differences.std() / math.sqrt(10)
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.05 * spread)
    assert bootstrap_interval(differences) == ours  # the same at every call


def test_one_clip_has_no_interval() -> None:
    found = significance(systems(a=(30.0,), b=(31.0,)))
    assert (found.differences[0].low, found.differences[0].high) == (None, None)
    assert found.notes == ['With one clip there is no interval: nothing is known about other clips.']
    assert significance(systems(a=(30.0,))) is None


def test_scores_that_are_not_finite() -> None:
    found = significance(systems(broken=(math.nan, 50.0), good=(31.0, 32.0), perfect=(math.inf, 30.0)))
    assert found.best == 'perfect'
    broken, good = found.differences
    assert math.isnan(broken.mean) and broken.low is None
    assert (good.mean, good.low, good.won) == (-math.inf, None, 0.5)
