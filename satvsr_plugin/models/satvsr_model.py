"""The video model: trains, validates, tests, saves and resumes networks for video super-resolution."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from basicsr.losses import build_loss
from basicsr.models.video_base_model import VideoBaseModel
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import MODEL_REGISTRY
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.errors import TrainingError
from satvsr_plugin.models.losses import Losses
from satvsr_plugin.models.model_options import TrainOptions, ValOptions
from satvsr_plugin.models.offset_watch import OffsetWatch
from satvsr_plugin.models.parameter_groups import Waiting, parameter_groups
from satvsr_plugin.models.scores import Scores
from satvsr_plugin.models.validation import Validation
from satvsr_plugin.test_record import WeightsRecord
from satvsr_plugin.weights import crc32_of, load_checkpoint, load_into, record_entries, save_checkpoint

# What a scheduler's state says about where training stands; the rest repeats the option file.
PROGRESS_KEYS = ('last_epoch', '_step_count', '_last_lr')
AMP_DTYPES = {'none': None, 'fp16': torch.float16, 'bf16': torch.bfloat16}


@MODEL_REGISTRY.register()
class SatVSRModel(VideoBaseModel):
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
        self.validated: dict[str, int | str] = {}  # validation set: iteration
        self.best_metric_results: dict[str, dict] = {}
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
        if self.train_opt.channels_last:
            self.net_g.to(memory_format=torch.channels_last)
        super().init_training_settings()
        aux = self.train_opt.aux_opt and build_loss(self.train_opt.aux_opt).to(self.device)
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
            TrainingError: the loss or the gradient is not a finite number; the weights are as they were.
        """
        self.offset_watch.active = current_iter % self.opt['logger']['print_freq'] == 0
        self.optimizer_g.zero_grad()
        inputs = self.inputs | ({'with_extras': True} if self.losses.needs_extras else {})
        with torch.autocast(self.device.type, dtype=self.amp_dtype, enabled=self.amp_dtype is not None):
            result = run_network(self.net_g, self.spec, self.lq, **inputs)
        self.output, extras = result if self.losses.needs_extras else (result, {})
        losses = self.losses(self.output.float(), extras, self.lq, self.gt)
        total = sum(losses.values())
        self._stop_unless_finite('loss', total, current_iter)
        self.scaler.scale(total).backward()
        self.waiting.drop_gradients(current_iter)
        self.scaler.unscale_(self.optimizer_g)
        norm = nn.utils.clip_grad_norm_(self.net_g.parameters(), self.train_opt.grad_clip_norm or math.inf)
        if not self.scaler.is_enabled():  # the scaler leaves out such a step, and lowers its scale
            self._stop_unless_finite('norm of the gradient', norm, current_iter)
        self.scaler.step(self.optimizer_g)
        self.scaler.update()
        self.offset_watch.active = False
        self.log_dict = self.reduce_loss_dict(losses)
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def model_ema(self, decay: float = 0.999) -> None:
        """Average the weights; the statistics of batch normalisation, which the toolbox forgets, are taken over."""
        super().model_ema(decay)
        for ours, buffer in zip(self.net_g_ema.buffers(), self.get_bare_model(self.net_g).buffers(), strict=True):
            ours.copy_(buffer)

    def _stop_unless_finite(self, name: str, tensor: Tensor, current_iter: int) -> None:
        value = tensor.item()
        if not math.isfinite(value):
            raise TrainingError(
                f'the {name} is {value} at iteration {current_iter}; the run stops before the weights are spoilt. '
                f'The last checkpoint is in {self.opt["path"]["models"]}. Lower train.optim_g.lr, set '
                'train.grad_clip_norm (e.g. 0.5) or use amp: bf16 or none instead of fp16, and go on with '
                '--auto_resume; or start anew with init: zero_offset.')

    # ------------------------------------------------------------------------------------- validation and test
    def test(self) -> None:
        """``self.lq`` to ``self.output``, of the centre frame or of all frames, in float32, with EMA weights if any."""
        # Not the data-parallel wrapper: processes have unequal numbers of frames, and it would wait for all of them.
        net = self.get_bare_model(getattr(self, 'net_g_ema', self.net_g))
        net.eval()
        with torch.no_grad():
            self.output = run_network(net, self.spec, self.lq, **self.inputs)
        self.net_g.train(self.is_train)

    def validation(self, dataloader, current_iter: int | str, tb_logger, save_img: bool = False) -> None:
        """Super-resolve every frame of a data set, score it where there is GT, and keep the best checkpoint."""
        if self.is_train:
            # The toolbox validates once more after its loop has counted one iteration too many.
            current_iter = min(current_iter, int(self.opt['train']['total_iter']))
        validation = Validation(self, dataloader.dataset, current_iter, save_img)
        if self.validated.get(validation.name) == current_iter:
            return
        self.validated[validation.name] = current_iter
        scores = validation.run()
        if scores is not None:
            self._keep_best(validation.name, scores.average(), current_iter)
            self._log_scores(validation.name, scores, current_iter, tb_logger)

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
            self._save_networks('best')

    @master_only
    def _log_scores(self, dataset: str, scores: Scores, current_iter: int | str, tb_logger) -> None:
        scores.append_csv(Path(self.opt['path']['log'], f'metrics_{dataset}.csv'), current_iter)
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

    def save(self, epoch: int, current_iter: int) -> None:
        self._save_networks('latest' if current_iter == -1 else current_iter)
        self.save_training_state(epoch, current_iter)

    @master_only
    def _save_networks(self, label: int | str) -> None:
        networks = {'params': self.net_g}
        if self.ema_decay > 0:
            networks['params_ema'] = self.net_g_ema
        states = {key: {k: v.cpu() for k, v in self.get_bare_model(net).state_dict().items()}
                  for key, net in networks.items()}
        save_checkpoint(Path(self.opt['path']['models'], f'net_g_{label}.pth'),
                        states | record_entries(self.opt['network_g']))

    @master_only
    def save_training_state(self, epoch: int, current_iter: int) -> None:
        if current_iter == -1:
            return
        save_checkpoint(Path(self.opt['path']['training_states'], f'{current_iter}.state'), {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            'scaler': self.scaler.state_dict(),
            'best_metric_results': self.best_metric_results,
        })

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Go on from a training state; rates and schedule are the option file's, which may have been changed."""
        for scheduler, state in zip(self.schedulers, resume_state['schedulers'], strict=True):
            state.update({key: value for key, value in scheduler.state_dict().items() if key not in PROGRESS_KEYS})
        rates = self._get_init_lr()
        super().resume_training(resume_state)
        for optimizer, initial_rates in zip(self.optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, initial_rates, strict=True):
                group['lr'] *= rate / group['initial_lr']
                group['initial_lr'] = rate
        if self.scaler.is_enabled() and resume_state.get('scaler'):
            self.scaler.load_state_dict(resume_state['scaler'])
        self.best_metric_results = resume_state.get('best_metric_results', {})
