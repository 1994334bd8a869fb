"""Where the LR and GT clips of a data set lie, in any layout of the Jilin-189 release."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.data.jilin189_options import Jilin189Options
from satvsr_plugin.errors import DataError

# The authors' code calls the folders train and eval, the archives of the release training_set and test_set.
TRAIN_FOLDERS = ('', 'train', 'training_set', 'trainset/train', 'trainset/training_set')
TEST_FOLDERS = ('', 'eval', 'test_set', 'testset/eval', 'testset/test_set')


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
        return Roots(options.dataroot_lq, options.dataroot_gt)
    training = options.phase == 'train'
    suffix = '.lmdb' if options.io_backend.type == 'lmdb' else ''
    lq_name, gt_name = f'LR{options.scale}x{suffix}', f'GT{suffix}'
    places = [options.dataroot / folder for folder in (TRAIN_FOLDERS if training else TEST_FOLDERS)]
    for place in places:
        if (place / lq_name).is_dir():
            gt = place / gt_name
            if training and not gt.is_dir():
                raise DataError(f'{place}: {lq_name} is here, but no {gt_name}; training needs GT')
            return Roots(place / lq_name, gt if gt.is_dir() else None)
    script = 'prepare_lmdb.py' if suffix else 'degrade_clips.py'
    raise DataError(f'data set {options.name}: no {lq_name} in any of {", ".join(map(str, places))}; correct dataroot, '
                    f'make {lq_name} with scripts/{script}, or give dataroot_gt and dataroot_lq')
