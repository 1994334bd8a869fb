"""Jilin-189, paired satellite video, for training and testing networks.

Features
    Clips of 100 consecutive RGB frames, 8 bit, 25 frames a second, about 1 m a pixel: GT 640x640, LR 160x160
    (MATLAB's bicubic ``imresize``, scale 4).
Splits
    189 training clips (000 to 188) cut from eight Jilin-1 videos, and 10 to 12 test clips (000 to 011) cut from
    two others.
Source
    https://zenodo.org/records/6969604
Citation
    Xiao et al., "Satellite Video Super-Resolution via Multiscale Deformable Convolution Alignment and Temporal
    Grouping Projection", IEEE Transactions on Geoscience and Remote Sensing, 2022.

Any other paired clips will do: any number of folders, any frame names that sort, unequal lengths and sizes, grey,
RGB or more bands, 8 or 16 bit.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from basicsr.utils.registry import DATASET_REGISTRY
from torch.utils.data import Dataset

from satvsr_plugin.data.augment import Patch, SampleRandom, to_tensor
from satvsr_plugin.data.clip_source import frame_key
from satvsr_plugin.data.flow_files import FlowFiles
from satvsr_plugin.data.jilin189_options import (
    Jilin189RecurrentOptions,
    Jilin189TestOptions,
    Jilin189TrainOptions,
    Options,
    PatchOptions,
    WindowOptions,
    parse_options,
)
from satvsr_plugin.data.roots import open_pairs
from satvsr_plugin.data.windows import window_indices, window_length

TrainOptions = TypeVar('TrainOptions', bound=PatchOptions)


class _PairedClips(Dataset[dict[str, Any]], Generic[Options]):
    """What all data sets have in common: checked clips, and an item for every frame that was chosen.

    Attributes:
        frames: clip and index in the clip of each item's centre frame, or first frame.
        channels: bands of all frames.
        flows: optical flow of every centre frame, where ``flow_root`` was given.
    """

    options_type: type[Options]
    gt_of_all_frames = False  # else of the centre frame

    def __init__(self, opt: dict[str, Any]) -> None:
        self.opt = opt
        self.options = parse_options(self.options_type, opt)
        self.pairs, self.frames = open_pairs(self.options)
        self.channels = self.pairs.lq.format(self.frames[0][0]).channels
        self.flows: FlowFiles | None = None
        if isinstance(self.options, WindowOptions) and self.options.flow_root:
            self.flows = FlowFiles(self.options.flow_root, self.pairs.lq, self.options.num_frame)
            self.flows.check(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


class _TrainingPatches(_PairedClips[TrainOptions]):
    """What training sets have in common: patches at a random place, flipped, transposed and reversed at random."""

    def _draw_patch(self, clip: str, rng: SampleRandom) -> Patch:
        options = self.options
        return Patch.draw(rng, self.pairs.lq.format(clip), options.gt_size // options.scale,
                          flip=options.use_flip, rotate=options.use_rot)

    def _read(self, clip: str, lq: list[int], gt: list[int], patch: Patch) -> tuple[np.ndarray, np.ndarray]:
        """The same patch of LR frames and of GT frames: (t, c, h, w) and (t', c, scale * h, scale * w)."""
        options, pairs = self.options, self.pairs
        assert pairs.gt is not None  # the options ask for it
        lq_names, gt_names = ([source.clips[clip][i] for i in indices]
                              for source, indices in ((pairs.lq, lq), (pairs.gt, gt)))
        return patch.cut(pairs.lq, clip, lq_names), patch.cut(pairs.gt, clip, gt_names, options.scale)

    def _draw_interval(self, rng: SampleRandom) -> int:
        intervals = self.options.interval_list
        return intervals[rng.below(len(intervals))]

    def _draw_direction(self, rng: SampleRandom) -> int:
        """The step through time: 1 or -1."""
        return -1 if self.options.random_reverse and rng.coin() else 1

    def _key(self, clip: str, index: int) -> str:
        return f'{clip}/{frame_key(self.pairs.lq.clips[clip][index])}'


@DATASET_REGISTRY.register()
class Jilin189Dataset(_TrainingPatches[Jilin189TrainOptions]):
    """Training windows: every frame of every clip is the centre of one, cut to a random patch.

    Args:
        opt: the ``train`` block of an option file, see :class:`Jilin189TrainOptions`.

    Attributes:
        channels: bands of all frames.

    Raises:
        OptionError: lists all options that are wrong.
        DataError: lists all clips, frames and flow files that are missing or do not fit.
    """

    options_type = Jilin189TrainOptions

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A training sample; patch, flips, interval and direction of time are drawn anew at each call.

        Returns:
            ``lq`` (t, c, h, w) and ``gt`` (c, scale * h, scale * w), float32 RGB in [0, 1]; ``key`` 'clip/frame'; with
            ``flow_root`` ``flows`` (t - 1, 2, h, w) from the centre frame to its neighbours, see ``flow_files``.

        Raises:
            DataError: a frame or its flow is damaged, or unlike the others of its clip.
        """
        options, (clip, centre) = self.options, self.frames[index]
        rng = SampleRandom()
        window = window_indices(centre, len(self.pairs.lq.clips[clip]), options.num_frame, options.padding,
                                self._draw_interval(rng))
        direction, patch = self._draw_direction(rng), self._draw_patch(clip, rng)
        lq, gt = self._read(clip, window[::direction], [centre], patch)
        sample = {'lq': to_tensor(lq), 'gt': to_tensor(gt[0]), 'key': self._key(clip, centre)}
        if self.flows:
            sample['flows'] = torch.from_numpy(self.flows.read(clip, centre, patch)[::direction].copy())
        return sample


@DATASET_REGISTRY.register()
class Jilin189RecurrentDataset(_TrainingPatches[Jilin189RecurrentOptions]):
    """Training segments with GT for all of their frames: for recurrent networks, and for losses on neighbours.

    Every frame of every clip begins a segment; where the clip ends too early, the segment begins at a random frame,
    as in BasicSR's ``REDSRecurrentDataset``. Works with the toolbox's ``VideoRecurrentModel`` and its networks
    (BasicVSR, IconVSR, BasicVSR++).

    Args:
        opt: the ``train`` block of an option file, see :class:`Jilin189RecurrentOptions`.

    Attributes:
        channels: bands of all frames.

    Raises:
        OptionError: lists all options that are wrong.
        DataError: lists all clips and frames that are missing or do not fit.
    """

    options_type = Jilin189RecurrentOptions
    gt_of_all_frames = True

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A training segment; patch, flips, interval, direction of time and late starts are drawn at each call.

        Returns:
            ``lq`` (t, c, h, w) and ``gt`` (t, c, scale * h, scale * w), float32 RGB in [0, 1]; ``key`` 'clip/frame',
            the earliest frame.

        Raises:
            DataError: a frame is damaged or unlike the other frames of its clip.
        """
        clip, start = self.frames[index]
        rng = SampleRandom()
        interval, num_frame = self._draw_interval(rng), self.options.num_frame
        latest = len(self.pairs.lq.clips[clip]) - window_length(num_frame, interval)
        if start > latest:
            start = rng.below(latest + 1)
        segment = [start + interval * i for i in range(num_frame)][::self._draw_direction(rng)]
        lq, gt = self._read(clip, segment, segment, self._draw_patch(clip, rng))
        return {'lq': to_tensor(lq), 'gt': to_tensor(gt), 'key': self._key(clip, start)}


@DATASET_REGISTRY.register()
class Jilin189TestDataset(_PairedClips[Jilin189TestOptions]):
    """Test windows: every frame of every clip in full size, with or without GT.

    Args:
        opt: a ``val`` or ``test`` block of an option file, see :class:`Jilin189TestOptions`.

    Attributes:
        data_info: as the toolbox's ``VideoTestDataset`` has it: lists ``folder``, ``lq_path``, ``idx``, ``border``
            with an entry for each item, and ``gt_path`` where there is GT.
        channels: bands of all frames.

    Raises:
        OptionError: lists all options that are wrong.
        DataError: lists all clips, frames and flow files that are missing or do not fit.
    """

    options_type = Jilin189TestOptions

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        if self.pairs.gt is None:
            logging.getLogger('basicsr').warning('Data set %s has no GT: frames are super-resolved, not scored.',
                                                 self.options.name)
        self.data_info = self._describe_items()
        self._window_clip = ''
        self._window: dict[int, torch.Tensor] = {}

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A window round a frame of a clip.

        Returns:
            ``lq`` (t, c, h, w) and, where there is GT, ``gt`` (c, scale * h, scale * w), float32 RGB in [0, 1];
            ``folder`` the clip; ``idx`` 'i/n', the i-th of n frames of this clip in the data set; ``border`` 1 where
            the window reaches beyond the clip, else 0; ``lq_path`` 'clip/frame.png' of the centre frame;
            ``bit_depth`` 8 or 16, of the frames on disk; with ``flow_root`` ``flows`` (t - 1, 2, h, w) from the centre
            frame to its neighbours, see ``flow_files``.

        Raises:
            DataError: a frame or its flow is damaged, or unlike the others of its clip.
        """
        clip, centre = self.frames[index]
        item = {'lq': self._read_window(clip, centre)}
        if self.pairs.gt is not None:
            item['gt'] = to_tensor(self.pairs.read_gt(clip, centre).transpose(2, 0, 1))
        if self.flows:
            item['flows'] = torch.from_numpy(self.flows.read(clip, centre))
        item |= {key: self.data_info[key][index] for key in ('folder', 'idx', 'border', 'lq_path')}
        return {**item, 'bit_depth': self.pairs.lq.format(clip).bit_depth}

    def _read_window(self, clip: str, centre: int) -> torch.Tensor:
        """(t, c, h, w) window; frames that it shares with the one read before are not decoded again."""
        window = window_indices(centre, len(self.pairs.lq.clips[clip]), self.options.num_frame, self.options.padding)
        known = self._window if clip == self._window_clip else {}
        self._window = {i: known[i] if i in known else to_tensor(self.pairs.read_lq(clip, i).transpose(2, 0, 1))
                        for i in set(window)}
        self._window_clip = clip
        return torch.stack([self._window[i] for i in window])

    def _describe_items(self) -> dict[str, list[Any]]:
        """Columns of ``data_info``."""
        totals, seen = Counter(clip for clip, _ in self.frames), Counter[str]()
        info: dict[str, list[Any]] = {key: [] for key in ('folder', 'lq_path', 'idx', 'border')}
        half = self.options.num_frame // 2
        for clip, centre in self.frames:
            frames = self.pairs.lq.clips[clip]
            info['folder'].append(clip)
            info['lq_path'].append(f'{clip}/{frames[centre]}')
            info['idx'].append(f'{seen[clip]}/{totals[clip]}')
            info['border'].append(int(not half <= centre < len(frames) - half))
            seen[clip] += 1
        if self.pairs.gt is not None:
            info['gt_path'] = [f'{clip}/{self.pairs.gt.clips[clip][centre]}' for clip, centre in self.frames]
        return info
