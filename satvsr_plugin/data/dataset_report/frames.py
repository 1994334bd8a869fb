"""What is found out about every frame: each is read once, in several processes; only a few numbers of it are kept."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from satvsr_plugin.data.clip_lmdb import ClipLmdb
from satvsr_plugin.data.clip_source import ClipSource, frame_key, natural_order
from satvsr_plugin.data.dataset_report.deviation import Deviation, compare
from satvsr_plugin.data.dataset_report.listing import Collection
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import decode_image
from satvsr_plugin.errors import DataError
from satvsr_plugin.parallel import ordered_map


class Frame(NamedTuple):
    """A frame that could be read."""

    format: FrameFormat
    digest: bytes  # of its pixels; two frames have it in common only if they are identical
    blank: bool  # all pixels are the same


class Damaged(NamedTuple):
    """A frame that could not be read, and why."""

    reason: str


class Comparison(NamedTuple):
    """An LR frame beside our degradation of its GT."""

    deviation: Deviation
    made: bytes  # digest of our degradation


Frames = dict[str, dict[str, Frame | Damaged]]  # clip -> file name of the frame, in natural order


class Facts(NamedTuple):
    """All that is known of a data set's frames.

    Attributes:
        main: the frames of GT, or of the only side.
        lq: the frames of LR; empty where there is none.
        comparisons: clip -> name of the frame without suffix, of the pairs that were compared.
    """

    main: Frames
    lq: Frames
    comparisons: dict[str, dict[str, Comparison]]


class _Job(NamedTuple):
    """A pair of frames, or one that has no partner, with sources that hold this clip only."""

    clip: str
    key: str
    main: tuple[ClipSource, str] | None
    lq: tuple[ClipSource, str] | None
    scale: int | None  # none: not to be compared

    def __str__(self) -> str:
        return f'{self.clip}/{self.key}'


class _Result(NamedTuple):
    main: Frame | Damaged | None
    lq: Frame | Damaged | None
    comparison: Comparison | None


def collect(main: Collection, lq: Collection | None, scale: int | None, sample: int | None, processes: int) -> Facts:
    """Read every frame of a data set. Progress goes to stderr.

    Args:
        main: GT, or the only side.
        lq: LR, where there are two sides.
        scale: how many times smaller LR is; without it nothing is compared.
        sample: compare at most so many pairs of a clip, spread evenly; none for all.
        processes: number of worker processes.

    Raises:
        DataError: a worker process died.
    """
    facts = Facts({}, {}, {})
    jobs = list(_jobs(main.source, lq.source if lq else None, scale, sample))
    with tqdm(total=len(jobs), unit='frame', desc='checking') as progress:
        for job, result in ordered_map(_examine, jobs, processes):
            progress.update()
            if isinstance(result, DataError):  # of the making of LR only, since reading reports its own
                raise result
            for frames, place, frame in ((facts.main, job.main, result.main), (facts.lq, job.lq, result.lq)):
                if place and frame:
                    frames.setdefault(job.clip, {})[place[1]] = frame
            if result.comparison:
                facts.comparisons.setdefault(job.clip, {})[job.key] = result.comparison
    return facts


def _jobs(main: ClipSource | None, lq: ClipSource | None, scale: int | None, sample: int | None) -> Iterator[_Job]:
    for clip in natural_order({clip for source in (main, lq) if source for clip in source.clips}):
        main_places, lq_places = _places(main, clip), _places(lq, clip)
        keys = natural_order({*main_places, *lq_places})
        compared = _spread([key for key in keys if key in main_places and key in lq_places], sample)
        for key in keys:
            yield _Job(clip, key, main_places.get(key), lq_places.get(key), scale if key in compared else None)


def _places(source: ClipSource | None, clip: str) -> dict[str, tuple[ClipSource, str]]:
    """Where the frames of a clip are, by name without suffix.

    The source is one of this clip only: it travels to a worker with every frame, and one with all clips is large.
    """
    if source is None or clip not in source.clips:
        return {}
    narrow = copy.copy(source)
    narrow.clips = {clip: source.clips[clip]}
    return {frame_key(frame): (narrow, frame) for frame in source.clips[clip]}


def _spread(keys: list[str], sample: int | None) -> set[str]:
    """At most ``sample`` of the keys, evenly spread, the first and the last among them."""
    if sample is None or sample >= len(keys):
        return set(keys)
    return {keys[round(index * (len(keys) - 1) / max(sample - 1, 1))] for index in range(sample)}


def _examine(job: _Job) -> _Result:
    """All about one pair of frames; what a worker does."""
    main, lq = (_read(place[0], job.clip, place[1]) if place else None for place in (job.main, job.lq))
    comparison = None
    if job.scale and isinstance(main, np.ndarray) and isinstance(lq, np.ndarray) and _fits(main, lq, job.scale):
        made = downsample(main, job.scale)
        comparison = Comparison(compare(lq, made), _digest(made))
    frames = [_describe(image) if isinstance(image, np.ndarray) else image for image in (main, lq)]
    return _Result(frames[0], frames[1], comparison)


def _read(source: ClipSource, clip: str, frame: str) -> np.ndarray | Damaged:
    """The (h, w, c) pixels of a frame, whatever its format: that of its clip is known only when all are read."""
    name = f'{clip}/{frame}'
    try:
        if isinstance(source, ClipLmdb) and source.encoding == 'raw':
            return source.read(clip, frame)
        content = source.read_bytes(clip, frame)
        check_image(content, name)  # decoders let much damage pass
        return decode_image(content, name)
    except DataError as error:
        return Damaged(str(error).removeprefix(f'{source.root}: ').removeprefix(f'{name}: '))


def _fits(main: np.ndarray, lq: np.ndarray, scale: int) -> bool:
    height, width, channels = lq.shape
    return main.dtype == lq.dtype and main.shape == (scale * height, scale * width, channels)


def _describe(image: np.ndarray) -> Frame:
    first = image[:1, :1]
    blank = bool((image[:1] == first).all() and (image == first).all())  # the first row alone tells most apart
    return Frame(FrameFormat.of(image), _digest(image), blank)


def _digest(image: np.ndarray) -> bytes:
    """16 bytes that tell images of different shapes, types or pixels apart."""
    summary = hashlib.blake2b(f'{image.shape} {image.dtype}'.encode(), digest_size=16)
    summary.update(np.ascontiguousarray(image).data)
    return summary.digest()
