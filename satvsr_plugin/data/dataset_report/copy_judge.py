"""Frames and clips that are there more than once, or in another data set too; found by digests of their pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import groupby
from typing import TypeGuard

from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.dataset_report.findings import Finding, Kind
from satvsr_plugin.data.dataset_report.frames import Damaged, Frame, Frames

EXAMPLES = 3


def judge_copies(side: str, frames: Frames) -> list[Finding]:
    """Frozen video, clips under two names, and other frames that are identical; blank frames do not count."""
    runs = {clip: _runs(found) for clip, found in frames.items()}
    duplicates = _duplicate_clips(frames)
    findings = _frozen(side, runs)
    findings += [Finding(Kind.DUPLICATE_CLIP, side, clips,
                         f'clips {_listed(clips)}: the same frames, one by one') for clips in duplicates]
    again = {clip for clips in duplicates for clip in clips[1:]}
    return findings + _repeated(side, {clip: found for clip, found in runs.items() if clip not in again})


def judge_shared(side: str, frames: Frames, other: str, other_frames: Frames) -> list[Finding]:
    """Frames that another data set has too: a network that is tested on what it was trained on looks too good.

    Args:
        side: where.
        frames: of this data set.
        other: name of the other data set.
        other_frames: its frames.
    """
    places = {}
    for clip, found in reversed(other_frames.items()):
        places.update({frame.digest: (clip, name) for name, frame in reversed(found.items()) if _counts(frame)})
    shared = defaultdict(list)
    for clip, found in frames.items():
        for name, frame in found.items():
            if _counts(frame) and frame.digest in places:
                other_clip, other_name = places[frame.digest]
                shared[clip, other_clip].append((name, other_name))
    return [Finding(Kind.SHARED, side, tuple(f'{clip}/{name}' for name, _ in pairs),
                    f'clip {clip}: {len(pairs)} of its {len(frames[clip])} frames are in {other} too; '
                    f'e.g. {pairs[0][0]} is {other_clip}/{pairs[0][1]} there')
            for (clip, other_clip), pairs in shared.items()]


def without_repeats(main: list[Finding], lq: list[Finding], both: str) -> list[Finding]:
    """Findings of both sides, those that LR has only because GT has them once: ``both`` is their side then."""
    def place(finding: Finding) -> tuple[Kind, tuple[str, ...]]:
        return finding.kind, tuple(map(frame_key, finding.places))

    lq_places, main_places = set(map(place, lq)), set(map(place, main))
    return [*(finding._replace(side=both) if place(finding) in lq_places else finding for finding in main),
            *(finding for finding in lq if place(finding) not in main_places)]


def _counts(frame: Frame | Damaged) -> TypeGuard[Frame]:
    return isinstance(frame, Frame) and not frame.blank


def _runs(found: Mapping[str, Frame | Damaged]) -> list[tuple[bytes, list[str]]]:
    """Digest and names of neighbouring frames that are identical; most runs have one frame."""
    runs = groupby(found.items(), lambda item: item[1].digest if _counts(item[1]) else None)
    return [(digest, [name for name, _ in items]) for digest, items in runs if digest]


def _frozen(side: str, runs: dict[str, list[tuple[bytes, list[str]]]]) -> list[Finding]:
    return [Finding(Kind.FROZEN, side, tuple(f'{clip}/{name}' for name in names),
                    f'clip {clip}: {names[0]} to {names[-1]}, {len(names)} frames')
            for clip, found in runs.items() for _, names in found if len(names) > 1]


def _duplicate_clips(frames: Frames) -> list[tuple[str, ...]]:
    """Groups of clips whose frames are the same, one by one."""
    groups = defaultdict(list)
    for clip, found in frames.items():
        readable = [frame for frame in found.values() if isinstance(frame, Frame)]
        if len(readable) == len(found) and any(map(_counts, readable)):
            groups[tuple(frame.digest for frame in readable)].append(clip)
    return [tuple(clips) for clips in groups.values() if len(clips) > 1]


def _repeated(side: str, runs: dict[str, list[tuple[bytes, list[str]]]]) -> list[Finding]:
    """Identical frames that are no neighbours: one finding for all that the same clips have in common."""
    places = defaultdict(list)
    for clip, found in runs.items():
        for digest, names in found:
            places[digest].append((clip, names[0]))
    groups = defaultdict(list)
    for same in places.values():
        if len(same) > 1:
            groups[tuple(dict.fromkeys(clip for clip, _ in same))].append([f'{clip}/{name}' for clip, name in same])
    findings = []
    for clips, sets in groups.items():
        shown = ', '.join(' = '.join(same[:EXAMPLES]) for same in sets[:EXAMPLES])
        more = f', and {len(sets) - EXAMPLES} more' if len(sets) > EXAMPLES else ''
        findings.append(Finding(Kind.REPEATED, side, tuple(place for same in sets for place in same),
                                f'clip{"s" if len(clips) > 1 else ""} {_listed(clips)}: {shown}{more}'))
    return findings


def _listed(clips: tuple[str, ...]) -> str:
    shown = ', '.join(clips[:EXAMPLES])
    return f'{shown} and {len(clips) - EXAMPLES} more' if len(clips) > EXAMPLES else shown
