"""What is wrong within the clips of one side: damage, formats, names and numbers of frames."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.dataset_report.findings import Finding, Kind
from satvsr_plugin.data.dataset_report.frames import Damaged, Frames
from satvsr_plugin.data.frame_format import FrameFormat


def clip_formats(frames: Frames) -> dict[str, FrameFormat]:
    """The format of most frames of each clip; clips of which no frame can be read are left out."""
    counts = {clip: Counter(frame.format for frame in found.values() if not isinstance(frame, Damaged))
              for clip, found in frames.items()}
    return {clip: count.most_common(1)[0][0] for clip, count in counts.items() if count}


def judge_clips(side: str, frames: Frames) -> list[Finding]:
    """Damaged, odd and blank frames, and clips that differ in channels or depth or mix image formats."""
    formats = clip_formats(frames)
    findings = []
    for clip, found in frames.items():
        for name, frame in found.items():
            place = f'{clip}/{name}'
            if isinstance(frame, Damaged):
                findings.append(Finding(Kind.DAMAGED, side, (place,), f'{place}: {frame.reason}'))
                continue
            if frame.format != formats[clip]:
                findings.append(Finding(Kind.ODD_FORMAT, side, (place,),
                                        f'{place}: is {frame.format}, but most of its clip is {formats[clip]}'))
            if frame.blank:
                findings.append(Finding(Kind.BLANK, side, (place,), place))
        findings += _mixed_suffixes(side, clip, found)
    findings += _mixed(Kind.MIXED_CHANNELS, side, {clip: form.channels for clip, form in formats.items()}, 'channels')
    findings += _mixed(Kind.MIXED_DEPTHS, side, {clip: form.bit_depth for clip, form in formats.items()}, 'bit depth')
    return findings


def judge_numbers(side: str, clips: Mapping[str, Collection[str]]) -> list[Finding]:
    """Frames whose numbers do not go on as those of the rest of their clip, e.g. 000, 001, 003.

    Args:
        side: where.
        clips: clip -> names of its frames without suffix, in natural order.
    """
    findings = []
    for clip, keys in clips.items():
        parts = [part for key in keys if (part := re.fullmatch(r'(.*?)(\d+)', key))]
        if len(parts) < max(3, len(keys)) or len({part[1] for part in parts}) > 1:
            continue  # names that end with no number, or of several series, have no order to check
        steps = Counter(int(after[2]) - int(before[2]) for before, after in pairwise(parts))
        usual = min(steps, key=lambda step: (-steps[step], step))
        odd = [(before[0], after[0]) for before, after in pairwise(parts) if int(after[2]) - int(before[2]) != usual]
        if odd:
            shown = ', '.join(f'{before} is followed by {after}' for before, after in odd[:3])
            more = f', and {len(odd) - 3} more' if len(odd) > 3 else ''
            findings.append(Finding(Kind.GAP, side, tuple(f'{clip}/{after}' for _, after in odd),
                                    f'clip {clip}: {shown}{more}; the usual step is {usual}'))
    return findings


def _mixed_suffixes(side: str, clip: str, names: Iterable[str]) -> list[Finding]:
    counts = Counter(os.path.splitext(name)[1].lower() for name in names if frame_key(name) != name)
    if len(counts) < 2:
        return []
    listed = ', '.join(f'{count} {suffix}' for suffix, count in counts.most_common())
    return [Finding(Kind.MIXED_SUFFIXES, side, (clip,), f'clip {clip}: {listed}')]


def _mixed(kind: Kind, side: str, values: dict[str, int], what: str) -> list[Finding]:
    """The clips whose value is not that of most."""
    counts = Counter(values.values())
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    return [Finding(kind, side, (clip,), f'clip {clip}: {what} {value}, but {usual} in most clips')
            for clip, value in values.items() if value != usual]
