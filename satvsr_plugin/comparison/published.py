"""Figures of published tables on the test clips of Jilin-189, to stand beside one's own.

They are shown only where they are of the same clips: clips are called 000, 001, ... in every copy of every data set, so
the names alone prove nothing. The published row of bicubic interpolation does, since anybody gets the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from satvsr_plugin.comparison.metrics import is_published_protocol, kind, leading_metric
from satvsr_plugin.comparison.naming import network_arguments
from satvsr_plugin.comparison.results import System

Mode = Literal['auto', 'always', 'never']
MODES: tuple[Mode, ...] = ('auto', 'always', 'never')
BICUBIC_TOLERANCE = 0.05  # dB a clip: rounding of the table, and of whoever made the LR frames
_DATA = Path(__file__).with_name('published.json')
_FORMAT = (640, 640, 3, 8, 100)  # height, width, bands, bit depth, frames of every test clip
_MORE = 6  # of the published systems that are not ours, so many are named


@dataclass(frozen=True)
class PublishedSystem:
    """A row of a published table.

    Attributes:
        name: the network's.
        network: the ``network_g`` that it stands for: type and deciding arguments; None where it is not known here.
        frames: how many it sees at once; None where it is not printed.
        parameters: in M, as printed.
        macs: multiply-accumulates in G for LR frames of 160x160, deformable convolutions not counted.
        note: what is known to be wrong or unusual with it; else ''.
        mean: PSNR and SSIM over the clips of the source's ``mean_clips``.
        clips: PSNR and SSIM of each clip; empty where only the mean is printed.
    """

    name: str
    network: Mapping[str, Any] | None
    frames: int | None
    parameters: float | None
    macs: float | None
    note: str
    mean: tuple[float, float]
    clips: Mapping[str, tuple[float, float]]

    def is_of(self, network: Mapping[str, Any]) -> bool:
        """Whether a ``network_g`` is this network."""
        found = network_arguments(network)
        return self.network is not None and all(found.get(key) == value for key, value in self.network.items())


@dataclass(frozen=True)
class Source:
    """A published table."""

    label: str
    citation: str
    mean_clips: tuple[str, ...]
    systems: tuple[PublishedSystem, ...]


@dataclass(frozen=True)
class PublishedColumn:
    """A published row that stands beside our system ``beside``."""

    beside: str
    source: Source
    system: PublishedSystem

    def clip(self, clip: str, metric: str) -> float | None:
        """``PSNR`` or ``SSIM`` of one clip."""
        return _pick(self.system.clips.get(clip), metric)

    def mean(self, clips: Sequence[str], metric: str) -> float | None:
        """Mean over exactly these clips: the printed one, or that of the clips' own figures; else None."""
        if set(clips) == set(self.source.mean_clips):
            return _pick(self.system.mean, metric)
        values = [value for clip in clips if (value := self.clip(clip, metric)) is not None]
        return sum(values) / len(values) if len(values) == len(clips) else None


def read_published() -> list[Source]:
    """All published figures, the oldest table first."""
    data = json.loads(_DATA.read_text(encoding='utf-8'))
    return [Source(source['label'], source['citation'], tuple(source['mean_clips']),
                   tuple(_parse_system(entry, data['networks']) for entry in source['systems']))
            for source in data['sources']]


def choose_published(systems: Sequence[System], mode: Mode) -> tuple[list[PublishedColumn], list[str]]:
    """The published figures to show, and notes on them.

    Args:
        systems: ours, tested alike.
        mode: ``auto`` shows them where the clips are surely those of Jilin-189's test set, ``always`` wherever the
            clips' names are the same, ``never`` not at all.
    """
    if mode == 'never':
        return [], []
    sources = read_published()
    doubt = next(_doubts(systems, sources), None)
    if doubt and mode == 'auto':
        known = set(sources[-1].mean_clips) & set(systems[0].record.clips)
        return [], [f'Published figures are left out: {doubt}.'] if known else []
    columns = list(_columns(systems, sources))
    notes = [f'Published figures may not be comparable: {doubt}.'] if doubt and columns else []
    return columns, [*notes, *_column_notes(columns), *_other_systems(systems, sources)]


