"""What all plots share: how they look, and how they become a PNG file and a drawing for the page.

In the page, text and lines take the colours of the page, so that plots can be read in dark mode too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # older releases lack it

INK, GRID = '#1b1f24', '#d0d7de'
_LONGEST = 48  # characters of a name

_LOOK: dict[RcKeyType, Any] = {
    'font.family': 'DejaVu Sans',  # comes with matplotlib
    'font.size': 10,
    'text.parse_math': False,  # a system may be called "$x"
    'text.color': INK,
    'axes.labelcolor': INK,
    'axes.edgecolor': INK,
    'xtick.color': INK,
    'ytick.color': INK,
    'grid.color': GRID,
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'svg.hashsalt': 'satvsr',  # the same figure gives the same bytes
    'svg.fonttype': 'none',  # text stays text: it can be searched, and takes the page's colour
}


@contextmanager
def look() -> Iterator[None]:
    """Draw and save figures in our look."""
    with matplotlib.rc_context(_LOOK):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without a window; its panels fill it."""
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure on white, as a PNG file of 150 dots an inch."""
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=150, facecolor='white')
    return content.getvalue()


def as_svg(figure: Figure, prefix: str) -> str:
    """The figure as an ``<svg>`` element to put into a page, without a background; ``prefix`` begins all its ids."""
    content = io.StringIO()
    figure.savefig(content, format='svg', transparent=True, metadata={'Date': None, 'Creator': None})
    text = content.getvalue()
    text = text[text.index('<svg'):]
    text = re.sub(r'( id="|href="#|url\(#)', rf'\g<1>{prefix}-', text)
    return text.replace(INK, 'currentColor').replace(GRID, 'var(--line)')


def legend(figure: Figure, handles: list, names: list[str]) -> None:
    """A legend above the panels; matplotlib's own would leave out names that begin with an underscore."""
    if not handles:
        return
    names = [shortened(name) for name in names]
    columns = max(1, min(len(names), int(figure.get_figwidth() * 11 / (max(map(len, names)) + 6))))
    drawn = figure.legend(handles, ['name'] * len(names), loc='outside upper center', ncols=columns, frameon=False)
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_text(name)


def shortened(name: str) -> str:
    """A name that leaves a plot room for something else."""
    return name if len(name) <= _LONGEST else f'{name[:_LONGEST - 1]}…'
