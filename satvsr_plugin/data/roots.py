"""Finding and opening the LR and GT clips of a data set, in any layout of the Jilin-189 release."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.data.clips import open_clips
from satvsr_plugin.data.jilin189_options import Jilin189Options, PatchOptions
from satvsr_plugin.data.pairs import ClipPairs, read_frame_list
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.data.release import TEST_FOLDERS, TRAIN_FOLDERS
from satvsr_plugin.data.retry import Retry
from satvsr_plugin.errors import DataError


class Roots(NamedTuple):
    """Folders of clips or LMDBs; no ``gt`` where there is none."""

    lq: Path
    gt: Path | None


def resolve_roots(options: Jilin189Options) -> Roots:
    """Find the LR and GT clips that the options ask for.

    Raises:
        DataError: ``dataroot`` holds no LR clips of this scale, or no GT for training.
    """
    if options.dataroot is None:
        assert options.dataroot_lq is not None  # without both, the options are refused
        return Roots(options.dataroot_lq, options.dataroot_gt)
    training = isinstance(options, PatchOptions)
    suffix = '.lmdb' if options.io_backend.type == 'lmdb' else ''
    lq_name, gt_name = f'LR{options.scale}x{suffix}', f'GT{suffix}'
    places = [options.dataroot / folder for folder in (TRAIN_FOLDERS if training else TEST_FOLDERS)]
    for place in places:
        if os.path.isdir(place / lq_name):
            gt = place / gt_name
            if training and not os.path.isdir(gt):
                raise DataError(f'{place}: {lq_name} is here, but no {gt_name}; training needs GT')
            return Roots(place / lq_name, gt if os.path.isdir(gt) else None)
    script = 'prepare_lmdb.py' if suffix else 'degrade_clips.py'
    raise DataError(f'data set {options.name}: no {lq_name} in any of {", ".join(map(str, places))}; correct dataroot, '
                    f'make {lq_name} with scripts/{script}, or give dataroot_gt and dataroot_lq')


def open_pairs(options: Jilin189Options) -> tuple[ClipPairs, list[tuple[str, int]]]:
    """Open and check the clips that the options ask for.

    Returns:
        The clips, and the centre frames to use as (clip, index of the frame in the clip).

    Raises:
        DataError: something is missing or does not fit; lists all of it.
    """
    roots = resolve_roots(options)
    lq = open_clips(roots.lq, options.io_backend.type)
    gt = open_clips(roots.gt, options.io_backend.type) if roots.gt else None
    pairs = ClipPairs(lq, gt, options.scale)
    chosen: Mapping[str, Sequence[int]]
    if options.meta_info_file:
        chosen = read_frame_list(options.meta_info_file, lq)
        pairs.check(chosen, options.shortest_clip, options.smallest_gt)
    elif options.clips:
        raise_problems(str(lq.root), [f'clip {clip}: there is none' for clip in options.clips if clip not in lq.clips])
        chosen = {clip: range(len(lq.clips[clip])) for clip in options.clips}
        pairs.check(chosen, options.shortest_clip, options.smallest_gt)
    else:
        pairs.check(pairs.clips, options.shortest_clip, options.smallest_gt)
        chosen = {clip: range(len(frames)) for clip, frames in lq.clips.items()}
    for source in filter(None, (lq, gt)):  # from now on: what is missing at the start is told at once
        source.retry = Retry(options.retry_seconds)
    return pairs, [(clip, index) for clip, indices in chosen.items() for index in indices]
