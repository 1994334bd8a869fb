"""Folders of clips into an LMDB that both this package and the toolbox's ``FileClient`` read."""

from __future__ import annotations

import mmap
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import lmdb
from tqdm import tqdm

from satvsr_plugin.atomic import built_beside
from satvsr_plugin.data.clip_lmdb import ClipLmdb
from satvsr_plugin.data.clip_source import FrameFormat, frame_key
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

BATCH = 32  # frames decoded at a time and written by one transaction: what is held in memory


class Summary(NamedTuple):
    """What was written."""

    clips: int
    frames: int
    size: int  # bytes of all images
    seconds: float


def write_lmdb(folder: ClipFolder, output: Path, overwrite: bool = False) -> Summary:
    """Write clips to ``output``: ``data.mdb`` with each image file as it is, and ``meta_info.txt``.

    Every image is decoded once to check it. The LMDB is built beside ``output`` and renamed at the end; on any
    error nothing of it stays, and an LMDB that was there before is left as it was. Progress goes to stderr.

    Args:
        folder: the clips.
        output: a name that ends with ``.lmdb``, as the toolbox requires.
        overwrite: replace an LMDB that is there already.

    Raises:
        DataError: the output is not allowed, names do not fit the toolbox's reader, images are damaged or differ
            within a clip, or the disk is full.
    """
    start = time.monotonic()
    _check_output(folder, output, overwrite)
    _check_names(folder)
    frames = [(clip, frame) for clip, names in folder.clips.items() for frame in names]
    try:
        with built_beside(output.resolve()) as partial:  # behind a link, where the files are
            size = _write_frames(folder, frames, partial)
            ClipLmdb(partial)  # complete, and of as many entries as meta_info.txt lists
    except (lmdb.Error, OSError) as error:
        raise DataError(f'{output}: cannot write the LMDB: {error}') from error
    return Summary(len(folder.clips), len(frames), size, time.monotonic() - start)


def _check_output(folder: ClipFolder, output: Path, overwrite: bool) -> None:
    if output.suffix != '.lmdb':
        raise DataError(f'{output}: the toolbox opens an LMDB only if its name ends with .lmdb; add it')
    if folder.root.resolve() in (output.resolve(), *output.resolve().parents):
        raise DataError(f'{output}: lies in the folder of the clips, where it would count as a clip; choose another')
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise DataError(f'{output}: exists already; add --overwrite to replace it')
    if not (output / 'data.mdb').is_file():
        raise DataError(f'{output}: exists already and is not an LMDB, so it is not overwritten; choose another name')


def _check_names(folder: ClipFolder) -> None:
    """The toolbox cuts a line of meta_info.txt at the first blank and the first dot, and keys are ASCII."""
    raise_problems(f'{folder.root}: the toolbox\'s LMDB reader knows no blanks, dots or non-ASCII letters in names', [
        f'{clip}/{frame}: rename it' for clip, frames in folder.clips.items() for frame in frames
        if re.search(r'[\s.]|[^\x00-\x7f]', f'{clip}/{frame_key(frame)}')])


def _write_frames(folder: ClipFolder, frames: list[tuple[str, str]], partial: Path) -> int:
    """Write data.mdb and meta_info.txt, check every image on the way; returns the number of bytes of images."""
    environment = lmdb.open(str(partial), map_size=_map_size(folder, frames), mode=0o644, lock=False,
                            sync=False)  # synced once at the end; until then the LMDB is nobody's
    size, problems = 0, []
    with (environment, ThreadPoolExecutor() as pool, tqdm(total=len(frames), unit='frame') as progress,
          open(partial / 'meta_info.txt', 'w', encoding='ascii') as meta_info):
        for start in range(0, len(frames), BATCH):
            batch = frames[start:start + BATCH]
            loaded = pool.map(lambda name: _load(folder, *name), batch)
            with environment.begin(write=True) as transaction:
                for (clip, frame), image in zip(batch, loaded, strict=True):
                    progress.update()
                    if isinstance(image, DataError):
                        problems.append(str(image))
                        continue
                    content, form = image
                    size += len(content)
                    transaction.put(f'{clip}/{frame_key(frame)}'.encode(), content)
                    # the last number is the toolbox's PNG compression level, which no reader uses
                    meta_info.write(f'{clip}/{frame} ({form.height},{form.width},{form.channels}) 1\n')
        raise_problems(str(folder.root), problems)
        environment.sync(True)
    return size


def _load(folder: ClipFolder, clip: str, frame: str) -> tuple[bytes, FrameFormat] | DataError:
    """An image file and its format, or what is wrong with it."""
    try:
        content = folder.read_bytes(clip, frame)
        return content, FrameFormat.of(folder.decode(clip, frame, content))
    except DataError as error:
        return error


def _map_size(folder: ClipFolder, frames: list[tuple[str, str]]) -> int:
    """Upper bound of data.mdb in bytes.

    A large value takes whole pages of its own and less than one page of the tree; 256 pages are for those
    that transactions free and use again.
    """
    pages = sum((folder.root / clip / frame).stat().st_size // mmap.PAGESIZE + 3 for clip, frame in frames)
    return (pages + 256) * mmap.PAGESIZE
