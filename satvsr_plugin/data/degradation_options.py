"""How LR frames are made from GT: the settings of a run, and the values that a clip draws from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from satvsr_plugin.data.degradation import KINDS, SCALES, Kind
from satvsr_plugin.errors import OptionError

Range = tuple[float, float]

BLUR_OF_KIND: dict[Kind, float] = {'bicubic': 0.0, 'bd': 0.4}  # times the scale; VSR-DUF's is 1.6 at x4
LARGEST_BLUR = 20.0
LARGEST_NOISE = 100.0
NARROWEST = 0.5  # a narrower Gaussian cannot be turned on the grid of pixels


class Drawn(NamedTuple):
    """What one clip is degraded with."""

    blur: float  # standard deviation in GT pixels; of an anisotropic blur, in the direction of the angle
    across: float | None  # standard deviation at right angles to that; None: the same in all directions
    angle: float | None  # in degrees, counter-clockwise from the right
    noise: float  # standard deviation in grey levels of 255
    jpeg: int | None  # quality; None: no compression


@dataclass(frozen=True)
class Degradation:
    """All that decides what is done to GT. The default is what the authors of Jilin-189 did.

    The order: blur, shrink, add noise, round and clip once, compress. A pair is a range, both ends included, from
    which every clip draws one value; the same value twice is that value.

    Attributes:
        scale: how many times smaller LR is, one of ``SCALES``.
        kind: how frames are made smaller: ``bicubic``, or ``bd`` for blur and decimation; see
            :func:`~satvsr_plugin.data.degradation.shrink`.
        blur: standard deviation of the Gaussian in GT pixels; by default none for ``bicubic``, and
            0.4 * scale for ``bd``, which is the 1.6 of VSR-DUF at x4.
        anisotropic: draw two standard deviations and an angle between 0 and 180 degrees instead of one blur.
        noise: standard deviation of Gaussian noise in grey levels of 255 (16-bit frames get 257 times that); it is
            independent from pixel to pixel, channel to channel and frame to frame.
        jpeg: quality of a JPEG compression (OpenCV's, colour at half resolution), 1 to 100; None for none.
        seed: the same seed gives the same bytes. What a clip draws depends on its name, what a frame draws on both
            names, and on nothing else.

    Raises:
        OptionError: a value is out of its range.
    """

    scale: int = 4
    kind: Kind = 'bicubic'
    blur: Range | None = None
    anisotropic: bool = False
    noise: Range = (0.0, 0.0)
    jpeg: tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise OptionError(f'scale is {self.scale}; it must be one of {", ".join(map(str, SCALES))}')
        if self.kind not in KINDS:
            raise OptionError(f'kind is {self.kind}; it must be one of {", ".join(KINDS)}')
        if self.seed < 0:
            raise OptionError(f'seed is {self.seed}; it must be at least 0')
        _check_range('blur', self.blur_range, 0.0, LARGEST_BLUR)
        if self.anisotropic and self.blur_range[0] < NARROWEST:
            raise OptionError(f'anisotropic needs a blur of at least {NARROWEST:g}, not {self.blur_range[0]:g}')
        _check_range('noise', self.noise, 0.0, LARGEST_NOISE)
        if self.jpeg is not None:
            _check_range('jpeg', self.jpeg, 1, 100)

    @property
    def blur_range(self) -> Range:
        """The range of the blur, that of the kind where none was given."""
        if self.blur is not None:
            return self.blur
        default = round(BLUR_OF_KIND[self.kind] * self.scale, 4)
        return default, default

    def draw(self, clip: str) -> Drawn:
        """The values of a clip. One that is not asked for changes none of the others."""
        blur, across, angle, noise, jpeg = random_numbers(self.seed, clip).random(5)
        turned = self.anisotropic
        return Drawn(
            blur=_pick(blur, self.blur_range),
            across=_pick(across, self.blur_range) if turned else None,
            angle=_pick(angle, (0.0, 180.0)) if turned else None,
            noise=_pick(noise, self.noise),
            jpeg=None if self.jpeg is None else self.jpeg[0] + int(jpeg * (self.jpeg[1] - self.jpeg[0] + 1)),
        )


def random_numbers(seed: int, *names: str) -> np.random.Generator:
    """A generator for the clip or frame of these names, independent of those of all others."""
    words = [np.frombuffer(hashlib.sha256(name.encode('utf-8', 'surrogateescape')).digest(), '<u4') for name in names]
    return np.random.default_rng([seed, *np.concatenate(words).tolist()])


def _pick(uniform: float, limits: Range) -> float:
    """A value in a range from one in [0, 1), with four decimals, so that a record of it can be read."""
    low, high = limits
    return float(low if low == high else min(max(round(low + uniform * (high - low), 4), low), high))


def _check_range(name: str, limits: Range, least: float, most: float) -> None:
    low, high = limits
    if not least <= low <= high <= most:
        raise OptionError(f'{name} is {low:g} to {high:g}; the first must not be larger than the second, and both '
                          f'must lie in {least:g} to {most:g}')
