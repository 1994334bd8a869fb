"""Radial power spectra: how much there is of every fineness, from 0 to the Nyquist frequency of 0.5 cycles/px."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from satvsr_plugin.errors import DataError

LARGEST_TILE, SMALLEST_TILE = 256, 32  # px
REFERENCE = (0.03, 0.06)  # cycles/px; the power there is 0 dB
FINE = (0.25, 0.375)  # cycles/px; at x4 a network has to find what is above 0.125


@dataclass(frozen=True)
class Spectrum:
    """Of several frames; decibels relative to the mean power between 0.03 and 0.06 cycles/px of the same frame.

    Attributes:
        frequency: (n,) cycles/px.
        mean: (n,) mean over frames of the decibels.
        low: (n,) below it are 10 % of the frames.
        high: (n,) above it are 10 % of the frames.
    """

    frequency: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def tile_size(height: int, width: int) -> int:
    """The tile that spectra of frames of this size are taken from: the largest power of two up to 256 that fits.

    Raises:
        DataError: the frames are smaller than 32 px.
    """
    side = min(height, width, LARGEST_TILE)
    if side < SMALLEST_TILE:
        raise DataError(f'frames of {width}x{height} are too small for a spectrum; {SMALLEST_TILE} pixels each way are '
                        'needed')
    return 2 ** (side.bit_length() - 1)


def frequencies(tile: int) -> np.ndarray:
    """(tile / 2,) cycles/px: the middles of the rings of :func:`radial_power`."""
    return np.arange(1, tile // 2 + 1) / tile


def radial_power(luma: np.ndarray, tile: int) -> np.ndarray:
    """Mean power in rings round frequency 0, each 1 / tile cycles/px wide.

    Periodogram of tiles under a Hann window, each without its mean; the mean over tiles that cover the frame evenly.

    Args:
        luma: (h, w), at least one tile each way.
        tile: side of a tile in px.

    Returns:
        (tile / 2,) power for white noise of deviation 1 is 1; at :func:`frequencies`.
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(tile) / tile)
    window = np.outer(window, window)
    tops, lefts = (_starts(size, tile) for size in luma.shape)
    power = np.zeros((tile, tile // 2 + 1))
    for top in tops:
        for left in lefts:
            part = luma[top:top + tile, left:left + tile]
            power += np.abs(np.fft.rfft2((part - np.average(part, weights=window)) * window)) ** 2
    ring, count = _rings(tile)
    total = np.bincount(ring.ravel(), (power * _copies(tile)).ravel())
    return (total / count)[1:tile // 2 + 1] / (len(tops) * len(lefts) * np.square(window).sum())


def share_of_energy(power: np.ndarray, band: tuple[float, float] = FINE) -> float:
    """The share of the energy up to 0.5 cycles/px that lies in a band of frequencies.

    Args:
        power: of :func:`radial_power`.
        band: lowest and highest frequency in cycles/px; a ring on its edge counts with the part that lies within.
    """
    tile = 2 * len(power)
    energy = power * _rings(tile)[1][1:tile // 2 + 1]
    inside, all_of_them = (_overlap(tile, *limits) for limits in (band, (0, 0.5)))
    return float((inside * energy).sum() / (all_of_them * energy).sum())


def in_decibels(power: np.ndarray) -> np.ndarray:
    """(n,) power of :func:`radial_power` relative to that between 0.03 and 0.06 cycles/px; nothing below -120 dB."""
    frequency = frequencies(2 * len(power))
    relative = power / power[(frequency >= REFERENCE[0]) & (frequency <= REFERENCE[1])].mean()
    return 10 * np.log10(np.maximum(relative, 1e-12))


def summarise(powers: Iterable[np.ndarray]) -> Spectrum:
    """The spectrum of many frames of :func:`radial_power`, at least one, all from tiles of one size."""
    levels: Sequence[np.ndarray] = [in_decibels(power) for power in powers]
    low, high = np.percentile(levels, (10, 90), axis=0)
    return Spectrum(frequencies(2 * len(levels[0])), np.mean(levels, axis=0), low, high)


def _starts(size: int, tile: int) -> list[int]:
    """First pixels of tiles that cover ``size`` pixels with as little overlap as possible."""
    return np.linspace(0, size - tile, -(-size // tile)).round().astype(int).tolist()


def _rings(tile: int) -> tuple[np.ndarray, np.ndarray]:
    """The ring of every frequency of a half spectrum, and how many frequencies of the whole one each ring has."""
    radius = np.hypot(np.fft.fftfreq(tile)[:, None], np.fft.rfftfreq(tile)) * tile
    ring = radius.round().astype(int)
    return ring, np.bincount(ring.ravel(), _copies(tile).ravel())


def _copies(tile: int) -> np.ndarray:
    """How often a frequency of a half spectrum stands in the whole one."""
    copies = np.full((tile, tile // 2 + 1), 2.0)
    copies[:, [0, -1]] = 1
    return copies


def _overlap(tile: int, lowest: float, highest: float) -> np.ndarray:
    """(tile / 2,) which part of every ring lies between two frequencies, 0 to 1."""
    middle = frequencies(tile) * tile
    return np.clip(np.minimum(middle + 0.5, highest * tile) - np.maximum(middle - 0.5, lowest * tile), 0, 1)
