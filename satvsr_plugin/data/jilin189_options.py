"""Options of the Jilin-189 data sets: the ``datasets`` block of an option file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from satvsr_plugin.data.clips import Backend
from satvsr_plugin.data.windows import Padding, window_length
from satvsr_plugin.errors import OptionError
from satvsr_plugin.option_sentences import problems_of_section


def _to_path(value: object) -> object:
    return Path(os.path.expanduser(value)) if isinstance(value, str) and value else value


UserPath = Annotated[Path, BeforeValidator(_to_path)]
Positive = Annotated[int, Field(ge=1)]


class IoBackend(BaseModel):
    """The toolbox's ``io_backend`` block."""

    model_config = ConfigDict(strict=True, extra='forbid')

    type: Backend = Field(description='disk: folders of frames; lmdb: made by scripts/prepare_lmdb.py')


class Jilin189Options(BaseModel):
    """What the data sets have in common, with the keys that the toolbox itself reads."""

    model_config = ConfigDict(strict=True, extra='forbid')

    name: str = Field(description='name of the data set in logs and results')
    type: str = Field(description='class of the data set')
    scale: Positive = Field(description='GT size over LR size; the toolbox copies it from the top of the file')
    io_backend: IoBackend = Field(IoBackend(type='disk'), description='where the frames lie')
    dataroot: UserPath | None = Field(None, description='folder with GT and LR{scale}x, or with the folders of the '
                                      'release (train, training_set, eval, test_set) that hold them')
    dataroot_gt: UserPath | None = Field(None, description='GT clips, instead of dataroot')
    dataroot_lq: UserPath | None = Field(None, description='LR clips, instead of dataroot')
    meta_info_file: UserPath | None = Field(None, description='list of the centre frames to use, clip/frame.png or '
                                            'clip a line; all frames without it')
    clips: list[str] | None = Field(None, min_length=1, description='names of the clips to use; all without it')
    num_frame: Positive = Field(5, description='frames in a sample')
    retry_seconds: float = Field(120, ge=0, allow_inf_nan=False, description='how long a run waits for frames that '
                                 'went away, e.g. with a network drive, before it ends; 0: not at all')

    num_worker_per_gpu: int | None = Field(None, ge=0, description='the toolbox\'s: loader processes; for '
                                           'validation and test our model starts them, 2 without it')
    batch_size_per_gpu: Positive | None = Field(None, description='the toolbox\'s: samples in a batch')
    use_shuffle: bool | None = Field(None, description='the toolbox\'s: it shuffles in any case')
    dataset_enlarge_ratio: float = Field(1, gt=0, description='the toolbox\'s: how often an epoch shows each sample')
    prefetch_mode: Literal['cpu', 'cuda'] | None = Field(None, description='the toolbox\'s: how to prefetch batches')
    num_prefetch_queue: Positive = Field(1, description='the toolbox\'s: batches in the queue of prefetch_mode cpu')
    pin_memory: bool = Field(False, description='the toolbox\'s: page-locked batches for faster copies to a GPU')
    persistent_workers: bool = Field(False, description='the toolbox\'s: keep loader processes between epochs')

    @model_validator(mode='after')
    def _chooses_frames_once(self) -> Jilin189Options:
        if self.clips and self.meta_info_file:
            raise ValueError('give either clips or meta_info_file, not both')
        return self

    @model_validator(mode='after')
    def _names_clips_once(self) -> Jilin189Options:
        if self.dataroot and (self.dataroot_gt or self.dataroot_lq):
            raise ValueError('give either dataroot, or dataroot_gt and dataroot_lq, not both')
        if not self.dataroot and not self.dataroot_lq:
            raise ValueError('no clips; give dataroot, or dataroot_gt and dataroot_lq')
        return self


    @property
    def shortest_clip(self) -> int:
        """Frames that a clip must have."""
        return window_length(self.num_frame)

    @property
    def smallest_gt(self) -> int:
        """Pixels that a GT frame must have in both directions."""
        return 1


