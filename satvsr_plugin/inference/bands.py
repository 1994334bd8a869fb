"""Frames of any number of bands through a network of one or three."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from satvsr_plugin.errors import DataError


@dataclass(frozen=True)
class BandPlan:
    """Which bands go through the network together.

    Attributes:
        channels: number of bands of the frames.
        groups: indices of the bands of each run, in the order of the network's bands; of a band that is there more
            than once, the results are averaged.
        remark: a sentence for the user; None where the bands go through as they are.
    """

    channels: int
    groups: tuple[tuple[int, ...], ...]
    remark: str | None = None

    def merge(self, results: list[Tensor]) -> Tensor:
        """Results of all groups, each (n, bands of the group, h, w), to (n, channels, h, w).

        Raises:
            DataError: the network gives another number of bands than it takes.
        """
        given = results[0].shape[1]
        if given != len(self.groups[0]):
            raise DataError(f'the network takes {len(self.groups[0])} bands and gives {given}; '
                            'a video needs as many as it has')
        order = [band for group in self.groups for band in group]
        if order == list(range(self.channels)):
            return torch.cat(results, 1)
        stacked = torch.cat(results, 1)
        return torch.stack([stacked[:, [place for place, band in enumerate(order) if band == wanted]].mean(1)
                            for wanted in range(self.channels)], 1)


def plan_bands(channels: int, bands: int | None) -> BandPlan:
    """How frames go through a network.

    Args:
        channels: number of bands of the frames.
        bands: number that the network takes; None for any.

    Raises:
        DataError: the network takes neither this number of bands, nor one or three.
    """
    if bands is None or bands == channels:
        return BandPlan(channels, (tuple(range(channels)),))
    if bands == 1:
        return BandPlan(channels, tuple((band,) for band in range(channels)),
                        f'The network takes one band: each of the {channels} bands goes through it by itself.')
    if bands != 3:
        raise DataError(f'the frames have {channels} band{"s" * (channels > 1)}, but the network takes {bands}; '
                        f'use weights that were trained on {channels}, on 3 or on 1, or choose {bands} of the bands')
    if channels == 1:
        return BandPlan(1, ((0, 0, 0),),
                        'The network takes RGB: grey frames go through it as three equal bands, and the three results '
                        'are averaged.')
    groups = tuple(tuple(min(start + place, channels - 1) for place in range(3)) for start in range(0, channels, 3))
    listed = ', '.join('+'.join(str(band + 1) for band in group) for group in groups)
    return BandPlan(channels, groups,
                    f'The network takes three bands: the {channels} bands go through it in groups, {listed}'
                    + ('; results of a repeated band are averaged.' if channels % 3 else '.'))
