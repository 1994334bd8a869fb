"""The colour, marker and dash of every system: the same in all figures and in the page.

The colours are those of Okabe and Ito that show on white and on black (M. Okabe, K. Ito, "Color Universal Design",
2008), followed by further hues. Nobody tells ten colours apart, so that markers and dashes help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#999933', '#AA4499', '#7F7F7F',
            '#8E6FC9')
_MARKERS = 'osD^vPX<>*'
_DASHES = ('-', '--', '-.', ':')


@dataclass(frozen=True)
class Style:
    """How figures draw a system: a colour as ``#rrggbb``, and matplotlib's marker and dash."""

    colour: str
    marker: str
    dash: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers of 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue


def styles(names: Sequence[str]) -> dict[str, Style]:
    """A style a system, by its place among them."""
    return {
        name: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i // len(_COLOURS) % 4])
        for i, name in enumerate(names)
    }
