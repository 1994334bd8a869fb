"""Decoded pictures of videos as arrays.

FFmpeg's scale filter converts colours, as the ffmpeg program does: with the matrix and range that the video declares;
where it declares none, BT.601 and limited range (16 to 235), and full range for the ``yuvj`` formats. Its accurate
rounding and full chroma resolution are switched on: without them, 8-bit 4:2:0 is off by up to 2.6 grey levels and by
1.2 in the mean; with them by 0.5 at most. RGB, and grey as it is coded, stay exact. More than 8 bits become 16, scaled
so that white is 65535, which FFmpeg misses by up to 0.4 % for YUV of limited range.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from satvsr_plugin.errors import DataError

SCALE = 'flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:out_range=full'
TARGETS = {  # (grey, alpha, deep) -> format whose arrays are what we want
    (True, False, False): 'gray',
    (True, False, True): 'gray16le',
    (False, False, False): 'rgb24',
    (False, False, True): 'rgb48le',
    (False, True, False): 'rgba',
    (False, True, True): 'rgba64le',
}
UNSPECIFIED_SPACE, UNSPECIFIED_RANGE = 2, 0  # AVCOL_SPC_UNSPECIFIED, AVCOL_RANGE_UNSPECIFIED


class _Kind(NamedTuple):
    """What a pixel format holds."""

    grey: bool
    alpha: bool
    bits: int
    yuv: bool

    @classmethod
    def of(cls, form: Any) -> _Kind:
        colours = [component for component in form.components if not component.is_alpha]
        grey = len(colours) == 1 and not form.has_palette
        bits = max(component.bits for component in colours)
        yuv = not (grey or form.is_rgb or form.has_palette)
        return cls(grey, len(colours) < len(form.components), bits, yuv)


class PixelReader:
    """Converts pictures that are like the first one to arrays.

    Args:
        av: the package.
        first: the first picture, an ``av.VideoFrame``.

    Raises:
        DataError: the pixels are floating-point numbers.
    """

    def __init__(self, av: ModuleType, first: Any) -> None:
        kind = _Kind.of(first.format)
        if kind.bits > 16:
            raise DataError(f'pixels of the format {first.format.name} are not supported; convert the video to 16 bit')
        self._like = (first.width, first.height, first.format.name)
        graph = av.filter.Graph()
        width, height, name = self._like
        self._source = graph.add_buffer(width=width, height=height, format=name, time_base=Fraction(1, 1000))
        target = TARGETS[kind.grey, kind.alpha and not kind.grey, kind.bits > 8]
        self._sink = graph.add('buffersink')
        chain = [self._source, graph.add('scale', SCALE), graph.add('format', target), self._sink]
        for before, after in pairwise(chain):
            before.link_to(after)
        graph.configure()
        self._graph = graph

    def fits(self, picture: Any) -> bool:
        """Whether size and pixel format are those of the first picture."""
        return (picture.width, picture.height, picture.format.name) == self._like

    def read(self, picture: Any) -> np.ndarray:
        """(h, w, c) uint8 or uint16 array of a picture; grey has one channel, colour is RGB or RGBA."""
        self._source.push(picture)
        array = self._sink.pull().to_ndarray()
        return array[..., None] if array.ndim == 2 else array


def colour_remarks(picture: Any) -> list[str]:
    """What a user should know about how a picture's colours are read."""
    kind = _Kind.of(picture.format)
    remarks = []
    if 8 < kind.bits < 16:
        remarks.append(f'{kind.bits} bits a colour; read as 16, white is 65535')
    unsaid = {
        'BT.601': int(picture.colorspace) == UNSPECIFIED_SPACE,
        'limited range (16 to 235)': int(picture.color_range) == UNSPECIFIED_RANGE,
    }
    if kind.yuv and any(unsaid.values()):
        taken = ' and '.join(what for what, missing in unsaid.items() if missing)
        remarks.append(f'does not say all of how its colours are coded; {taken} assumed')
    if kind.grey and kind.alpha:
        remarks.append('grey with alpha; alpha is left out')
    return remarks
