"""What a simulated data set is made with."""

from __future__ import annotations

from dataclasses import dataclass

from satvsr_plugin.data.degradation import SCALES
from satvsr_plugin.errors import OptionError

Range = tuple[float, float]


@dataclass(frozen=True)
class SimulationOptions:
    """All that decides what is drawn; a pair is a range from which each clip takes its own value.

    Drift, blur and noise are by default what was measured on Jilin-1 video; the other ranges are for variety.
    GT px are pixels of the GT frames, about 1 m each.

    Attributes:
        seed: the same seed gives the same bytes; clip k does not depend on how many clips are made.
        clips: number of training clips, at least 1.
        test_clips: number of test clips, from stills or scenes that no training clip shows; may be 0.
        frames: frames of a clip.
        size: height and width of GT frames in px, a multiple of ``scale``.
        scale: how many times smaller LR is.
        drift: speed of the picture in GT px a frame; slow speeds are as likely as fast ones (log-uniform).
        jitter: standard deviation of the pointing error in GT px, independent from frame to frame.
        zoom: GT px per px of the still or scene.
        blur: standard deviation of the sensor's Gaussian blur in GT px.
        noise: standard deviation of the noise in grey levels of 255.
        brightness_drift: the largest relative change of brightness over a clip.
        vehicles: smallest and largest number of moving vehicles in a clip.
        aircraft: smallest and largest number of moving aircraft in a clip.
    """

    seed: int = 0
    clips: int = 40
    test_clips: int = 4
    frames: int = 15
    size: int = 256
    scale: int = 4
    drift: Range = (0.02, 2.8)
    jitter: Range = (0.0, 0.25)
    zoom: Range = (0.8, 1.25)
    blur: Range = (0.8, 1.25)
    noise: Range = (0.0, 2.5)
    brightness_drift: float = 0.02
    vehicles: tuple[int, int] = (2, 12)
    aircraft: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        for name, least in (('seed', 0), ('clips', 1), ('test_clips', 0), ('frames', 1), ('size', 32)):
            if getattr(self, name) < least:
                raise OptionError(f'{name} is {getattr(self, name)}; it must be at least {least}')
        if self.scale not in SCALES:
            raise OptionError(f'scale is {self.scale}; it must be one of {", ".join(map(str, SCALES))}')
        if self.size % self.scale:
            below = self.size // self.scale * self.scale
            raise OptionError(
                f'size is {self.size}, not a multiple of the scale {self.scale}; take {below} or {below + self.scale}'
            )
        self._check_range('drift', 0.0, 16.0)
        self._check_range('jitter', 0.0, 1.0)
        self._check_range('zoom', 0.25, 4.0)
        self._check_range('blur', 0.5, 3.0)  # the blur resamples the frame too, narrower ones would alias
        self._check_range('noise', 0.0, 64.0)
        self._check_range('vehicles', 0, 500)
        self._check_range('aircraft', 0, 50)
        if not 0 <= self.brightness_drift <= 0.5:
            raise OptionError(f'brightness_drift is {self.brightness_drift}; it must lie in 0..0.5')

    def _check_range(self, name: str, least: float, most: float) -> None:
        low, high = getattr(self, name)
        if not least <= low <= high <= most:
            raise OptionError(
                f'{name} is {low}..{high}; the first must not be larger than the second, both within {least}..{most}'
            )
