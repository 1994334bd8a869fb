"""A data set of clips from long videos: layout of Jilin-189, list of frames, record of origins."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from satvsr_plugin.atomic import mend_interrupted, put_in_place, resumable
from satvsr_plugin.data.extraction.cutter import ClipCutter, Cuttings, digits, number_of_clips
from satvsr_plugin.data.extraction.grid import clip_starts, windows
from satvsr_plugin.data.extraction.options import ExtractionOptions
from satvsr_plugin.data.extraction.record import RECORD, count_reasons, explain_no_clips, write_list, write_record
from satvsr_plugin.data.extraction.writer import BackgroundWriter
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.data.video import Bands, Video, open_videos
from satvsr_plugin.disk import require_space
from satvsr_plugin.errors import DataError

GT = 'GT'
PARTS = 'parts'  # clips without their final names


class Summary(NamedTuple):
    """What was done."""

    clips: int
    frames: int  # of all clips together
    skipped: dict[str, int]  # reason -> windows that were left out for it
    remarks: list[str]  # how the videos were read
    seconds: float


def extract_clips(
    inputs: Sequence[str | Path], output: Path, options: ExtractionOptions, bands: Bands = None,
    overwrite: bool = False
) -> Summary:
    """Write ``output/GT/<clip>/<frame>.png``, ``output/meta_info.txt`` and ``output/extraction.json``.

    Clips are numbered by video, time, row and column of their windows. All is written to a hidden folder beside
    ``output`` and renamed at the end: an error or an interruption leaves nothing, and what a killed run left is
    removed by the next one. Progress goes to stderr.

    Args:
        inputs: video files, folders of pictures, pictures; see :func:`satvsr_plugin.data.video.open_videos`.
        output: a folder that does not exist or is empty.
        options: what to cut.
        bands: which bands of the pictures make the frames.
        overwrite: replace ``output`` if it holds clips that were extracted before.

    Raises:
        DataError: input that is missing, damaged, too short or too small; no window that can be used; an output folder
            that holds something else; a full disk.
        OptionError: options that do not fit the videos.
    """
    begin = time.monotonic()
    output = Path(output).resolve()
    videos = open_videos(inputs, bands)
    _check_videos(videos, options)
    try:
        _check_output(output, [Path(item).resolve() for item in inputs], overwrite)
        _check_space(output, videos, options)
        with _staging(output) as staging:
            cuttings = _cut_all(videos, options, staging / PARTS)
            if not number_of_clips(cuttings):
                raise DataError(explain_no_clips(cuttings, options, videos[0].format.bit_depth))
            _number_clips(cuttings, staging)
            write_list(staging, GT)
            write_record(staging, videos, cuttings, options)
            put_in_place(staging, output)
    except OSError as error:
        raise DataError(f'{output}: cannot write there: {error.strerror}') from error
    clips = number_of_clips(cuttings)
    remarks = [remark for video in videos for remark in video.remarks]
    return Summary(clips, clips * options.frames, count_reasons(cuttings), remarks, time.monotonic() - begin)


def _cut_all(videos: Sequence[Video], options: ExtractionOptions, parts: Path) -> list[Cuttings]:
    """Cut one video after the other, until there are enough clips."""
    cuttings: list[Cuttings] = []
    for number, video in enumerate(videos):
        wanted = None if options.max_clips is None else options.max_clips - number_of_clips(cuttings)
        if wanted != 0:
            cuttings.append(_cut(video, options, parts / str(number), wanted))
    return cuttings


def _cut(video: Video, options: ExtractionOptions, parts: Path, wanted: int | None) -> Cuttings:
    start, stop = options.span(video)
    if stop is not None:
        stop = clip_starts(start, stop, options)[-1] + options.frames  # what follows fills no clip
    total = None if stop is None else stop - start
    with BackgroundWriter() as writer, tqdm(total=total, unit='frame', desc=Path(video.name).name) as bar:
        cutter = ClipCutter(video, options, parts, writer, start, stop)
        for index, frame in enumerate(video.frames(start, stop), start):
            cutter.take(index, frame)
            bar.update()
            if wanted is not None and len(cutter.cuttings.clips) >= wanted:
                break
        found = cutter.finish()
    if found.frames < options.frames:
        raise DataError(_too_short(video, found.frames, options))
    del found.clips[len(found.clips) if wanted is None else wanted :]
    return found


def _number_clips(cuttings: Sequence[Cuttings], staging: Path) -> None:
    """Move the clips to their final names below ``staging``; what is not needed goes."""
    clips = [clip for cut in cuttings for clip in cut.clips]
    (staging / GT).mkdir()
    for number, clip in enumerate(clips):
        target = staging / GT / f'{number:0{digits(len(clips))}d}'
        os.rename(clip.folder, target)
        clip.folder = target
    shutil.rmtree(staging / PARTS)


def _check_videos(videos: Sequence[Video], options: ExtractionOptions) -> None:
    """Whether each video has at least one clip, as far as can be told without reading it to the end."""
    problems = []
    for video in videos:
        start, stop = options.span(video)
        if stop is not None and stop - start < options.frames:
            problems.append(_too_short(video, max(0, stop - start), options))
        size = (video.format.width, video.format.height)
        if any(have < need for have, need in zip(size, options.size, strict=True)):
            problems.append('{}: frames are {}x{}, smaller than --size {} {}'.format(video.name, *size, *options.size))
    raise_problems('these videos hold no clip', problems)


def _too_short(video: Video, frames: int, options: ExtractionOptions) -> str:
    whole = '' if options.start.value == 0 and options.end is None else ' between --start and --end'
    return f'{video.name}: {frames} frames{whole} are too few for a clip of {options.frames}; lower --frames'


def _check_output(output: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    if not output.name:
        raise DataError(f'{output}: is the whole disk; name a folder that is new or empty')
    mend_interrupted(output)
    for path in inputs:
        if output in (path, *path.parents):
            raise DataError(f'{output}: {path} lies in this folder, which is to be made; choose another output folder')
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / RECORD).is_file():
        raise DataError(f'{output}: exists and holds no extracted clips; name a folder that is new or empty')
    if not overwrite:
        raise DataError(f'{output}: holds extracted clips already; name another folder or add --overwrite')


def _check_space(output: Path, videos: Sequence[Video], options: ExtractionOptions) -> None:
    needed = 0
    left = options.max_clips
    for video in videos:
        form = video.format
        grid = len(windows((form.width, form.height), options.size, options.clip_stride))
        start, stop = options.span(video)
        times = 1 if stop is None else len(clip_starts(start, stop, options))
        clips = grid * times
        if left is not None:
            clips = min(clips, left + grid - 1)  # windows beside the last ones that are wanted are written too
            left = max(0, left - clips)
        needed += clips * options.frames * math.prod(options.size) * form.channels * form.bit_depth // 8
    require_space(output, needed, 'This is an upper bound: all windows, uncompressed. '
                                  'To cut fewer, use --max-clips, --end, --step or --stride')


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """A new folder beside ``output``, removed in any case. A killed run cannot remove it, but the next one will."""
    work = output.with_name(f'.{output.name}.extracting')
    with resumable(work, plan=None):
        try:
            shutil.rmtree(work / 'new', ignore_errors=True)
            (work / 'new').mkdir()
            yield work / 'new'
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
