"""The check of a data set: files listed, frames read, findings judged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.data.clip_source import frame_key, natural_order
from satvsr_plugin.data.dataset_report.clip_judge import clip_formats, judge_clips, judge_numbers
from satvsr_plugin.data.dataset_report.copy_judge import judge_copies, judge_shared, without_repeats
from satvsr_plugin.data.dataset_report.findings import Finding, Kind, Severity
from satvsr_plugin.data.dataset_report.frames import Facts, Frames, collect
from satvsr_plugin.data.dataset_report.layout import Layout, Place
from satvsr_plugin.data.dataset_report.listing import Collection, open_collection
from satvsr_plugin.data.dataset_report.pair_judge import Degradation, judge_degradation, judge_pairs, scale_of
from satvsr_plugin.data.frame_format import FrameFormat


class SideSummary(NamedTuple):
    """What one side of a data set consists of."""

    side: str
    root: Path
    clips: int
    frames: int
    size: int  # bytes on disk
    shortest: int  # frames of a clip; 0 where there is none
    longest: int
    usual_length: int
    formats: dict[FrameFormat, int]  # number of clips, the most common format first


class Report(NamedTuple):
    """What was found.

    Attributes:
        sides: GT and LR, or the only side.
        scale: none where there is one side only.
        degradation: none where no pair could be compared.
        findings: in the order of ``Kind``; within a kind in natural order.
        unused: see :class:`Layout`.
        against: the other data sets that frames were looked for in.
        seconds: how long the check took.
    """

    sides: list[SideSummary]
    scale: int | None
    degradation: Degradation | None
    findings: list[Finding]
    unused: tuple[str, ...]
    against: list[Path]
    seconds: float

    @property
    def in_order(self) -> bool:
        """Whether there is no error; warnings may be."""
        return all(finding.kind.severity is not Severity.ERROR for finding in self.findings)


def check_dataset(layout: Layout, against: Sequence[Layout] = (), sample: int | None = None,
                  processes: int = 1) -> Report:
    """Check a data set whole; every frame is read once.

    Args:
        layout: the data set.
        against: other data sets, which should have no frame in common with it.
        sample: compare at most so many LR frames of a clip with our degradation of GT; none for all.
        processes: number of worker processes.

    Raises:
        DataError: a folder cannot be listed or holds no clips, or a worker process died.
        OptionError: neither the names nor the sizes tell the scale.
    """
    start = time.monotonic()
    main = open_collection(layout.main)
    lq = open_collection(layout.lq) if layout.lq else None
    others = [[open_collection(place) for place in (other.main, other.lq) if place] for other in against]
    pair = (main.source, lq.source) if lq and main.source and lq.source else None
    scale = layout.scale or (scale_of(*pair) if pair else None)
    facts = collect(main, lq, scale if pair else None, sample, processes)
    findings = _judge_sides(main, lq, facts)
    degradation = None
    if lq and pair:
        degradation, found = judge_degradation(lq.side, facts)
        findings += judge_pairs(main, lq, facts, scale) + found
    for other_sides in others:
        findings += _judge_against(main, lq, facts, other_sides, processes)
    order = list(Kind)
    sides = [_summarise(layout.main, main, facts.main)]
    if layout.lq and lq:
        sides.append(_summarise(layout.lq, lq, facts.lq))
    return Report(sides, scale, degradation, sorted(findings, key=lambda finding: order.index(finding.kind)),
                  layout.unused, [other.main.root for other in against], time.monotonic() - start)


def _judge_sides(main: Collection, lq: Collection | None, facts: Facts) -> list[Finding]:
    """All that can be said of each side alone."""
    found = judge_clips(main.side, facts.main) + judge_copies(main.side, facts.main)
    if lq is None:
        return main.findings + found + judge_numbers(main.side, _keys(main))
    both = f'{main.side} and {lq.side}'
    lq_found = judge_clips(lq.side, facts.lq) + judge_copies(lq.side, facts.lq)
    return [*main.findings, *lq.findings, *without_repeats(found, lq_found, both),
            *judge_numbers(both, _keys(main, lq))]


def _keys(*collections: Collection) -> dict[str, list[str]]:
    """Clip -> names of its frames on either side: a frame that one side lacks is no gap, but has no partner."""
    names: dict[str, set[str]] = {}
    for collection in collections:
        for clip, frames in collection.clips.items():
            names.setdefault(clip, set()).update(map(frame_key, frames))
    return {clip: natural_order(keys) for clip, keys in names.items()}


def _judge_against(main: Collection, lq: Collection | None, facts: Facts, others: list[Collection],
                   processes: int) -> list[Finding]:
    other_facts = collect(others[0], others[1] if len(others) > 1 else None, None, None, processes)
    findings = []
    for other, other_frames in zip(others, (other_facts.main, other_facts.lq), strict=False):
        if other.source is None:
            findings += other.findings
            continue
        name = str(other.source.root)
        # what cannot be read might be shared as well
        findings += [finding for finding in judge_clips(name, other_frames) if finding.kind is Kind.DAMAGED]
        for side, frames in ((main.side, facts.main), *([(lq.side, facts.lq)] if lq else [])):
            findings += judge_shared(side, frames, name, other_frames)
    return findings


def _summarise(place: Place, collection: Collection, frames: Frames) -> SideSummary:
    side, root = place
    lengths = Counter(map(len, frames.values()))
    formats = Counter(clip_formats(frames).values())
    return SideSummary(side, root, len(frames), sum(map(len, frames.values())), collection.size,
                       min(lengths, default=0), max(lengths, default=0), lengths.most_common(1)[0][0] if lengths else 0,
                       dict(formats.most_common()))
