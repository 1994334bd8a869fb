"""Plots the PSNR of every frame: a line a system, a panel a clip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from satvsr_plugin.comparison.figures.palette import Style
from satvsr_plugin.comparison.figures.plots import legend, new_figure
from satvsr_plugin.comparison.figures.scores import psnr_of

if TYPE_CHECKING:
    from satvsr_plugin.comparison.results import System

PANELS = 12  # clips at most; more would be too small to read


def plot_frames(systems: Sequence[System], look: Mapping[str, Style]) -> Figure:
    """The PSNR over the frame's number, from 0, of the first clips.

    Args:
        systems: with a PSNR in their records.
        look: the styles of the systems.
    """
    clips = list(systems[0].record.clips)[:PANELS]
    columns = min(len(clips), 3)
    rows = math.ceil(len(clips) / columns)
    figure = new_figure(max(6.0, 3.6 * columns), 2.4 * rows + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False)
    lines = [_plot_clip(axes, systems, clip, look) for axes, clip in zip(panels.flat, clips, strict=False)]
    for axes in list(panels.flat)[len(clips):]:
        axes.set_visible(False)
    figure.supylabel('PSNR (dB)')
    figure.supxlabel('frame number')
    legend(figure, lines[0], [system.name for system in systems])
    return figure


def _plot_clip(axes: Axes, systems: Sequence[System], clip: str, look: Mapping[str, Style]) -> list:
    lines = []
    for system in systems:
        metric = psnr_of(system.record)
        assert metric is not None, 'only systems with a PSNR are plotted'
        values = system.record.clips[clip].scores[metric]
        style = look[system.name]
        lines += axes.plot(range(len(values)), values, color=style.colour, linestyle=style.dash, marker=style.marker,
                           markersize=3.5, markevery=max(1, len(values) // 10), linewidth=1.4)
    axes.set_title(f'clip {clip}')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return lines
