"""LR clips and their GT, checked against each other, and lists of their frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from satvsr_plugin.data.clip_source import ClipSource, frame_key, natural_order
from satvsr_plugin.data.clips import open_clips
from satvsr_plugin.data.image_io import read_file
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError


@dataclass(frozen=True)
class ClipPairs:
    """LR clips with or without GT. After :meth:`check`, the n-th LR and GT frames of a clip belong together."""

    lq: ClipSource
    gt: ClipSource | None
    scale: int

    @property
    def clips(self) -> list[str]:
        """Names of the clips on either side, in natural order."""
        return natural_order({*self.lq.clips, *(self.gt.clips if self.gt else ())})

    def read_lq(self, clip: str, index: int) -> np.ndarray:
        """The LR frame, (h, w, c) uint8 or uint16 RGB; errors as of :meth:`ClipSource.read`."""
        return self.lq.read(clip, self.lq.clips[clip][index])

    def read_gt(self, clip: str, index: int) -> np.ndarray:
        """The GT frame, (scale * h, scale * w, c); only where there is GT."""
        assert self.gt is not None
        return self.gt.read(clip, self.gt.clips[clip][index])

    def check(self, clips: Iterable[str], shortest_clip: int = 1, smallest_gt: int = 1) -> None:
        """Check names of all frames, and size, channels and bit depth of the first frame of each clip.

        The other frames are compared with the first one when they are read.

        Args:
            clips: names of the clips that will be used.
            shortest_clip: number of frames that a clip must have.
            smallest_gt: height and width in pixels that GT must have.

        Raises:
            DataError: lists all clips and frames that are missing or do not fit.
        """
        problems: list[str] = []
        channels: dict[int, str] = {}
        for clip in clips:
            try:
                found = self._missing(clip) or self._misfits(clip, shortest_clip, smallest_gt)
                if not found:
                    channels.setdefault(self.lq.format(clip).channels, clip)
            except DataError as error:
                found = [str(error)]
            problems += found
        if len(channels) > 1:
            kinds = ', '.join(f'{count} in clip {clip}' for count, clip in channels.items())
            problems.append(f'clips differ in their number of channels: {kinds}; a network takes one number only')
        raise_problems(' and '.join(str(source.root) for source in (self.lq, self.gt) if source), problems)

    def _missing(self, clip: str) -> list[str]:
        """Clips or frames that are on one side only."""
        if self.gt is None:
            return []
        for kind, source in (('LR', self.lq), ('GT', self.gt)):
            if clip not in source.clips:
                return [f'clip {clip}: no {kind} clip of this name in {source.root}']
        lq, gt = ({frame_key(frame) for frame in source.clips[clip]} for source in (self.lq, self.gt))
        return [f'{clip}/{key}: {"GT" if key in lq else "LR"} frame missing' for key in natural_order(lq ^ gt)]

    def _misfits(self, clip: str, shortest_clip: int, smallest_gt: int) -> list[str]:
        """What is wrong with the length of a clip and with its first frames."""
        length, first = len(self.lq.clips[clip]), f'{clip}/{self.lq.clips[clip][0]}'
        problems = []
        if length < shortest_clip:
            problems.append(f'clip {clip}: {length} frames, but the window spans {shortest_clip}; leave the clip out '
                            'or make num_frame or interval_list smaller')
        lq = self.lq.format(clip)
        if self.gt is None:
            return problems
        gt = self.gt.format(clip)
        width, height = self.scale * lq.width, self.scale * lq.height
        if (gt.width, gt.height) != (width, height):
            problems.append(f'{first}: LR is {lq.width}x{lq.height} and GT {gt.width}x{gt.height}; '
                            f'at scale {self.scale} GT should be {width}x{height}')
        elif min(width, height) < smallest_gt:
            problems.append(f'{first}: GT is {width}x{height}, smaller than gt_size {smallest_gt}')
        if (gt.channels, gt.bit_depth) != (lq.channels, lq.bit_depth):
            problems.append(f'{first}: LR is {lq}, but GT {gt}; channels and bit depth must agree')
        return problems


def open_partners(source: ClipSource) -> Iterator[ClipPairs]:
    """The pairs that clips make with those beside them: ``GT`` with ``LR4x``, ``LR2x``, ...; ``LR4x`` with ``GT``.

    Args:
        source: clips in a folder or LMDB of such a name.

    Raises:
        DataError: a folder or LMDB of such a name holds no clips.
    """
    beside, name = source.root.resolve().parent, source.root.resolve().name.removesuffix('.lmdb')
    for scale in range(2, 9):
        lq_name = f'LR{scale}x'
        partner = {'GT': lq_name, lq_name: 'GT'}.get(name)
        found = partner and next(filter(Path.is_dir, (beside / partner, beside / f'{partner}.lmdb')), None)
        if found:
            other = open_clips(found, 'lmdb' if found.suffix == '.lmdb' else 'disk')
            yield ClipPairs(*((other, source) if name == 'GT' else (source, other)), scale)


def read_frame_list(path: Path, source: ClipSource) -> dict[str, list[int]]:
    """Read which frames to use: ``clip/frame.png`` or ``clip`` (all of its frames) a line.

    Blank lines and white space round a name are allowed; the suffix does not matter.

    Returns:
        Clip -> indices of its frames, in temporal order.

    Raises:
        DataError: the file cannot be read or names no frame; or names frames that are not in ``source`` or were
            named before: lists all of them with their lines.
    """
    try:
        lines = read_file(path, str(path)).decode('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f'{path}: cannot read this list of frames: {error}') from error
    places = {clip: {frame_key(frame): index for index, frame in enumerate(frames)}
              for clip, frames in source.clips.items()}
    chosen: dict[str, set[int]] = {}
    problems = []
    for number, name in enumerate(map(str.strip, lines), start=1):
        if not name:
            continue
        clip, indices = _look_up(name, places)
        if not indices:
            problems.append(f'line {number}: {name} is not in {source.root}')
        elif indices & chosen.setdefault(clip, set()):
            problems.append(f'line {number}: {name} was listed before')
        else:
            chosen[clip] |= indices
    raise_problems(str(path), problems)
    if not chosen:
        raise DataError(f'{path}: names no frame; list clip/frame.png a line')
    return {clip: sorted(indices) for clip, indices in chosen.items()}


def _look_up(name: str, places: dict[str, dict[str, int]]) -> tuple[str, set[int]]:
    """The clip and the indices of the frames that a line of a list names; no indices where there are none."""
    if name in places:
        return name, set(places[name].values())
    clip, _, frame = name.rpartition('/')
    index = places.get(clip, {}).get(frame_key(frame))
    return clip, set() if index is None else {index}