class WindowOptions(Jilin189Options):
    """What data sets of temporal windows have in common; ``num_frame`` is the length of the window, odd."""

    padding: Padding = Field('center', description='what stands for a neighbour missing at a clip\'s end')
    flow_root: UserPath | None = Field(None, description='folder of optical flow that scripts/estimate_flow.py made of '
                                       'the LR clips; samples then hold it, for networks that take flows')

    @field_validator('num_frame')
    @classmethod
    def _is_odd(cls, num_frame: int) -> int:
        if num_frame % 2 == 0:
            raise ValueError(f'{num_frame} is even, but the centre frame needs as many neighbours before it as after '
                             'it; use an odd number')
        return num_frame

    @model_validator(mode='after')
    def _has_the_windows_of_its_flow(self) -> WindowOptions:
        if self.flow_root and self.padding != 'center':
            raise ValueError(f'flow_root needs padding: center, not {self.padding}, since at the ends of clips the '
                             'files hold the flow to the centre frame')
        return self


class PatchOptions(Jilin189Options):
    """What training sets have in common."""

    phase: Literal['train'] = Field('train', description='set by the toolbox from the name of the block')
    gt_size: Positive = Field(description='side of the GT patches in pixels, a multiple of scale')
    interval_list: list[Positive] = Field([1], min_length=1, description='distances between neighbouring frames; each '
                                          'sample draws one')
    random_reverse: bool = Field(False, description='reverse the frames in time with probability 1/2')
    use_flip: bool = Field(True, description='flip horizontally and vertically, each with probability 1/2')
    use_rot: bool = Field(False, description='transpose with probability 1/2; with use_flip, all quarter turns')

    @property
    def shortest_clip(self) -> int:
        return window_length(self.num_frame, max(self.interval_list))

    @property
    def smallest_gt(self) -> int:
        return self.gt_size

    @field_validator('gt_size')
    @classmethod
    def _fits_scale(cls, gt_size: int, info: ValidationInfo) -> int:
        scale = info.data.get('scale', 1)
        if gt_size % scale:
            raise ValueError(f'{gt_size} is not a multiple of scale {scale}; use {gt_size // scale * scale or scale}')
        return gt_size

    @model_validator(mode='after')
    def _has_gt(self) -> PatchOptions:
        if not self.dataroot and not self.dataroot_gt:
            raise ValueError('no GT; training needs dataroot_gt beside dataroot_lq')
        return self


class Jilin189TrainOptions(WindowOptions, PatchOptions):
    """Options of :class:`~satvsr_plugin.data.jilin189_dataset.Jilin189Dataset`."""

    @model_validator(mode='after')
    def _has_the_interval_of_its_flow(self) -> Jilin189TrainOptions:
        if self.flow_root and set(self.interval_list) != {1}:
            raise ValueError(f'flow_root needs interval_list: [1], not {self.interval_list}, since the files hold the '
                             'flow to the frames next to one another')
        return self


class Jilin189RecurrentOptions(PatchOptions):
    """Options of :class:`~satvsr_plugin.data.jilin189_dataset.Jilin189RecurrentDataset`."""

    num_frame: Positive = Field(15, description='frames in a segment')


class Jilin189TestOptions(WindowOptions):
    """Options of :class:`~satvsr_plugin.data.jilin189_dataset.Jilin189TestDataset`."""

    phase: Literal['val', 'test'] = Field('test', description='set by the toolbox from the name of the block')


Options = TypeVar('Options', bound=Jilin189Options)


def parse_options(options_type: type[Options], opt: dict[str, Any]) -> Options:
    """Check the toolbox's dictionary of options.

    Raises:
        OptionError: lists every option that is unknown, missing or wrong.
    """
    problems = problems_of_section(options_type, opt)
    if problems:
        lines = [f'  - {": ".join(filter(None, problem))}' for problem in problems]
        raise OptionError('\n'.join([f'data set {opt.get("name", "without name")}:', *lines]))
    return options_type.model_validate(opt)
