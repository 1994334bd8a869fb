"""Plots what quality costs: PSNR against parameters and against time, both on logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from satvsr_plugin.comparison.figures.labels import put_labels
from satvsr_plugin.comparison.figures.palette import Style
from satvsr_plugin.comparison.figures.plots import new_figure, shortened

if TYPE_CHECKING:
    from satvsr_plugin.comparison.cost import Cost


@dataclass(frozen=True)
class Point:
    """One system in one panel; ``x`` is 0 where it has nothing that a logarithmic axis could show."""

    name: str
    x: float
    y: float


def parameter_points(costs: Mapping[str, Cost], psnr: Mapping[str, float]) -> list[Point]:
    """PSNR (dB) over millions of parameters, for the systems that have both."""
    return [Point(name, costs[name].parameters / 1e6, value) for name, value in psnr.items() if name in costs]


def time_points(costs: Mapping[str, Cost], psnr: Mapping[str, float]) -> list[Point]:
    """PSNR (dB) over milliseconds a frame, for the systems that have both."""
    return [Point(name, milliseconds, value) for name, value in psnr.items()
            if name in costs and (milliseconds := costs[name].milliseconds) is not None]


def plot_cost(
    by_parameters: Sequence[Point], by_time: Sequence[Point], time_label: str, look: Mapping[str, Style]
) -> Figure:
    """The panels side by side; that of time only where times were measured.

    Args:
        by_parameters: see :func:`parameter_points`.
        by_time: see :func:`time_points`.
        time_label: what was measured, e.g. ``ms a frame of 160x160``.
        look: the styles of the systems.
    """
    panels = [(by_parameters, 'parameters (millions)')] + ([(by_time, time_label)] if by_time else [])
    figure = new_figure(5.6 * len(panels), 4.2)
    for axes, (points, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _plot(axes, points, look)
        axes.set_xlabel(label)
        axes.set_ylabel('PSNR (dB)')
    figure.draw_without_rendering()  # the layout decides where labels find room
    figure.set_layout_engine('none')
    for axes, (points, _) in zip(figure.axes, panels, strict=True):
        put_labels(axes, [(shortened(point.name), point.x, point.y) for point in points if point.x > 0])
    return figure


def _plot(axes: Axes, points: Sequence[Point], look: Mapping[str, Style]) -> None:
    drawn = [point.x for point in points if point.x > 0]
    narrow = not drawn or max(drawn) / min(drawn) < 100  # else there is no room for numbers between 10, 100, ...
    axes.set_xscale('log')
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for point in points:
        style = look[point.name]
        if point.x > 0:
            axes.plot([point.x], [point.y], color=style.colour, marker=style.marker, markersize=8, linestyle='none')
        else:
            axes.axhline(point.y, color=style.colour, linewidth=1.4, linestyle='--')
            # at the right, where systems that are hardly better than none are rare
            axes.annotate(f'{shortened(point.name)} (none)', (1, point.y), (-4, 3), fontsize=9, ha='right',
                          xycoords=('axes fraction', 'data'), textcoords='offset points')
    axes.margins(x=0.25, y=0.15)
