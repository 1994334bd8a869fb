"""Fits the linear filter to clips by least squares, exactly, and says what it gains over bicubic interpolation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch

from satvsr_plugin.archs import Bicubic, LinearFilter
from satvsr_plugin.archs.interface import run_network
from satvsr_plugin.data.augment import to_tensor
from satvsr_plugin.data.clips import open_clips
from satvsr_plugin.data.dataset_report.layout import Layout, is_lmdb
from satvsr_plugin.data.pairs import ClipPairs
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.models.pictures import score, to_hwc

RIDGE = 1e-8  # of the mean power of a tap: binds only weights that the clips say nothing about
STRIPE = 2**18  # LR pixels whose surroundings are in memory at once: 100 MB for 7x7


@dataclass(frozen=True)
class LinearFit:
    """A fitted filter.

    Attributes:
        net: the filter, in evaluation mode.
        frames: number of frames that it was fitted to.
        samples: number of equations for each phase: LR pixels times bands.
        sums: (scale, scale) sum of the weights of every phase; 1 keeps the brightness.
        bicubic: PSNR of bicubic interpolation on these frames in dB, by the published protocol: on Y where there are
            three bands or one, else on all bands; mean over a clip, then over clips.
        fitted: that of the filter.
    """

    net: LinearFilter
    frames: int
    samples: int
    sums: np.ndarray
    bicubic: float
    fitted: float


class NormalEquations:
    """What least squares need to know of any number of frames, in float64 and in little memory.

    Args:
        scale: enlargement.
        kernel_size: as of :class:`~satvsr_plugin.archs.linear_filter_arch.LinearFilter`.
    """

    def __init__(self, scale: int, kernel_size: int) -> None:
        self.scale, self.kernel_size, self.samples = scale, kernel_size, 0
        self._taps = np.zeros((kernel_size**2, kernel_size**2))
        self._targets = np.zeros((kernel_size**2, scale**2))

    def add(self, lq: np.ndarray, gt: np.ndarray) -> None:
        """Add one frame; every band counts as a picture of its own.

        Args:
            lq: (h, w, c) uint8 or uint16.
            gt: (scale * h, scale * w, c) of the same type.
        """
        peak = np.iinfo(lq.dtype).max
        h, w, bands = lq.shape
        radius = self.kernel_size // 2
        for band in range(bands):
            padded = np.pad(lq[..., band] / peak, radius, mode='edge')
            windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * (self.kernel_size,))  # (h, w, k, k)
            # (h, w, scale, scale): the HR pixels that an LR pixel covers
            covered = (gt[..., band] / peak).reshape(h, self.scale, w, self.scale).transpose(0, 2, 1, 3)
            for rows in _stripes(h, max(1, STRIPE // w)):
                taps = windows[rows].reshape(-1, self.kernel_size**2)
                self._taps += taps.T @ taps
                self._targets += taps.T @ covered[rows].reshape(-1, self.scale**2)
        self.samples += h * w * bands

    def solve(self, start: np.ndarray) -> np.ndarray:
        """The weights of the least squared error.

        Args:
            start: (scale^2, k^2) weights that are kept where the frames leave them open.

        Returns:
            (scale^2, k^2) float64.

        Raises:
            DataError: there is no frame, or all are black.
        """
        power = np.trace(self._taps) / self.kernel_size**2
        if power == 0:
            raise DataError('nothing to fit a filter to: all frames are black')
        bound = self._taps + RIDGE * power * np.eye(self.kernel_size**2)
        return start + np.linalg.solve(bound, self._targets - self._taps @ start.T).T


def open_layout(layout: Layout) -> ClipPairs:
    """The pairs of a data set; where names do not tell the scale, the sizes of the first clip do.

    Raises:
        DataError: clips cannot be opened or do not fit each other; lists all of them.
        OptionError: there is no GT, or no LR.
    """
    if layout.lq is None or layout.main.side != 'GT':
        raise OptionError(f'{layout.main.root}: a filter is fitted to GT and LR clips, but {layout.main.side} alone '
                          'is here; give --gt and --lq, or a folder with GT and LR4x')
    gt, lq = (open_clips(place.root, 'lmdb' if is_lmdb(place.root) else 'disk') for place in (layout.main, layout.lq))
    first = next((clip for clip in lq.clips if clip in gt.clips), None)
    scale = layout.scale or (gt.format(first).height // lq.format(first).height if first is not None else 1)
    pairs = ClipPairs(lq, gt, scale)
    pairs.check(dict.fromkeys([*lq.clips, *gt.clips]))
    return pairs


def fit_linear_filter(pairs: ClipPairs, frames: int = 1, kernel_size: int = 7) -> LinearFit:
    """Fit a filter to frames of all clips.

    Args:
        pairs: checked.
        frames: how many of every clip, evenly spaced; all of clips that have no more.
        kernel_size: height and width of the filters in LR pixels, odd, at least 5.

    Raises:
        OptionError: ``kernel_size`` or the scale is not one that the filter has.
        DataError: a frame cannot be read, or all are black.
    """
    net = LinearFilter(pairs.scale, kernel_size).eval()
    equations = NormalEquations(pairs.scale, kernel_size)
    chosen = {clip: spaced(len(names), frames) for clip, names in pairs.lq.clips.items()}
    for clip, indices in chosen.items():
        for index in indices:
            equations.add(pairs.read_lq(clip, index), pairs.read_gt(clip, index))
    weights = equations.solve(net.weight.detach().double().flatten(1).numpy())
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(weights).reshape(net.weight.shape))
    bicubic, fitted = _scores(pairs, chosen, [Bicubic(pairs.scale), net])
    sums = weights.sum(1).reshape(pairs.scale, pairs.scale)
    return LinearFit(net, sum(map(len, chosen.values())), equations.samples, sums, bicubic, fitted)


def spaced(length: int, count: int) -> list[int]:
    """At most ``count`` indices of ``length`` frames, evenly spaced, as far from the ends as from each other."""
    count = min(count, length)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def _stripes(rows: int, height: int) -> Iterator[slice]:
    return (slice(top, top + height) for top in range(0, rows, height))


@torch.no_grad()
def _scores(pairs: ClipPairs, chosen: dict[str, list[int]], nets: Sequence[Bicubic | LinearFilter]) -> list[float]:
    """PSNR of every network, see :class:`LinearFit`."""
    clips = [[fmean(_psnr(net, pairs, clip, index) for index in indices) for net in nets]
             for clip, indices in chosen.items()]
    return [fmean(values) for values in zip(*clips, strict=True)]


def _psnr(net: Bicubic | LinearFilter, pairs: ClipPairs, clip: str, index: int) -> float:
    lq, gt = pairs.read_lq(clip, index), pairs.read_gt(clip, index)
    result = run_network(net, net.input_spec, to_tensor(lq.transpose(2, 0, 1))[None, None])
    color = 'y' if gt.shape[2] in (1, 3) else 'rgb'
    return score(to_hwc(result), gt, f'{clip}, frame {index}', 'psnr', {'type': 'satvsr_psnr', 'color': color})
