"""Clips opened for a check: what is out of order in a folder is noted instead of refused."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.data.clip_source import ClipSource, frame_key, natural_order
from satvsr_plugin.data.clips import open_clips
from satvsr_plugin.data.dataset_report.findings import Finding, Kind
from satvsr_plugin.data.dataset_report.layout import Place, is_lmdb, listing
from satvsr_plugin.data.image_io import IMAGE_SUFFIXES, read_file
from satvsr_plugin.errors import DataError


class ListedFolder(ClipSource):
    """Clips as folders of images, of which somebody else made the list; see :class:`ClipSource`."""

    def read_bytes(self, clip: str, frame: str) -> bytes:
        return read_file(self.root / clip / frame, self.label(clip, frame))


class Collection(NamedTuple):
    """One side of a data set.

    Attributes:
        side: its name, see :class:`Place`.
        source: its clips; none where it cannot be opened, which ``findings`` say.
        size: bytes on disk.
        findings: what is out of order in its list of files.
    """

    side: str
    source: ClipSource | None
    size: int
    findings: list[Finding]

    @property
    def clips(self) -> dict[str, list[str]]:
        """Clip -> file names of its frames; none where the source cannot be opened."""
        return self.source.clips if self.source else {}


def open_collection(place: Place) -> Collection:
    """List the clips of a folder or open an LMDB.

    Raises:
        DataError: the folder cannot be listed, or holds no clips at all: it is not what the user meant.
    """
    with listing(place.root):
        if not is_lmdb(place.root):
            return _list_clips(place)
        size = sum(path.stat().st_size for path in place.root.iterdir() if path.is_file())
    try:
        return Collection(place.side, open_clips(place.root, 'lmdb'), size, [])
    except DataError as error:
        message = str(error).removeprefix(f'{place.root}: ')
        return Collection(place.side, None, size, [Finding(Kind.UNREADABLE, place.side, (), message)])


class _Folder(NamedTuple):
    folders: list[str]
    frames: list[str]
    others: list[str]
    size: int  # bytes of the frames


def _list_clips(place: Place) -> Collection:
    side, root = place
    top = _scan(root)
    if not top.folders:
        hint = (f'frames lie in this folder itself; put them into a folder of their own, e.g. {root}/000'
                if top.frames else 'it should hold one folder of frames a clip')
        raise DataError(f'{root}: no clips in it; {hint}')
    findings = [Finding(Kind.STRAY_FRAME, side, (frame,), f'{frame}: lies beside the clips; move it into one')
                for frame in top.frames]
    findings += _ignored(side, '', top.others)
    clips: dict[str, list[str]] = {}
    size = 0
    for clip in natural_order(top.folders):
        try:
            inner = _scan(root / clip)
        except DataError as error:
            findings.append(Finding(Kind.UNREADABLE, side, (clip,), str(error).removeprefix(f'{root}{os.sep}')))
            continue
        size += inner.size
        clips[clip], found = _judge_clip(side, clip, inner)
        findings += found
    return Collection(side, ListedFolder(root, {clip: frames for clip, frames in clips.items() if frames}), size,
                      findings)


def _judge_clip(side: str, clip: str, inner: _Folder) -> tuple[list[str], list[Finding]]:
    """The frames of a clip, and what is out of order among its files."""
    if not inner.frames:
        hint = (f'but folders ({inner.folders[0]}): was a folder one level too high given?' if inner.folders
                else 'add its frames or delete the folder')
        return [], [Finding(Kind.EMPTY_CLIP, side, (clip,), f'clip {clip}: no images in it; {hint}')]
    findings = _ignored(side, f'{clip}/', inner.others + inner.folders)
    kept = []
    for _, same in groupby(natural_order(inner.frames), frame_key):
        first, *more = same
        kept.append(first)
        findings += [Finding(Kind.DOUBLE_NAME, side, (f'{clip}/{frame}',),
                             f'{clip}/{frame}: {first} is a frame of this name too; keep one') for frame in more]
    return kept, findings


def _ignored(side: str, prefix: str, names: list[str]) -> list[Finding]:
    return [Finding(Kind.IGNORED, side, (prefix + name,), prefix + name) for name in names]


def _scan(folder: Path) -> _Folder:
    """What lies in a folder, hidden files and folders left out."""
    folders, frames, others, size = [], [], [], 0
    with listing(folder), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith('.'):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                frames.append(entry.name)
                size += entry.stat().st_size if entry.is_file() else 0  # not of a link that leads nowhere
            else:
                others.append(entry.name)
    return _Folder(folders, frames, others, size)