def _parse_system(entry: Mapping[str, Any], networks: Mapping[str, Any]) -> PublishedSystem:
    clips = {clip: _parse_scores(text) for clip, text in entry.get('clips', {}).items()}
    return PublishedSystem(entry['name'], networks.get(entry['name']), entry['frames'], entry['parameters'],
                           entry['macs'], entry.get('note', ''), _parse_scores(entry['mean']), clips)


def _parse_scores(text: str) -> tuple[float, float]:
    psnr, ssim = text.split('/')
    return float(psnr), float(ssim)


def _pick(scores: tuple[float, float] | None, metric: str) -> float | None:
    return None if scores is None else scores[('PSNR', 'SSIM').index(metric)]


def _doubts(systems: Sequence[System], sources: Sequence[Source]) -> Iterator[str]:
    """Why the clips, or the scores, might not be those of the published tables."""
    record = systems[0].record
    strange = [clip for clip in record.clips if clip not in sources[-1].mean_clips]
    if strange:
        yield f'Jilin-189 has no test clip {strange[0]}'
    for name, clip in record.clips.items():
        if (clip.height, clip.width, clip.bands, clip.bit_depth, len(clip.frames)) != _FORMAT or record.scale != 4:
            yield f'clip {name} is not 100 frames of 640x640, 8-bit RGB, at x4, as the test clips of Jilin-189 are'
    if not is_published_protocol(record.metrics[leading_metric(record)]):
        yield 'they are of the Y channel without cropping, 8 bit, and the PSNR here is not'
    yield from _bicubic_doubts(systems, sources[0])


def _bicubic_doubts(systems: Sequence[System], source: Source) -> Iterator[str]:
    ours = next((system for system in systems if system.record.network['type'] == 'Bicubic'), None)
    if ours is None:
        yield 'without Bicubic among the systems it cannot be told whether these are the same clips'
        return
    row = next(entry for entry in source.systems if entry.name == 'Bicubic')
    metric = leading_metric(ours.record)
    compared = [clip for clip in ours.record.clips if clip in row.clips]
    if not compared:
        yield 'no clip has a published row of Bicubic to be recognised by'
    for clip in compared:
        found, printed = ours.record.clips[clip].mean(metric), row.clips[clip][0]
        if not abs(found - printed) <= BICUBIC_TOLERANCE:
            yield f'Bicubic has {found:.2f} dB in clip {clip}, not the published {printed:.2f} dB: it is another clip'


def _columns(systems: Sequence[System], sources: Sequence[Source]) -> Iterator[PublishedColumn]:
    """For each of our systems the tables that have it; one that repeats an older table's figures is left out."""
    clips = list(systems[0].record.clips)
    for system in systems:
        shown: list[dict[str, float]] = []
        for column in _columns_of(system, sources):
            figures = {clip: value for clip in clips if (value := column.clip(clip, 'PSNR')) is not None}
            new = not any(figures.items() <= row.items() for row in shown)
            if new if figures else column.mean(clips, 'PSNR') is not None:
                shown.append(figures)
                yield column


def _columns_of(system: System, sources: Sequence[Source]) -> Iterator[PublishedColumn]:
    for source in sources:
        for entry in source.systems:
            if entry.is_of(system.record.network):
                yield PublishedColumn(system.name, source, entry)


def _column_notes(columns: Sequence[PublishedColumn]) -> Iterator[str]:
    for source in dict.fromkeys(column.source.label for column in columns):
        of_source = [column for column in columns if column.source.label == source]
        remarks = ''.join(f' {column.system.name}: {column.system.note}.' for column in of_source if column.system.note)
        yield f'Published, {source}: {of_source[0].source.citation}.{remarks}'


def _other_systems(systems: Sequence[System], sources: Sequence[Source]) -> Iterator[str]:
    """The best of those that are not ours, where their mean is over the very clips that we have."""
    record = systems[0].record
    for source in sources:
        if set(record.clips) == set(source.mean_clips) and any(kind(one) == 'PSNR' for one in record.metrics.values()):
            others = [entry for entry in source.systems
                      if not any(entry.is_of(system.record.network) for system in systems)]
            others.sort(key=lambda entry: -entry.mean[0])
            listed = ', '.join(f'{entry.name} {entry.mean[0]:.2f}/{f"{entry.mean[1]:.4f}"[1:]}'
                               for entry in others[:_MORE])
            if listed:
                yield f'Also published on these clips ({source.label}): {listed}.'
