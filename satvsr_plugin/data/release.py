"""What the Jilin-189 release looks like: names of its folders, and how many frames of which size it has.

Source: the papers of the data set (IGARSS 2021 and 2022) and the code of those who work with it. The number of test
clips differs between them: 10 in MSDTGP, 12 in MADNet.
"""

from __future__ import annotations

from typing import NamedTuple

from satvsr_plugin.data.frame_format import FrameFormat

# Folders below dataroot that hold GT and LR4x, in the order in which they are looked for. The authors' code calls
# them train and eval, the archives of the release training_set and test_set.
TRAIN_FOLDERS = ('', 'train', 'training_set', 'trainset/train', 'trainset/training_set')
TEST_FOLDERS = ('', 'eval', 'test_set', 'testset/eval', 'testset/test_set')


class ReleasedPart(NamedTuple):
    """The training or the test part of the release."""

    folders: tuple[str, ...]
    clips: range


PARTS = {'train': ReleasedPart(TRAIN_FOLDERS, range(189, 190)), 'test': ReleasedPart(TEST_FOLDERS, range(10, 13))}
FRAMES = 100  # in every clip
SCALE = 4
GT_FORMAT = FrameFormat(640, 640, 3, 8)
LR_FORMAT = FrameFormat(160, 160, 3, 8)
