"""Whether a folder is the Jilin-189 release: where its clips are, how many, how long, how large, and LR against GT."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from satvsr_plugin.data.clip_source import ClipSource, frame_key, natural_order
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.release import FRAMES, GT_FORMAT, LR_FORMAT, PARTS, SCALE
from satvsr_plugin.errors import DataError

DEEPEST = 4  # levels of folders below the one that is checked
LR_NAME = re.compile(r'LR([1-9]\d*)x')
KIND = re.compile(r'(?:^|[^a-z])(train|test|eval|val)')  # training_set, Jilin-189_test, ...; not: latest
OTHER = 'clips'  # neither train nor test by the names of the folders
SHOWN = 5  # names in one line


class Part(NamedTuple):
    """Clips that belong together: GT and LR.

    Attributes:
        kind: ``train``, ``test``, or ``clips`` where no folder is called like either.
        root: the folder with ``GT`` and ``LR<scale>x``.
        facts: what is there, a line each side.
        problems: what is not as in the release, a line each.
    """

    kind: str
    root: Path
    facts: list[str]
    problems: list[str]


class LayoutReport(NamedTuple):
    """What was found in a folder.

    Attributes:
        parts: what was looked at.
        problems: of the folder as a whole.
        dataroots: for each kind of part, what ``dataroot`` has to be in an option file.
    """

    parts: list[Part]
    problems: list[str]
    dataroots: dict[str, Path]

    @property
    def in_order(self) -> bool:
        """Whether all is as in the release."""
        return not self.problems and not any(part.problems for part in self.parts)

    def __str__(self) -> str:
        lines = []
        for part in self.parts:
            lines += [f'{part.kind}: {part.root}', *(f'  {fact}' for fact in part.facts),
                      *(f'  - {problem}' for problem in part.problems)]
        lines += [f'- {problem}' for problem in self.problems]
        lines.append('all in order' if self.in_order else 'not in order: see above')
        roots = {kind: yaml.safe_dump({'dataroot': str(root)}, allow_unicode=True, width=10_000).strip()
                 for kind, root in self.dataroots.items()}
        if len(set(roots.values())) == 1:
            return '\n'.join([*lines, 'for the option file:', f'  {next(iter(roots.values()))}'])
        return '\n'.join([*lines, *(f'for the option file, {kind} data:\n  {line}' for kind, line in roots.items())])


def check_layout(folder: Path) -> LayoutReport:
    """Look for GT and LR clips in a folder in any of the layouts of the release, and compare them with it.

    The first frame of every clip is decoded, the others are counted.

    Args:
        folder: the unpacked release, or one that holds it up to some levels deeper.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    if not os.path.isdir(folder):  # unlike Path.is_dir, also false where one may not look
        raise DataError(f'{folder}: there is no such folder, or it may not be looked into')
    places = [(_kind(place, folder), place) for place in _find_places(folder, DEEPEST)]
    kinds = [kind for kind, _ in places]
    problems = [f'more than one folder with {kind} clips; keep one'
                for kind in sorted(set(kinds)) if kinds.count(kind) > 1]
    if not places:
        problems.append(f'{folder}: no folder GT or LR{SCALE}x in it; is everything unpacked?')
    elif OTHER not in kinds:
        problems += [f'{folder}: no {kind} clips in it' for kind in PARTS if kind not in kinds]
    return LayoutReport([_check_part(kind, place) for kind, place in places], problems, _dataroots(places))


def _find_places(folder: Path, depth: int) -> Iterator[Path]:
    """Folders that hold GT or LR clips; what is inside those is not searched."""
    inner = _folders(folder)
    if any(name == 'GT' or LR_NAME.fullmatch(name) for name in inner):
        yield folder
    elif depth:
        for name in inner:
            yield from _find_places(folder / name, depth - 1)


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return natural_order(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith('.'))
    except OSError as error:
        raise DataError(f'{folder}: cannot list this folder: {error.strerror}') from error


def _kind(place: Path, folder: Path) -> str:
    """By the innermost folder that is called like a kind, up to the one that is checked."""
    for name in (*reversed(place.relative_to(folder).parts), folder.absolute().name):
        if match := KIND.search(name.lower()):
            return 'train' if match[1] == 'train' else 'test'
    return OTHER


