"""Plots the spectra of several sets of clips over one another."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.data.measures.spectrum import FINE, Spectrum
from satvsr_plugin.errors import DataError

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # older releases lack it

LOWEST = 1 / 64  # cycles/px; of the plot: below, scenes differ as they please
# Colours that people with colour-blindness can tell apart (Okabe and Ito 2008), and dashes for more sets.
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_DASHES = ('-', '--', '-.', ':')
_LOOK: dict[RcKeyType, Any] = {
    'font.family': 'DejaVu Sans', 'text.parse_math': False, 'axes.grid': True, 'axes.axisbelow': True,
    'axes.spines.top': False, 'axes.spines.right': False, 'grid.color': '#d0d7de'}


def plot_spectra(spectra: Mapping[str, Spectrum]) -> Figure:
    """A line a set, with the band that holds 80 % of its frames, over frequency on a logarithmic axis.

    Args:
        spectra: by name of the set.
    """
    figure = Figure(figsize=(7.2, 4.6), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines = [_draw(axes, spectrum, place) for place, spectrum in enumerate(spectra.values())]
    axes.axvspan(*FINE, color='#7F7F7F', alpha=0.1, linewidth=0)
    axes.set_xscale('log', base=2)
    axes.set_xticks([1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2], ['1/64', '1/32', '1/16', '1/8', '1/4', '1/2'])
    axes.set_xlim(LOWEST, 1 / 2)
    axes.set_xlabel('frequency (cycles/px; grey: 0.25 to 0.375)')
    axes.set_ylabel('power (dB, 0.03 to 0.06 cycles/px is 0)')
    legend = axes.legend(lines, ['name'] * len(lines), frameon=False)
    for text, name in zip(legend.get_texts(), spectra, strict=True):
        text.set_text(name)  # matplotlib itself leaves out names that begin with an underscore
    return figure


def _draw(axes: Axes, spectrum: Spectrum, place: int) -> Line2D:
    shown = spectrum.frequency >= LOWEST
    frequency, colour = spectrum.frequency[shown], _COLOURS[place % len(_COLOURS)]
    axes.fill_between(frequency, spectrum.low[shown], spectrum.high[shown], color=colour, alpha=0.15, linewidth=0)
    dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
    return axes.plot(frequency, spectrum.mean[shown], color=colour, linewidth=1.6, linestyle=dash)[0]


def write_plot(spectra: Mapping[str, Spectrum], path: Path) -> None:
    """Write :func:`plot_spectra` as a PNG file of 150 dots an inch; never half.

    Raises:
        DataError: the file cannot be written.
    """
    content = io.BytesIO()
    with matplotlib.rc_context(_LOOK):
        plot_spectra(spectra).savefig(content, format='png', dpi=150, facecolor='white')
    try:
        with written_beside(path) as partial:
            partial.write_bytes(content.getvalue())
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error
