"""Folders of clips into an LMDB that both this package and (as ``png``) the toolbox's ``FileClient`` read.

The frames go in by batches, one transaction each, in the order of their keys. LMDB commits a transaction whole or not
at all, so that the number of stored frames says where a run that was killed has to go on. The environment is opened
anew for every batch: LMDB then knows nothing but what is in the file, and writes the same bytes whether the batches
before were written by this run or by another.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import lmdb
from tqdm import tqdm

from satvsr_plugin.atomic import BOOT_ID, is_resumable, mend_interrupted, put_in_place, resumable
from satvsr_plugin.data.clip_lmdb import ABOUT, META_INFO, ClipLmdb, Encoding, stored_key
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.lmdb_frames import Frame, encoder, stored_content
from satvsr_plugin.data.lmdb_plan import LmdbPlan
from satvsr_plugin.data.pairs import open_partners
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.disk import format_size, free_space, require_space
from satvsr_plugin.errors import DataError
from satvsr_plugin.parallel import available_processes, ordered_map

DONE = 'done'  # in the folder of unfinished work: the LMDB is complete, it has only to be put in place


class Summary(NamedTuple):
    """What was written."""

    clips: int
    frames: int
    size: int  # bytes of data.mdb
    seconds: float


def write_lmdb(folder: ClipFolder, output: Path, encoding: Encoding = 'png', *, recompress: bool = False,
               paired: bool = False, overwrite: bool = False, processes: int | None = None) -> Summary:
    """Write clips to ``output``: ``data.mdb``, ``meta_info.txt`` for the toolbox, and ``about.json``.

    Every image is checked whole. The LMDB is built in a hidden folder beside ``output`` and renamed at the end. A run
    that is stopped, by whatever, leaves that folder, and the next run with the same arguments goes on there and ends
    in the same bytes; an LMDB that was there before is as it was. Progress goes to stderr.

    Args:
        folder: the clips.
        output: a name that ends with ``.lmdb``, as the toolbox requires.
        encoding: ``png`` stores the image files as they are, of whatever format; ``raw`` stores pixels.
        recompress: store the pixels as PNGs that are as small as possible, instead of the files as they are.
        paired: compare names, sizes, channels and bit depth with the LR or GT clips beside ``folder`` first.
        overwrite: replace an LMDB that is there already.
        processes: how many read, check and encode; by default one for each core.

    Raises:
        DataError: the output is not allowed, names do not fit the toolbox's reader, images are damaged or differ
            within a clip, LR and GT do not belong together, another run is writing the same LMDB, or the disk cannot
            hold it.
    """
    start = time.monotonic()
    plan = LmdbPlan.make(folder, encoding, recompress)
    output = output.resolve() if os.path.lexists(output) else output.absolute()  # behind a link, where the files are
    _check_place(folder, output)
    if paired:
        _check_partners(folder)
    work = output.with_name(f'.{output.name}.partial')
    identity = plan.identity()
    try:
        mend_interrupted(output)
        going_on = is_resumable(work, identity)
        if not (going_on and _is_in_place(work, output)):
            _check_existing(output, overwrite)
            _show_need(plan, output, work, going_on)
        with resumable(work, identity) as taken_up:
            _build(plan, work / output.name, processes or available_processes(), taken_up)
            (work / DONE).touch()
            if (work / output.name).exists():
                put_in_place(work / output.name, output)
    except (lmdb.Error, OSError) as error:
        raise DataError(f'{output}: cannot write the LMDB: {error}. Mend this and run the same command again: '
                        'it goes on where it stopped') from error
    size = (output / 'data.mdb').stat().st_size
    return Summary(len(folder.clips), len(plan.frames), size, time.monotonic() - start)


def _is_in_place(work: Path, output: Path) -> bool:
    """Whether an earlier run was killed after its last step but one: all is done but to remove its folder."""
    return (work / DONE).exists() and not (work / output.name).exists()


def _check_place(folder: ClipFolder, output: Path) -> None:
    if output.suffix != '.lmdb':
        raise DataError(f'{output}: the toolbox opens an LMDB only if its name ends with .lmdb; add it')
    if folder.root.resolve() in (output, *output.parents):
        raise DataError(f'{output}: lies in the folder of the clips, where it would count as a clip; choose another')


def _check_partners(folder: ClipFolder) -> None:
    for pairs in open_partners(folder):
        try:
            pairs.check(pairs.clips)
        except DataError as error:
            raise DataError(f'{error}\nmend this, or add --alone where they need not belong together') from error


def _check_existing(output: Path, overwrite: bool) -> None:
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise DataError(f'{output}: exists already; add --overwrite to replace it')
    if not (output / 'data.mdb').is_file():
        raise DataError(f'{output}: exists already and is not an LMDB, so it is not overwritten; choose another name')


def _show_need(plan: LmdbPlan, output: Path, work: Path, going_on: bool) -> None:
    """Say on stderr how large the LMDB will be, and refuse what the disk cannot hold."""
    about = 'at most ' if plan.recompress else ''
    print(f'{output}: {len(plan.formats)} clips, {len(plan.frames)} frames, {about}{format_size(plan.size)} as '
          f'{plan.encoding}; the disk needs {about}{format_size(plan.map_size)}, and {format_size(free_space(output))} '
          'are free', file=sys.stderr)
    unfinished = work / output.name / 'data.mdb'
    require_space(output, plan.map_size - (unfinished.stat().st_size if going_on and unfinished.exists() else 0))


def _build(plan: LmdbPlan, partial: Path, processes: int, taken_up: bool) -> None:
    """Write data.mdb from wherever it stands, and the two files that belong to it."""
    if taken_up and (partial.parent / DONE).exists():
        return
    partial.mkdir(exist_ok=True)
    _write_frames(plan, partial, processes)
    formats = {clip: list(form) for clip, form in plan.formats.items()}
    about = {'encoding': plan.encoding, 'recompressed': plan.recompress, 'formats': formats}
    (partial / ABOUT).write_text(json.dumps(about) + '\n', encoding='utf-8')
    with open(partial / META_INFO, 'w', encoding='ascii') as meta_info:
        for frame in plan.frames:
            height, width, channels, _ = frame.format
            # the last number is the toolbox's PNG compression level, which no reader uses
            meta_info.write(f'{plan.stored_name(frame)} ({height},{width},{channels}) 1\n')
    ClipLmdb(partial)  # complete, and of as many entries as meta_info.txt lists


def _write_frames(plan: LmdbPlan, partial: Path, processes: int) -> None:
    """Store what is missing. After the first problem nothing more is stored, but all frames are checked."""
    with _open(plan, partial) as environment:
        stored = environment.stat()['entries']
    rest = list(_batches_after(plan, stored))
    encode = encoder(plan.encoding, plan.recompress)
    with (closing(ordered_map(encode, chain.from_iterable(rest), processes)) as encoded,
          tqdm(total=len(plan.frames), initial=stored, unit='frame', desc=partial.name) as progress):
        problems: list[str] = []
        for batch in rest:
            with _open(plan, partial) as environment, environment.begin(write=True) as transaction:
                for frame, result in islice(encoded, len(batch)):
                    progress.update()
                    if isinstance(result, DataError):
                        problems.append(str(result))
                    elif not problems:
                        content = stored_content(frame, result)
                        transaction.put(stored_key(frame.clip, frame.file), content, append=True)
                if problems:
                    transaction.abort()
        with _open(plan, partial) as environment:
            environment.sync(True)
        raise_problems(f'{plan.folder.root}: mend these and run the same command again', problems)


def _batches_after(plan: LmdbPlan, stored: int) -> Iterator[list[Frame]]:
    """The batches that are not stored yet."""
    for batch in plan.batches():
        if stored <= 0:
            yield batch
        stored -= len(batch)


def _open(plan: LmdbPlan, partial: Path) -> lmdb.Environment:
    """Only this process uses the LMDB, so it needs no lock file.

    What is written reaches the disk at the end, unless a later run could not tell that the system went down between.
    """
    return lmdb.open(str(partial), map_size=plan.map_size, mode=0o644, lock=False, sync=BOOT_ID is None)
