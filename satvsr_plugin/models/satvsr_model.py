"""The video model: trains, validates, tests, saves and resumes networks for video super-resolution."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from basicsr.losses import build_loss
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import MODEL_REGISTRY
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from satvsr_plugin.acceleration.allocator import keep_freed_memory
from satvsr_plugin.acceleration.layout import keep_channels_innermost
from satvsr_plugin.acceleration.network import accelerate
from satvsr_plugin.acceleration.paths import choose_fast_paths
from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.archs.toolbox_networks import input_spec
from satvsr_plugin.data.sampling import random_states_kept
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.models import fast_paths
from satvsr_plugin.models.compilation import compile_errors_told, uncompiled
from satvsr_plugin.models.losses import Losses
from satvsr_plugin.models.model_options import TrainOptions, ValOptions
from satvsr_plugin.models.moving_average import MovingAverage
from satvsr_plugin.models.numerical_faults import LAG, NumericalFaults
from satvsr_plugin.models.offset_watch import OffsetWatch
from satvsr_plugin.models.parameter_groups import Waiting, parameter_groups
from satvsr_plugin.models.resumable_model import ResumableModel
from satvsr_plugin.models.scores import Scores
from satvsr_plugin.models.validation import Validation
from satvsr_plugin.models.weight_update import WeightUpdate
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
        if self.is_train and self.opt['train'].get('channels_last'):
            keep_channels_innermost(net)
        if self.opt['dist'] and not any(p.requires_grad for p in net.parameters()):
            return net.to(self.device)  # nothing to keep equal between processes, and torch refuses to
        if self.opt['dist'] and self.device.type == 'cpu':
            return DistributedDataParallel(net, find_unused_parameters=self.opt.get('find_unused_parameters', False))
        return super().model_to_device(net)

    def feed_data(self, data: dict[str, Any]) -> None:
        """Take a batch: ``lq`` (b, t, c, h, w), ``gt`` of the centre frame or of all, what else the network takes."""
        names = ('lq', 'gt', *self.spec.takes)
        # The host does not wait for copies out of page-locked memory; the toolbox then finds all in its place.
        moved = {name: data[name].to(self.device, non_blocking=True) for name in names if name in data}
        super().feed_data(data | moved)
        self.inputs = {name: moved[name] for name in self.spec.takes if name in moved}

    # ----------------------------------------------------------------------------------------------- training
    def init_training_settings(self) -> None:
        self.train_opt = TrainOptions.model_validate(self.opt['train'])
        self.amp_dtype = AMP_DTYPES[self.train_opt.amp]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.train_opt.amp == 'fp16')
        keeps_memory = self.device.type == 'cpu' and self.train_opt.kept_memory and keep_freed_memory()
        bare = self.get_bare_model(self.net_g)
        lag = LAG if self.device.type == 'cuda' else 0
        self.faults = NumericalFaults(bare, self.opt['path']['models'], lag)
        self.offset_watch = OffsetWatch(bare)
        fast_paths.prepare(self.net_g, self.train_opt)
        super().init_training_settings()
        aux = build_loss(self.train_opt.aux_opt).to(self.device) if self.train_opt.aux_opt else None
        self.losses = Losses(self.spec, self.cri_pix, self.cri_perceptual, aux)
        self.waiting = Waiting(self.net_g, self.train_opt)
        self.update_weights = WeightUpdate(self.optimizer_g, self.scaler, self._average(), self.ema_decay)
        get_root_logger().info(f'fast paths: {fast_paths.in_words(self.train_opt, self.optimizer_g, keeps_memory)}')

    def _average(self) -> MovingAverage | None:
        if self.ema_decay == 0:
            return None
        if self.train_opt.channels_last:
            keep_channels_innermost(self.net_g_ema)  # tensors of one layout are averaged all at once
        return MovingAverage(self.net_g_ema, self.get_bare_model(self.net_g))

    def setup_optimizers(self) -> None:
        """Layers that predict deformable offsets, and optical flow, learn at rates of their own.

        On a GPU the optimizer is fused, unless the options say how it is to compute.
        """
        optim_opt = dict(self.opt['train']['optim_g'])
        optim_type = optim_opt.pop('type')
        if self.device.type == 'cuda' and not {'fused', 'foreach', 'differentiable'} & set(optim_opt):
            optim_opt['fused'] = True
        groups = parameter_groups(self.net_g, self.train_opt, optim_opt['lr'])
        self.optimizer_g = self.get_optimizer(optim_type, groups, **optim_opt)
        self.optimizers.append(self.optimizer_g)

    def optimize_parameters(self, current_iter: int) -> None:
        """One step on the batch that was fed. On a GPU it is queued: the host does not wait for its end.

        Raises:
            TrainingError: for many steps in a row the loss or the gradient was not a finite number.
        """
        self.finished_iter = None
        self.offset_watch.active = current_iter % self.opt['logger']['print_freq'] == 0
        self.faults.watch()
        self.optimizer_g.zero_grad()
        with compile_errors_told(self.train_opt.compile):
            losses = self._losses()
            total = sum(losses.values(), start=self.lq.new_zeros(()))
            self.scaler.scale(total).backward()
        self.waiting.drop_gradients(current_iter)
        self.scaler.unscale_(self.optimizer_g)
        self.update_weights(self.faults.spoil(total, self._clip_gradients(), current_iter))
        self.faults.settle(self.faults.lag)
        self.offset_watch.tell()
        self.offset_watch.active = False
        self.log_dict = self._reduced(losses)
        self.finished_iter = current_iter

    def _losses(self) -> dict[str, Tensor]:
        inputs = self.inputs | ({'with_extras': True} if self.losses.needs_extras else {})
        with torch.autocast(self.device.type, dtype=self.amp_dtype, enabled=self.amp_dtype is not None):
            result = run_network(self.net_g, self.spec, self.lq, **inputs)
        self.output, extras = result if self.losses.needs_extras else (result, {})
        return self.losses(self.output.float(), extras, self.lq, self.gt)

    def _clip_gradients(self) -> Tensor:
        """Returns their norm before."""
        learning = [parameter for parameter in self.net_g.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in learning if parameter.grad is not None])
        if self.train_opt.grad_clip_norm:
            nn.utils.clip_grads_with_norm_(learning, self.train_opt.grad_clip_norm, norm)
        return norm

    @torch.no_grad()
    def _reduced(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Means over all processes, in the first one; on the device."""
        values = torch.stack([loss.detach().reshape(()) for loss in losses.values()])
        if self.opt['dist']:
            distributed.reduce(values, dst=0)
            values /= self.opt['world_size']
        return dict(zip(losses, values, strict=True))

    def get_current_log(self) -> dict[str, float]:
        """The losses of the last step, and how many steps were left out, if any; waits for the device.

        Raises:
            TrainingError: as ``optimize_parameters``.
        """
        self.faults.settle()
        log = dict(zip(self.log_dict, torch.stack(list(self.log_dict.values())).tolist(), strict=True))
        return log | ({'steps_left_out': self.faults.total} if self.faults.total else {})

    # ------------------------------------------------------------------------------------- validation and test
    def test(self) -> None:
        """``self.lq`` to ``self.output``, of the centre frame or of all frames, in float32, with EMA weights if any."""
        net = self._net_in_training() if self.is_train else self._net_in_tests
        with torch.no_grad(), uncompiled(self.is_train and self.train_opt.compile):
            self.output = run_network(net, self.spec, self.lq, **self.inputs)
        self.net_g.train(self.is_train)

    def _net_in_training(self) -> nn.Module:
        # Not the data-parallel wrapper: processes have unequal numbers of frames, and it would wait for all of them.
        return self.get_bare_model(getattr(self, 'net_g_ema', self.net_g)).eval()

    @cached_property
    def _net_in_tests(self) -> nn.Module:
        """With the fast paths that ``val.fast`` wants: its weights do not change any more."""
        paths = choose_fast_paths(self.val_opt.fast, self.device)
        get_root_logger().info(f'fast paths: {paths._replace(windows=1)}')
        return accelerate(self.get_bare_model(self.net_g).eval(), paths)

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
