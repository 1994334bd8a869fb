"""What the toolbox's own code reads from an option file (BasicSR 1.4.2: train.py, test.py, data/, models/)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from satvsr_plugin.models.model_options import Count

PositiveCount = Annotated[Count, Field(gt=0)]
Section = dict[str, Any]


class _Closed(BaseModel):
    """A section that the toolbox alone reads."""

    model_config = ConfigDict(strict=True, extra='forbid', allow_inf_nan=False, protected_namespaces=())


class _Open(BaseModel):
    """A section to which data sets, networks and models of any package may add their own keys."""

    model_config = ConfigDict(strict=True, extra='allow', allow_inf_nan=False, protected_namespaces=())


class WandbOptions(_Closed):
    """``logger.wandb``."""

    project: str | None = None
    resume_id: str | None = None


class LoggerOptions(_Closed):
    """The ``logger`` section."""

    print_freq: PositiveCount
    save_checkpoint_freq: PositiveCount
    keep_checkpoints: PositiveCount | None = None  # read by our model: the last ones only; None: all
    use_tb_logger: bool
    wandb: WandbOptions | None = None


class DistOptions(_Closed):
    """The ``dist_params`` section, which ``--launcher slurm`` reads."""

    backend: str = 'nccl'
    port: int | None = None


class FileOptions(_Open):
    """The keys of an option file."""

    name: str = Field(min_length=1)
    model_type: str
    num_gpu: Annotated[int, Field(ge=0)] | Literal['auto']
    scale: Annotated[int, Field(gt=0)] | None = None
    manual_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    find_unused_parameters: bool = False
    datasets: dict[str, Section]
    network_g: Section
    path: Section
    train: Section | None = None
    val: Section | None = None
    logger: LoggerOptions | None = None
    dist_params: DistOptions | None = None


class TrainFileOptions(FileOptions):
    """An option file for training."""

    train: Section
    logger: LoggerOptions


class EvalFileOptions(FileOptions):
    """An option file for testing; its ``logger`` is not read."""

    val: Section
    logger: Any = None


class DatasetOptions(_Open):
    """What every entry of ``datasets`` needs."""

    name: str = Field(min_length=1)
    type: str
    pin_memory: bool = False
    persistent_workers: bool = False
    prefetch_mode: Literal['cpu', 'cuda'] | None = None
    num_prefetch_queue: Annotated[int, Field(gt=0)] = 1


class TrainDatasetOptions(DatasetOptions):
    """What ``datasets.train`` needs."""

    batch_size_per_gpu: int = Field(gt=0)
    num_worker_per_gpu: int = Field(ge=0)
    dataset_enlarge_ratio: float = Field(default=1, gt=0, le=100_000)  # the sampler makes a list of all samples


class OptimizerOptions(_Open):
    """``train.optim_g`` and others."""

    type: str
    lr: float = Field(gt=0)
    betas: list[Annotated[float, Field(ge=0, lt=1)]] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    weight_decay: float = Field(default=0, ge=0)


class MultiStepOptions(_Closed):
    """``train.scheduler`` of type ``MultiStepLR`` or ``MultiStepRestartLR``."""

    type: str
    milestones: list[PositiveCount]
    gamma: float = Field(default=0.1, gt=0)
    restarts: list[Count] = [0]
    restart_weights: list[float] = [1]

    @model_validator(mode='after')
    def _equal_length(self) -> MultiStepOptions:
        _one_weight_each('restarts', self.restarts, self.restart_weights)
        return self


class CosineOptions(_Closed):
    """``train.scheduler`` of type ``CosineAnnealingRestartLR``."""

    type: str
    periods: list[PositiveCount] = Field(min_length=1)
    restart_weights: list[float] = [1]
    eta_min: float = Field(default=0, ge=0)

    @model_validator(mode='after')
    def _equal_length(self) -> CosineOptions:
        _one_weight_each('periods', self.periods, self.restart_weights)
        return self


def _one_weight_each(name: str, values: list[int], weights: list[float]) -> None:
    if len(values) != len(weights):
        raise ValueError(f'{name} has {len(values)} entries and restart_weights {len(weights)}; '
                         'give one weight for each')


SCHEDULERS: dict[str, type[_Closed]] = {
    'MultiStepLR': MultiStepOptions,
    'MultiStepRestartLR': MultiStepOptions,
    'CosineAnnealingRestartLR': CosineOptions,
}


class ForeignTrainOptions(_Open):
    """The ``train`` section of a model that does not say what it reads."""

    total_iter: PositiveCount
    warmup_iter: Count = -1
    optim_g: Section
    scheduler: Section


class ForeignValOptions(_Open):
    """The ``val`` section of a model that does not say what it reads."""

    val_freq: PositiveCount | None = None
    save_img: bool = False
    suffix: str | None = None
    metrics: dict[str, Section] | None = None
