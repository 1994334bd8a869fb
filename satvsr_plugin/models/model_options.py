"""What ``SatVSRModel`` reads from the ``train`` and ``val`` sections of an option file.

The option check validates the sections with these classes before anything is created, the model takes its
defaults from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from satvsr_plugin.acceleration.paths import PathName


def _whole(value: Any) -> Any:
    """``!!float 5e3``, the toolbox's way to write counts, is the whole number 5000."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, BeforeValidator(_whole)]


class TrainOptions(BaseModel):
    """The ``train`` section."""

    model_config = ConfigDict(strict=True, extra='forbid', allow_inf_nan=False)

    total_iter: Count = Field(gt=0, description='number of training steps')
    warmup_iter: Count = Field(default=-1, ge=-1, description='steps over which the learning rate rises; -1: none')
    ema_decay: float = Field(default=0, ge=0, lt=1, description='decay of the averaged weights; 0: no averaging')
    optim_g: dict[str, Any] = Field(description='optimizer: type, lr and its other arguments')
    scheduler: dict[str, Any] = Field(description='learning rate: type and its other arguments')
    pixel_opt: dict[str, Any] | None = Field(default=None, description='loss on pixels: type and its arguments')
    perceptual_opt: dict[str, Any] | None = Field(default=None, description='loss on VGG features')
    amp: Literal['none', 'fp16', 'bf16'] = Field(default='none', description='mixed precision')
    channels_last: bool = Field(default=False, description='keep weights and features with the channels innermost')
    compile: bool = Field(default=False, description='torch.compile of the network')
    checkpointing: bool = Field(default=False, description='compute activations of blocks again in the backward pass '
                                                           'instead of keeping them: half the memory or less')
    kept_memory: bool = Field(default=True, description='on a CPU: keep freed memory for the next tensors')
    grad_clip_norm: float | None = Field(default=None, gt=0, description='largest norm of the gradient')
    aux_opt: dict[str, Any] | None = Field(default=None, description="loss on a network's extra outputs")
    dcn_offset_lr_mul: float = Field(default=1.0, gt=0, description="factor on the offset layers' learning rate")
    flow_lr_mul: float = Field(default=1.0, gt=0, description="factor on the flow network's learning rate")
    fix_flow: Count | None = Field(default=None, gt=0, description='steps in which the flow network does not learn')
    tsa_iter: Count | None = Field(default=None, gt=0, description="steps in which only EDVR's fusion learns")


class ValOptions(BaseModel):
    """The ``val`` section, of training (validation) and of testing."""

    model_config = ConfigDict(strict=True, extra='forbid', allow_inf_nan=False)

    val_freq: Count | None = Field(default=None, gt=0, description='steps from one validation to the next')
    save_img: bool = Field(default=False, description='save the pictures')
    suffix: str | None = Field(default=None, description="end of the pictures' names; default: the experiment's name")
    pbar: bool = Field(default=True, description='show a progress bar')
    metrics: dict[str, dict[str, Any]] | None = Field(default=None, description='name: {type: metric, arguments}')
    best_metric: str | None = Field(default=None, description='metric that chooses the best checkpoint; '
                                                              'default: the first')
    fast: Literal['auto', 'none'] | list[PathName] = Field(default='auto', description='fast paths in tests: auto, '
                                                                                      'none, or names of some')
    segment_length: Count | None = Field(default=None, gt=0, description='frames that a network of whole clips gets at '
                                         'once; default: all that memory holds')
    segment_overlap: int = Field(default=5, ge=0, description='frames before and after a segment that it also sees')

    @model_validator(mode='after')
    def _has_frames_of_its_own(self) -> ValOptions:
        if self.segment_length and self.segment_length <= 2 * self.segment_overlap:
            raise ValueError(f'segment_length {self.segment_length} is not more than twice segment_overlap '
                             f'{self.segment_overlap}, so no frame would be left; raise the one or lower the other')
        return self