def _dataroots(places: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """What ``dataroot`` finds each kind; the same for all kinds where that is possible."""
    candidates = {kind: _candidates(place, PARTS[kind].folders if kind in PARTS else ('',)) for kind, place in places}
    return {kind: next((root for root in roots if all(root in others for others in candidates.values())), roots[0])
            for kind, roots in candidates.items()}


def _candidates(place: Path, folders: Iterable[str]) -> list[Path]:
    """Roots below which one of ``folders`` is ``place``, the outermost first."""
    count = len(place.parts)
    inner = sorted((Path(folder).parts for folder in folders), key=len, reverse=True)
    return [Path(*place.parts[:count - len(parts)]) for parts in inner if place.parts[count - len(parts):] == parts]


def _check_part(kind: str, root: Path) -> Part:
    problems: list[str] = []
    sides: dict[str, ClipSource] = {}
    scales = {name: int(named[1]) for name in _folders(root) if (named := LR_NAME.fullmatch(name))}
    names = [name for name in _folders(root) if name == 'GT' or name in scales]
    for name in names:
        try:
            sides[name] = ClipFolder(root / name)
        except DataError as error:
            problems.append(str(error))
    formats = {name: _formats(source, problems) for name, source in sides.items()}
    facts = [f'{name}: {_describe(sides[name], formats[name])}' for name in sides]
    problems += [f'{root}: there is no {name}' for name in ('GT', f'LR{SCALE}x') if name not in names]
    for name in [name for name in scales if {name, 'GT'} <= sides.keys()]:
        problems += _compare(sides['GT'], sides[name], name)
        wrong = _compare_sizes(formats['GT'], formats[name], name, scales[name])
        problems += wrong
        if not wrong:
            facts.append(f'GT is {scales[name]} times as large as {name}')
    if kind in PARTS:
        for name in sides:
            problems += _compare_with_release(kind, name, sides[name], formats[name])
    return Part(kind, root, facts, problems)


def _formats(source: ClipSource, problems: list[str]) -> dict[str, FrameFormat]:
    """Formats of the first frames; those that cannot be read are added to ``problems``."""
    formats = {}
    for clip in source.clips:
        try:
            formats[clip] = source.format(clip)
        except DataError as error:
            problems.append(str(error))
    return formats


def _describe(source: ClipSource, formats: dict[str, FrameFormat]) -> str:
    lengths = [len(frames) for frames in source.clips.values()]
    frames = str(lengths[0]) if len(set(lengths)) == 1 else f'{min(lengths)} to {max(lengths)}'
    clips = f'{len(lengths)} clip{"s" if len(lengths) > 1 else ""}'
    return f'{clips} of {frames} frames, {" or ".join(sorted({str(found) for found in formats.values()}))}'


def _compare(gt: ClipSource, lr: ClipSource, lr_name: str) -> list[str]:
    """Clips and frames that one side lacks."""
    problems = []
    for name, source, other in (('GT', gt, lr), (lr_name, lr, gt)):
        missing = [clip for clip in other.clips if clip not in source.clips]
        if missing:
            problems.append(f'{name} lacks clip{"s" if len(missing) > 1 else ""} {_some(missing)}')
        for clip in source.clips.keys() & other.clips.keys():
            there = {frame_key(frame) for frame in source.clips[clip]}
            lost = [frame for frame in other.clips[clip] if frame_key(frame) not in there]
            if lost:
                problems.append(f'{name}, clip {clip}: lacks frame{"s" if len(lost) > 1 else ""} {_some(lost)}')
    return natural_order(problems)


def _compare_sizes(gt: dict[str, FrameFormat], lr: dict[str, FrameFormat], lr_name: str, scale: int) -> list[str]:
    """Clips whose GT is not the scale in LR's name times as large as LR."""
    wrong = defaultdict(list)
    for clip in gt.keys() & lr.keys():
        expected = lr[clip]._replace(height=lr[clip].height * scale, width=lr[clip].width * scale)
        if gt[clip] != expected:
            wrong[f'GT is {gt[clip]}, {lr_name} is {lr[clip]}'].append(clip)
    return [f'sizes do not fit the scale {scale}: {what} (clip {_some(natural_order(clips))})'
            for what, clips in wrong.items()]


def _compare_with_release(kind: str, name: str, source: ClipSource, formats: dict[str, FrameFormat]) -> list[str]:
    problems = []
    clips = PARTS[kind].clips
    if len(source.clips) not in clips:
        expected = f'{clips[0]} to {clips[-1]}' if len(clips) > 1 else str(clips[0])
        problems.append(f'{name}: {len(source.clips)} clips instead of {expected}')
    short = [clip for clip, frames in source.clips.items() if len(frames) != FRAMES]
    if short:
        problems.append(f'{name}: not {FRAMES} frames in clip {_some(short)}')
    form = {'GT': GT_FORMAT, f'LR{SCALE}x': LR_FORMAT}.get(name)
    other = [clip for clip, found in formats.items() if form and found != form]
    if other:
        problems.append(f'{name}: not {form} in clip {_some(other)}')
    return problems


def _some(names: list[str]) -> str:
    rest = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + rest
