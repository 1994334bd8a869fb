"""Refuses to compare tests that were not alike: other frames, other ground truth, other metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from satvsr_plugin.errors import DataError
from satvsr_plugin.test_record import ClipRecord, TestRecord

_EXAMPLES = 3  # that a line names before it only counts


def check_alike(records: Mapping[str, TestRecord]) -> None:
    """Compare every test with the first.

    Args:
        records: those of the systems, by how messages call them.

    Raises:
        DataError: tests are unlike; lists what differs, and what each of the two systems has.
    """
    (first, base), *others = records.items()
    problems = [f'{what} ({first}: {ours}; {name}: {theirs})'
                for name, record in others for what, ours, theirs in _differences(base, record)]
    if problems:
        lines = '\n  - '.join(problems)
        raise DataError(f'these systems were not tested alike, and their scores must not be compared:\n  - {lines}\n'
                        'Test them on the same clips with the same metrics, or leave one of them out')


_Difference = tuple[str, Any, Any]  # what, the first system's, the other's


def _differences(base: TestRecord, record: TestRecord) -> Iterator[_Difference]:
    if base.scale != record.scale:
        yield 'scale', base.scale, record.scale
    yield from _metric_differences(base.metrics, record.metrics)
    alone = [[clip for clip in one.clips if clip not in other.clips]
             for one, other in ((base, record), (record, base))]
    if any(alone):
        ours, theirs = (f'alone has {_some(clips)}' if clips else 'none besides' for clips in alone)
        yield 'clips', ours, theirs
    common = {clip: (base.clips[clip], record.clips[clip]) for clip in base.clips if clip in record.clips}
    yield from _format_differences(common)
    yield from _frame_differences(common)
    alike = {clip: pair for clip, pair in common.items() if pair[0].frames == pair[1].frames}
    yield from _pixel_differences('GT', 'gt_crc32', alike)
    yield from _pixel_differences('LR', 'lq_crc32', alike)


def _metric_differences(ours: Mapping[str, Mapping], theirs: Mapping[str, Mapping]) -> Iterator[_Difference]:
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in ours or name not in theirs:
            yield f'metric {name}', _has(name in ours), _has(name in theirs)
            continue
        for key in dict.fromkeys([*ours[name], *theirs[name]]):
            if key == 'better':  # says nothing about the values
                continue
            our, their = (found[name].get(key, 'not given') for found in (ours, theirs))
            if our != their:
                yield f'metric {name}, {key}', our, their


def _has(is_there: bool) -> str:
    return 'has it' if is_there else 'lacks it'


_Pairs = Mapping[str, tuple[ClipRecord, ClipRecord]]


def _format_differences(clips: _Pairs) -> Iterator[_Difference]:
    formats = {clip: (_format(ours), _format(theirs)) for clip, (ours, theirs) in clips.items()}
    unlike = [clip for clip, (our, their) in formats.items() if our != their]
    if unlike:
        yield f'results of clip {unlike[0]}{_and_more(len(unlike), "clip")}', *formats[unlike[0]]


def _format(clip: ClipRecord) -> str:
    return f'{clip.width}x{clip.height} pixels, bands: {clip.bands}, {clip.bit_depth} bit'


def _frame_differences(clips: _Pairs) -> Iterator[_Difference]:
    unlike = {clip: pair for clip, pair in clips.items() if pair[0].frames != pair[1].frames}
    if not unlike:
        return
    clip, (ours, theirs) = next(iter(unlike.items()))
    our, their = (f'{len(one.frames)}, {_alone(one, other) or "in another order"}'
                  for one, other in ((ours, theirs), (theirs, ours)))
    yield f'frames of clip {clip}{_and_more(len(unlike), "clip")}', our, their


def _alone(one: ClipRecord, other: ClipRecord) -> str:
    names = set(other.frames)
    alone = [frame for frame in one.frames if frame not in names]
    if alone:
        return f'alone has {_some(alone)}'
    return '' if set(one.frames) == names else 'none besides'


def _pixel_differences(what: str, field: str, clips: _Pairs) -> Iterator[_Difference]:
    """Checksums of frames that should be the same picture."""
    unlike = [(clip, frame, *sums) for clip, pair in clips.items()
              for frame, *sums in zip(pair[0].frames, *(getattr(one, field) for one in pair), strict=True)
              if sums[0] != sums[1]]
    if unlike:
        clip, frame, ours, theirs = unlike[0]
        yield (f'{what} of clip {clip}, frame {frame}{_and_more(len(unlike), "frame")}',
               f'checksum {ours:08x}', f'{theirs:08x}')


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:_EXAMPLES]) + (f' and {len(names) - _EXAMPLES} more' if len(names) > _EXAMPLES else '')


def _and_more(count: int, noun: str) -> str:
    return '' if count == 1 else f' and {count - 1} more {noun}{"s" if count > 2 else ""}'
