"""What is wrong between GT and LR: missing partners, sizes, kinds, and how LR was made."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from satvsr_plugin.data.clip_source import ClipSource, frame_key, natural_order
from satvsr_plugin.data.dataset_report.clip_judge import clip_formats
from satvsr_plugin.data.dataset_report.deviation import Deviation, pooled
from satvsr_plugin.data.dataset_report.findings import Finding, Kind
from satvsr_plugin.data.dataset_report.frames import Facts, Frame
from satvsr_plugin.data.dataset_report.listing import Collection
from satvsr_plugin.errors import DataError, OptionError

Making = Literal['exact', 'borders', 'otherwise']
RANKS: tuple[Making, ...] = ('exact', 'borders', 'otherwise')
CLIPS_FOR_SCALE = 20


class Degradation(NamedTuple):
    """How far LR is from our degradation of GT; frames that belong to another GT frame do not count.

    Attributes:
        summary: of all pairs that were compared.
        clips: of each clip.
        making: ``exact`` (bit for bit), ``borders`` (differs in the two outermost pixels only: GT was continued
            otherwise there, as MATLAB's newer releases do) or ``otherwise``.
    """

    summary: Deviation
    clips: dict[str, Deviation]
    making: Making


def scale_of(main: ClipSource, lq: ClipSource) -> int | None:
    """The scale that the sizes of most clips tell, from their first frames; none if no clip is on both sides.

    Raises:
        OptionError: the sizes do not tell it.
    """
    common = [clip for clip in lq.clips if clip in main.clips][:CLIPS_FOR_SCALE]
    scales: Counter[int] = Counter()
    for clip in common:
        try:
            large, small = main.format(clip), lq.format(clip)
        except DataError:
            continue  # damaged frames are found when all are read
        scale = large.height // small.height
        if scale > 1 and (large.height, large.width) == (scale * small.height, scale * small.width):
            scales[scale] += 1
    if common and not scales:
        raise OptionError(f'{lq.root}: the sizes do not tell how many times smaller than GT the frames are; '
                          'give --scale')
    return scales.most_common(1)[0][0] if scales else None


def judge_pairs(main: Collection, lq: Collection, facts: Facts, scale: int | None) -> list[Finding]:
    """Clips and frames without a partner, and partners that do not fit each other."""
    findings = []
    formats, lq_formats = clip_formats(facts.main), clip_formats(facts.lq)
    for clip in natural_order({*main.clips, *lq.clips}):
        missing = _missing(main, lq, clip)
        findings += missing
        if clip in formats and clip in lq_formats:
            large, small = formats[clip], lq_formats[clip]
            width, height = (scale or 1) * small.width, (scale or 1) * small.height
            if scale and (large.width, large.height) != (width, height):
                findings.append(Finding(
                    Kind.WRONG_SIZE, f'{main.side} and {lq.side}', (clip,),
                    f'clip {clip}: {lq.side} is {small.width}x{small.height} and {main.side} '
                    f'{large.width}x{large.height}; at scale {scale} {main.side} should be {width}x{height}'))
            if large[2:] != small[2:]:
                findings.append(Finding(Kind.UNLIKE_PAIR, f'{main.side} and {lq.side}', (clip,),
                                        f'clip {clip}: {lq.side} is {small}, but {main.side} {large}'))
    return findings


def judge_degradation(side: str, facts: Facts) -> tuple[Degradation | None, list[Finding]]:
    """How LR was made; none if no pair could be compared."""
    findings, strangers = _mispaired(side, facts)
    clips = {}
    for clip, comparisons in facts.comparisons.items():
        own = [found.deviation for key, found in comparisons.items() if (clip, key) not in strangers]
        if own:
            clips[clip] = pooled(own)
    if not clips:
        return None, findings
    summary = pooled(clips.values())
    usual = Counter(_making(deviation) for deviation in clips.values()).most_common(1)[0][0]
    findings += [Finding(Kind.OTHER_DEGRADATION, side, (clip,),
                         f'clip {clip}: {deviation.share:.1%} of its samples differ from our degradation of GT, '
                         f'by up to {deviation.largest} grey levels')
                 for clip, deviation in clips.items() if RANKS.index(_making(deviation)) > RANKS.index(usual)]
    return Degradation(summary, clips, _making(summary)), findings


def _missing(main: Collection, lq: Collection, clip: str) -> list[Finding]:
    for here, there in ((main, lq), (lq, main)):
        if clip not in there.clips:
            known = any(finding.places == (clip,) for finding in there.findings)  # empty, or cannot be listed
            return [] if known else [Finding(Kind.MISSING_CLIP, there.side, (clip,),
                                             f'clip {clip}: is in {here.side} only')]
    findings = []
    for here, there in ((main, lq), (lq, main)):
        present = {frame_key(frame) for frame in there.clips[clip]}
        findings += [Finding(Kind.MISSING_FRAME, there.side, (f'{clip}/{frame_key(frame)}',),
                             f'{clip}/{frame_key(frame)}: is in {here.side} only')
                     for frame in here.clips[clip] if frame_key(frame) not in present]
    return findings


def _mispaired(side: str, facts: Facts) -> tuple[list[Finding], set[tuple[str, str]]]:
    """LR frames that are, bit for bit, our degradation of another GT frame than their own."""
    made = {found.made: (clip, key) for clip, comparisons in facts.comparisons.items()
            for key, found in comparisons.items()}
    findings, strangers = [], set()
    for clip, frames in facts.lq.items():
        for name, frame in frames.items():
            own = facts.comparisons.get(clip, {}).get(frame_key(name))
            if own and own.deviation.differing and isinstance(frame, Frame) and frame.digest in made:
                other = '/'.join(made[frame.digest])
                strangers.add((clip, frame_key(name)))
                findings.append(Finding(Kind.MISPAIRED, side, (f'{clip}/{name}',),
                                        f'{clip}/{name}: is the degradation of GT {other}, not of its own GT'))
    return findings, strangers


def _making(deviation: Deviation) -> Making:
    if not deviation.differing:
        return 'exact'
    return 'borders' if deviation.at_borders_only else 'otherwise'
