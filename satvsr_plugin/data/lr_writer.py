"""Folders of GT clips into the LR clips that belong to them, and into bicubic pictures at full size."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from satvsr_plugin.atomic import is_resumable, resumable
from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation_frame import fits_jpeg
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.degradation_record import RECORD, joined, read_record, settings_of
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import stat_file
from satvsr_plugin.data.lr_frames import Frame, FrameMaker
from satvsr_plugin.data.lr_publish import publish, refuse_existing
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.disk import require_space
from satvsr_plugin.errors import DataError
from satvsr_plugin.parallel import ordered_map

STAGING = '.degrading'  # in the output folder: one run at a time works there
GO_ON = 'Mend this and run the same command again: it goes on where it stopped'
DONE = 'done'  # in the staging folder: all frames are made, and have only to be moved into place


class Summary(NamedTuple):
    """What was written."""

    clips: int
    frames: int
    taken_up: int  # frames of these that a run before had finished
    folders: list[str]  # in the output folder
    seconds: float


def degrade_clips(
    gt: ClipFolder, output: Path, degradation: Degradation, bicubic: bool = False, crop: bool = False,
    overwrite: bool = False, processes: int = 1,
) -> Summary:
    """Write ``output/LR{scale}x/<clip>/<frame>.png`` for every frame of every clip, and ``output/degradation.json``.

    Everything is made in a hidden folder in ``output`` and moved into place at the end. A run that is stopped, by
    whatever, leaves that folder, and the next run with the same arguments goes on there and ends in the same bytes.
    Wrong input leaves nothing. Frames keep their suffix, but JPEG becomes PNG. Progress goes to stderr.

    Args:
        gt: the GT clips.
        output: a folder, made if it is missing; may hold other clips already.
        degradation: what is done to the frames.
        bicubic: write ``Bicubic{scale}x``, LR interpolated back to GT's size, too.
        crop: cut GT to a multiple of the scale, at the bottom and at the right, and write it to ``output/GT``.
        overwrite: replace frames that are there already.
        processes: how many work at the same time.

    Raises:
        DataError: sizes that are no multiple of the scale, frames that JPEG cannot hold, damaged frames, frames that
            are there already, another run at work in ``output``, too little room on the disk.
    """
    start = time.monotonic()
    maker = FrameMaker(gt.root, output / STAGING, degradation, bicubic, crop)
    _check_output(gt, output, maker.folders)
    frames, problems = _list_frames(gt, degradation, crop)
    plan = [str(gt.root.resolve()), settings_of(degradation, bicubic, crop), [_identity(gt, frame) for frame in frames]]
    made = not output.exists()
    try:
        going_on = is_resumable(maker.staging, plan)
        if not (going_on and _is_done(maker)):
            if not overwrite:
                refuse_existing(output, (Path(folder) / frame.target for folder in maker.folders for frame in frames))
            _require_space(maker, output, [frame for frame in frames if not (going_on and maker.is_made(frame))])
        with resumable(maker.staging, plan):
            taken_up = _take_up(maker, frames)
            problems += _make_frames(maker, frames, taken_up, processes)
            if not problems:
                _mark_done(maker)
                publish(maker.staging, output, maker.folders, overwrite)
                _write_record(output, maker, frames)
        if problems and made and not any(output.iterdir()):
            output.rmdir()
    except OSError as error:
        raise DataError(f'{output}: cannot write there: {error.strerror}. {GO_ON}') from error
    raise_problems(str(gt.root), problems)
    return Summary(len(gt.clips), len(frames), len(taken_up), maker.folders, time.monotonic() - start)


def _require_space(maker: FrameMaker, output: Path, frames: Sequence[Frame]) -> None:
    require_space(output, sum(map(maker.size, frames)), 'This is an upper bound: frames uncompressed')


def _is_done(maker: FrameMaker) -> bool:
    """Whether all frames are made, so that some may be in place already."""
    return (maker.staging / DONE).exists()


def _mark_done(maker: FrameMaker) -> None:
    for leftover in list(maker.staging.rglob('.*.partial-*')):  # an earlier run was killed while writing these
        leftover.unlink(missing_ok=True)
    (maker.staging / DONE).touch()


def _take_up(maker: FrameMaker, frames: Sequence[Frame]) -> set[Frame]:
    """The frames that an earlier run has finished."""
    finished = set(frames) if _is_done(maker) else {frame for frame in frames if maker.is_made(frame)}
    if finished:
        print(f'{len(finished)} of {len(frames)} frames were finished by an earlier run', file=sys.stderr)
    return finished


def _make_frames(maker: FrameMaker, frames: Sequence[Frame], finished: set[Frame], processes: int) -> list[str]:
    """Make the pictures of the frames that are not finished; returns what is wrong with frames."""
    missing = [frame for frame in frames if frame not in finished]
    problems = []
    with (closing(ordered_map(maker, missing, processes)) as results,
          tqdm(total=len(frames), initial=len(finished), unit='frame', desc='degrading') as progress):
        for _, result in results:
            if isinstance(result, DataError):
                raise DataError(f'{result}. {GO_ON}')
            problems += [result] if result else []
            progress.update()
    return problems


def _write_record(output: Path, maker: FrameMaker, frames: Sequence[Frame]) -> None:
    """Say in the record how the frames, which are in place now, were made."""
    folder = maker.folders[0]
    written: dict[str, set[str]] = {}
    for frame in frames:
        written.setdefault(frame.clip, set()).add(frame.target.name)
    record = joined(
        read_record(output), folder, settings_of(maker.degradation, maker.bicubic, maker.crop),
        clips={clip: maker.degradation.draw(clip)._asdict() for clip in written},
        mixed=[clip for clip, names in written.items() if _holds_others(output / folder / clip, names)])
    new = maker.staging / RECORD  # there rather than beside the old one, where it would stay if this run were killed
    new.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    os.replace(new, output / RECORD)


def _holds_others(clip: Path, names: set[str]) -> bool:
    """Whether there are images in the folder of a clip besides those of these names."""
    return any(path.name not in names for path in clip.iterdir() if frame_key(path.name) != path.name)


def _check_output(gt: ClipFolder, output: Path, folders: Sequence[str]) -> None:
    source = gt.root.resolve()
    for folder in folders:
        place = (output / folder).resolve()
        if source in (place, *place.parents):
            raise DataError(f'{output / folder}: lies in the folder of the GT clips; choose another output folder')
        if place.exists() and not place.is_dir():
            raise DataError(f'{output / folder}: is not a folder; move it away, or choose another output folder')
    read_record(output)  # now rather than after all the work


def _list_frames(gt: ClipFolder, degradation: Degradation, crop: bool) -> tuple[list[Frame], list[str]]:
    """The frames, and which clips' first frames, that say what the others must be like, are damaged.

    Refuses, for all clips at once and before anything is written, those that do not fit.
    """
    frames, damaged, misfits = [], [], []
    for clip, (first, *others) in gt.clips.items():
        try:
            form = gt.format(clip)
        except DataError as error:  # told when all frames have been read, with what is wrong with those
            damaged.append(str(error))
            frames += [Frame(clip, file, None) for file in others]
            continue
        misfits += [f'{clip}/{first}: {misfit}' for misfit in _misfits(form, degradation, crop)]
        frames += [Frame(clip, file, form) for file in (first, *others)]
    raise_problems(f'{gt.root}: these settings do not fit', misfits)
    return frames, damaged


def _misfits(form: FrameFormat, degradation: Degradation, crop: bool) -> list[str]:
    """What about a format does not go with the settings."""
    height, width, scale = form.height, form.width, degradation.scale
    misfits = []
    if min(height, width) < scale:
        misfits.append(f'{width}x{height} pixels are too few for the scale {scale}')
    elif not crop and (height % scale or width % scale):
        misfits.append(f'{width}x{height} pixels are no multiple of the scale {scale}; add --crop')
    if degradation.jpeg is not None and not fits_jpeg(form):
        misfits.append(f'is {form}, but JPEG holds 1 or 3 channels of 8 bit; leave out --jpeg')
    return misfits


def _identity(gt: ClipFolder, frame: Frame) -> list[Any]:
    """What changes when a GT frame does."""
    status = stat_file(gt.root / frame.clip / frame.file, f'{gt.root}: {frame}')
    return [frame.clip, frame.file, status.st_size, status.st_mtime_ns]
