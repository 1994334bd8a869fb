"""Folders of GT clips into the LR clips that belong to them, and into bicubic pictures at full size."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import crop_to_multiple, downsample, upsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

LOSSY_SUFFIXES = ('.jpg', '.jpeg')


class Summary(NamedTuple):
    """What was written."""

    clips: int
    frames: int
    folders: list[str]  # in the output folder
    seconds: float


def degrade_clips(
    gt: ClipFolder, output: Path, scale: int, bicubic: bool = False, crop: bool = False, overwrite: bool = False
) -> Summary:
    """Write ``output/LR{scale}x/<clip>/<frame>.png`` for every frame of every clip.

    Everything is written to a hidden folder in ``output`` and moved into place at the end: on any error nothing of
    it stays. Frames keep their suffix, but JPEG becomes PNG. Progress goes to stderr.

    Args:
        gt: the GT clips.
        output: a folder, made if it is missing; may hold other clips already.
        scale: how many times smaller LR is.
        bicubic: write ``Bicubic{scale}x``, LR interpolated back to GT's size, too.
        crop: cut GT to a multiple of the scale, at the bottom and at the right, and write it to ``output/GT``.
        overwrite: replace frames that are there already.

    Raises:
        DataError: sizes that are no multiple of the scale, damaged frames, frames that are there already, a full disk.
    """
    start = time.monotonic()
    folders = [f'LR{scale}x', *([f'Bicubic{scale}x'] if bicubic else []), *(['GT'] if crop else [])]
    frames = [(clip, frame) for clip, names in gt.clips.items() for frame in names]
    _check_output(gt, output, folders, [_target(*name) for name in frames], overwrite)
    _check_sizes(gt, scale, crop)
    try:
        with _staging(output) as staging:
            _degrade_frames(gt, frames, staging, scale, folders)
            _publish(staging, output)
    except OSError as error:
        raise DataError(f'{output}: cannot write there: {error.strerror}') from error
    return Summary(len(gt.clips), len(frames), folders, time.monotonic() - start)


def _degrade_frames(
    gt: ClipFolder, frames: list[tuple[str, str]], staging: Path, scale: int, folders: list[str]
) -> None:
    """Write the pictures made from all frames to ``staging``; several at a time, since reading and writing wait."""

    def degrade(name: tuple[str, str]) -> str | None:
        """Write the pictures made from one frame; returns what is wrong with it."""
        try:
            pictures = _make_pictures(gt.read(*name), scale, folders)
        except DataError as error:
            return str(error)
        for folder, picture in pictures.items():
            write_image(staging / folder / _target(*name), picture)
        return None

    with ThreadPoolExecutor() as pool:
        results = list(tqdm(pool.map(degrade, frames), total=len(frames), unit='frame', desc='degrading'))
    raise_problems(str(gt.root), [problem for problem in results if problem])


def _make_pictures(gt: np.ndarray, scale: int, folders: list[str]) -> dict[str, np.ndarray]:
    """The (h, w, c) pictures for ``folders`` from one GT frame."""
    gt = crop_to_multiple(gt, scale) if 'GT' in folders else gt
    pictures = {f'LR{scale}x': downsample(gt, scale)}
    if f'Bicubic{scale}x' in folders:
        pictures[f'Bicubic{scale}x'] = upsample(pictures[f'LR{scale}x'], scale)
    if 'GT' in folders:
        pictures['GT'] = gt
    return pictures


def _target(clip: str, frame: str) -> Path:
    """Where a frame goes below its folder; JPEG would add errors of its own."""
    suffix = frame[len(frame_key(frame)) :]
    return Path(clip) / (frame_key(frame) + ('.png' if suffix.lower() in LOSSY_SUFFIXES else suffix))


def _check_output(gt: ClipFolder, output: Path, folders: list[str], targets: list[Path], overwrite: bool) -> None:
    source = gt.root.resolve()
    for folder in folders:
        place = (output / folder).resolve()
        if source in (place, *place.parents):
            raise DataError(f'{output / folder}: lies in the folder of the GT clips; choose another output folder')
        there = [target for target in targets if (place / target).exists()]
        if there and not overwrite:
            raise DataError(
                f'{output / folder}: {len(there)} of the frames are there already ({there[0]}); '
                'choose another output folder or add --overwrite'
            )


def _check_sizes(gt: ClipFolder, scale: int, crop: bool) -> None:
    """All clips at once and before anything is written; frames of a clip have one size, reading them checks that."""
    problems = []
    for clip, frames in gt.clips.items():
        height, width = gt.format(clip)[:2]
        if min(height, width) < scale:
            problems.append(f'{clip}/{frames[0]}: {width}x{height} pixels are too few')
        elif not crop and (height % scale or width % scale):
            problems.append(f'{clip}/{frames[0]}: {width}x{height} pixels are no multiple of {scale}; add --crop')
    raise_problems(f'{gt.root}: the scale {scale} does not fit', problems)


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """A hidden folder in ``output`` for unfinished work; removed in any case."""
    staging = output / f'.degrading-{os.getpid()}'
    made = not output.exists()
    try:
        staging.mkdir(parents=True)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and output.exists() and not any(output.iterdir()):
            output.rmdir()


def _publish(staging: Path, output: Path) -> None:
    for path in sorted(staging.rglob('*')):
        if path.is_file():
            target = output / path.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
