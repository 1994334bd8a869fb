"""The video model: trains, validates, tests, saves and resumes networks for video super-resolution."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from basicsr.losses import build_loss
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import MODEL_REGISTRY
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.data.sampling import random_states_kept
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.models.losses import Losses
from satvsr_plugin.models.model_options import TrainOptions, ValOptions
from satvsr_plugin.models.numerical_faults import NumericalFaults
from satvsr_plugin.models.offset_watch import OffsetWatch
from satvsr_plugin.models.parameter_groups import Waiting, parameter_groups
from satvsr_plugin.models.resumable_model import ResumableModel
from satvsr_plugin.models.scores import Scores
from satvsr_plugin.models.validation import Validation
from satvsr_plugin.test_record import WeightsRecord
from satvsr_plugin.weights import crc32_of, load_checkpoint, load_into

AMP_DTYPES = {'none': None, 'fp16': torch.float16, 'bf16': torch.bfloat16}


@MODEL_REGISTRY.register()
class SatVSRModel(ResumableModel):
    """Video super-resolution on any device, driven by the toolbox's training and test loops.

    It takes networks of all kinds: of windows, of whole clips, of still images; what a network wants to be given it
    says itself (:class:`satvsr_plugin.archs.interface.InputSpec`). On top of the toolbox's ``VideoBaseModel``: CPU,
    mixed precision, gradient clipping, learning rates of their own for deformable offsets and optical flow, losses
    on a network's extra outputs, several validation sets with or without GT, pictures during training, scores as
    CSV, the best checkpoint, and checkpoints that are never half-written. Its options are in ``model_options``.

    Attributes:
        spec: what the network wants to be given.
        weights: the file that the network's weights came from; None without one.
    """

    train_options = TrainOptions
    val_options = ValOptions

    def __init__(self, opt: dict[str, Any]) -> None:
        self.val_opt = ValOptions.model_validate(opt.get('val') or {})
        self.weights: WeightsRecord | None = None
        super().__init__(opt)

    @cached_property
    def spec(self) -> InputSpec:
        # Of a network that nobody knows, a window of any length.
        return input_spec(self.get_bare_model(self.net_g)) or InputSpec(self.opt['scale'])

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """As the toolbox; besides, processes without GPUs, and networks such as ``Bicubic`` that have no weights."""
        if self.opt['dist'] and not any(p.requires_grad for p in net.parameters()):
            return net.to(self.device)  # nothing to keep equal between processes, and torch refuses to
        if self.opt['dist'] and self.device.type == 'cpu':
            return DistributedDataParallel(net, find_unused_parameters=self.opt.get('find_unused_parameters', False))
        return super().model_to_device(net)

    def feed_data(self, data: dict[str, Any]) -> None:
        """Take a batch: ``lq`` (b, t, c, h, w), ``gt`` of the centre frame or of all, what else the network takes."""
        super().feed_data(data)
        self.inputs = {name: data[name].to(self.device) for name in self.spec.takes if name in data}

    # ----------------------------------------------------------------------------------------------- training
    def init_training_settings(self) -> None:
        self.train_opt = TrainOptions.model_validate(self.opt['train'])
        self.amp_dtype = AMP_DTYPES[self.train_opt.amp]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.train_opt.amp == 'fp16')
        self.faults = NumericalFaults(self.get_bare_model(self.net_g), self.opt['path']['models'])
        if self.train_opt.channels_last:
            self.net_g.to(memory_format=torch.channels_last)
        super().init_training_settings()
        aux = build_loss(self.train_opt.aux_opt).to(self.device) if self.train_opt.aux_opt else None
        self.losses = Losses(self.spec, self.cri_pix, self.cri_perceptual, aux)
        self.waiting = Waiting(self.net_g, self.train_opt)
        self.offset_watch = OffsetWatch(self.get_bare_model(self.net_g))

    def setup_optimizers(self) -> None:
        """Layers that predict deformable offsets, and optical flow, learn at rates of their own."""
        optim_opt = dict(self.opt['train']['optim_g'])
        optim_type = optim_opt.pop('type')
        groups = parameter_groups(self.net_g, self.train_opt, optim_opt['lr'])
        self.optimizer_g = self.get_optimizer(optim_type, groups, **optim_opt)
        self.optimizers.append(self.optimizer_g)

    def optimize_parameters(self, current_iter: int) -> None:
        """One step on the batch that was fed.

        Raises:
            TrainingError: for many steps in a row the loss or the gradient was not a finite number.
        """
        self.finished_iter = None
        self.offset_watch.active = current_iter % self.opt['logger']['print_freq'] == 0
        self.faults.watch()
        self.optimizer_g.zero_grad()
        losses = self._losses()
        total = sum(losses.values(), start=self.lq.new_zeros(()))
        self.scaler.scale(total).backward()
        self.waiting.drop_gradients(current_iter)
        self.scaler.unscale_(self.optimizer_g)
        norm = nn.utils.clip_grad_norm_(self.net_g.parameters(), self.train_opt.grad_clip_norm or math.inf)
        self._update_weights(spoilt=self.faults.spoil(total, norm, current_iter))
        self.offset_watch.active = False
        self.log_dict = self.reduce_loss_dict(losses)
        if self.faults.total:
            self.log_dict['steps_left_out'] = self.faults.total
        self.finished_iter = current_iter

    def _losses(self) -> dict[str, Tensor]:
        inputs = self.inputs | ({'with_extras': True} if self.losses.needs_extras else {})
        with torch.autocast(self.device.type, dtype=self.amp_dtype, enabled=self.amp_dtype is not None):
            result = run_network(self.net_g, self.spec, self.lq, **inputs)
        self.output, extras = result if self.losses.needs_extras else (result, {})
        return self.losses(self.output.float(), extras, self.lq, self.gt)

    def _update_weights(self, spoilt: bool) -> None:
        if not spoilt:
            self.scaler.step(self.optimizer_g)
        self.scaler.update()  # lowers its scale where the gradient was not finite
        if not spoilt and self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def model_ema(self, decay: float = 0.999) -> None:
        """Average the weights; the statistics of batch normalisation, which the toolbox forgets, are taken over."""
        super().model_ema(decay)
        for ours, buffer in zip(self.net_g_ema.buffers(), self.get_bare_model(self.net_g).buffers(), strict=True):
            ours.copy_(buffer)

    # ------------------------------------------------------------------------------------- validation and test
    def test(self) -> None:
        """``self.lq`` to ``self.output``, of the centre frame or of all frames, in float32, with EMA weights if any."""
        # Not the data-parallel wrapper: processes have unequal numbers of frames, and it would wait for all of them.
        net = self.get_bare_model(getattr(self, 'net_g_ema', self.net_g))
        net.eval()
        with torch.no_grad():
            self.output = run_network(net, self.spec, self.lq, **self.inputs)
        self.net_g.train(self.is_train)

    def validation(self, dataloader: DataLoader, current_iter: int | str, tb_logger: Any,
                   save_img: bool = False) -> None:
        """Super-resolve every frame of a data set, score it where there is GT, and keep the best checkpoint."""
        if self.is_train:
            # The toolbox validates once more after its loop has counted one iteration too many.
            current_iter = min(current_iter, int(self.opt['train']['total_iter']))
        validation = Validation(self, dataloader.dataset, current_iter, save_img)
        if self.validated.get(validation.name) == current_iter:
            return
        with random_states_kept():
            scores = validation.run()
        self.validated[validation.name] = current_iter
        if scores is not None:
            self._keep_best(validation.name, scores.average(), current_iter)
            self._log_scores(validation.name, scores, current_iter, tb_logger)
        if self.is_train:
            assert isinstance(current_iter, int)  # in tests it is the name of the experiment
            self.renew_state(current_iter)

    def _keep_best(self, dataset: str, average: dict[str, float], current_iter: int | str) -> None:
        """Update the best values; ``net_g_best.pth`` follows one metric on the validation set that came first."""
        if set(self.best_metric_results.get(dataset, {})) != set(average):
            self.best_metric_results.pop(dataset, None)  # other metrics than before resuming: compare anew
        self._initialize_best_metric_results(dataset)
        for metric, value in average.items():
            self._update_best_metric_result(dataset, metric, value, current_iter)
        leading = self.val_opt.best_metric or next(iter(average))
        first = next(iter(self.best_metric_results))
        if self.is_train and dataset == first and self.best_metric_results[dataset][leading]['iter'] == current_iter:
            try:
                self.save_networks('best')
            except WeightsError as error:
                get_root_logger().error(f'{error}; training goes on without this best checkpoint')

    @master_only
    def _log_scores(self, dataset: str, scores: Scores, current_iter: int | str, tb_logger: Any) -> None:
        scores.write_csv(Path(self.opt['path']['log'], f'metrics_{dataset}.csv'), current_iter)
        best = '' if not self.is_train else '\nbest: ' + ', '.join(
            f'{metric} {record["val"]:.4f} @ {record["iter"]}'
            for metric, record in self.best_metric_results[dataset].items())
        get_root_logger().info(f'Validation {dataset}, {current_iter}\n{scores}{best}')
        if tb_logger:
            for metric, value in scores.average().items():
                tb_logger.add_scalar(f'metrics/{dataset}/{metric}', value, current_iter)
            for clip, values in scores.per_clip().items():
                for metric, value in values.items():
                    tb_logger.add_scalar(f'metrics/{dataset}/{metric}/{clip}', value, current_iter)

    # ------------------------------------------------------------------------------------ loading and saving
    def load_network(self, net: nn.Module, load_path: str, strict: bool = True, param_key: str = 'params') -> None:
        """Load weights without running code from the file.

        Raises:
            WeightsError: the file cannot be read or does not fit; lists the keys.
        """
        bare = self.get_bare_model(net)
        key, left_out = load_into(bare, load_checkpoint(load_path), load_path, param_key, strict)
        self.weights = WeightsRecord(path=str(Path(load_path).resolve()), param_key=key, crc32=crc32_of(load_path))
        get_root_logger().info(f'Loaded {type(bare).__name__} from {load_path}, {key}')
        for fault in left_out:
            get_root_logger().warning(f'{load_path}, not loaded: {fault}')
