"""What is written beside the clips, and what is said when there are none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from satvsr_plugin.data.extraction.cutter import CUT, NODATA, TEXTURE, Clip, Cuttings, Skipped
from satvsr_plugin.data.extraction.grid import Window
from satvsr_plugin.data.extraction.options import ExtractionOptions, Moment
from satvsr_plugin.data.video import Video

RECORD = 'extraction.json'
FRAME_LIST = 'meta_info.txt'  # as the data sets' option meta_info_file
REASONS = (TEXTURE, CUT, NODATA)


def count_reasons(cuttings: Sequence[Cuttings]) -> dict[str, int]:
    """How many windows were left out for each reason."""
    found = Counter(window.reason for cut in cuttings for window in cut.skipped)
    return {reason: found[reason] for reason in REASONS}


def write_list(folder: Path, gt: str) -> None:
    """Write the list of all frames below ``folder/gt``, ``clip/frame.png`` a line."""
    frames = sorted((folder / gt).glob('*/*.png'))
    lines = [f'{path.parent.name}/{path.name}\n' for path in frames]
    (folder / FRAME_LIST).write_text(''.join(lines), encoding='utf-8')


def write_record(
    folder: Path, videos: Sequence[Video], cuttings: Sequence[Cuttings], options: ExtractionOptions
) -> None:
    """Write where every clip is from, and why windows were left out, as JSON."""
    content = {
        'options': {name: str(value) if isinstance(value, Moment) else value
                    for name, value in vars(options).items()},
        'videos': [_describe_video(*pair) for pair in zip(videos, cuttings, strict=False)],
        'clips': {clip.folder.name: _describe_clip(clip) for cut in cuttings for clip in cut.clips},
        'skipped': [_describe_skipped(window) for cut in cuttings for window in cut.skipped],
    }
    (folder / RECORD).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def explain_no_clips(cuttings: Sequence[Cuttings], options: ExtractionOptions, bit_depth: int) -> str:
    """Why nothing could be cut, with the numbers that were measured, and what to change."""
    skipped = [window for cut in cuttings for window in cut.skipped]
    measured = {reason: [window.measured for window in skipped if window.reason == reason] for reason in REASONS}
    lines = [f'no clip can be cut: all {len(skipped)} windows were left out']
    if measured[TEXTURE]:
        lines.append(f'  - {len(measured[TEXTURE])} for lack of texture: of these the richest has '
                     f'{max(measured[TEXTURE]):.2f} grey levels, --min-texture is {options.min_texture:g}; lower it')
        brightest = max(cut.brightest for cut in cuttings)
        white = options.data_range or 2**bit_depth - 1
        if brightest < white / 4:
            lines.append(f'    the largest value is {brightest}, but white is {white}; name the real one, '
                         f'e.g. --data-range {2 ** brightest.bit_length() - 1}')
    if measured[CUT]:
        lines.append(f'  - {len(measured[CUT])} for scene cuts: the smallest change is {min(measured[CUT]):.2f}, '
                     f'--cut-threshold is {options.cut_threshold:g}; raise it, or make clips shorter (--frames)')
    if measured[NODATA]:
        lines.append(f'  - {len(measured[NODATA])} for places without data; make windows smaller (--size)')
    return '\n'.join(lines)


def _describe_video(video: Video, cut: Cuttings) -> dict[str, Any]:
    return {'source': video.name, **video.format._asdict(), 'fps': video.fps, 'frames_read': cut.frames,
            'remarks': list(video.remarks)}


def _describe_clip(clip: Clip) -> dict[str, Any]:
    return {**_describe_place(clip.source, clip.first_frame, clip.window), 'first_frame_name': clip.first_name,
            'texture': round(clip.texture, 3)}


def _describe_skipped(skipped: Skipped) -> dict[str, Any]:
    return {**_describe_place(skipped.source, skipped.first_frame, skipped.window), 'reason': skipped.reason,
            'frame': skipped.frame, 'measured': round(skipped.measured, 6)}


def _describe_place(source: str, first_frame: int, window: Window) -> dict[str, Any]:
    return {'source': source, 'first_frame': first_frame, **window._asdict()}
