"""What a model needs so that training survives kills, signals and errors: checkpoints from which a run goes on exactly.

A run on a CPU that was killed and resumed ends with the weights, to the last bit, that it would have had. For that a
checkpoint holds, besides what the toolbox saves, the averaged weights, the loss scaler, the random numbers of every
process, the place in the epoch, the best scores and which validations are done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from basicsr.models.video_base_model import VideoBaseModel
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from torch import distributed
from torch.utils.data import DataLoader

from satvsr_plugin.data.sampling import Place, random_states, restore_random_states
from satvsr_plugin.errors import Stopped, WeightsError
from satvsr_plugin.models.model_options import TrainOptions
from satvsr_plugin.models.numerical_faults import NumericalFaults
from satvsr_plugin.stopping import SIGNALS, noted_signal
from satvsr_plugin.weights import record_entries, save_checkpoint
from satvsr_plugin.weights.checkpoints import Checkpoints

# What a scheduler's state says about where training stands; the rest repeats the option file.
PROGRESS_KEYS = ('last_epoch', '_step_count', '_last_lr')
# How an optimizer computes, and not what: also the option file's and the machine's.
MANNER_KEYS = ('fused', 'foreach', 'capturable')


class ResumableModel(VideoBaseModel):
    """The part of ``SatVSRModel`` that saves and resumes.

    Attributes:
        val_loaders: of the validation sets, as the training loop has them.
        validated: the iteration of each validation set's last validation.
        finished_iter: the last training step that is whole; None while one is under way.
    """

    train_opt: TrainOptions
    scaler: torch.amp.GradScaler
    faults: NumericalFaults

    def __init__(self, opt: dict[str, Any]) -> None:
        self.val_loaders: list[DataLoader] = []
        self.validated: dict[str, int | str] = {}
        self.best_metric_results: dict[str, dict] = {}
        self.finished_iter: int | None = 0
        self._saved_iter = 0
        self._place: Place | None = None
        self._control_group: Any = None
        super().__init__(opt)

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.opt['path']['models'], self.opt['path']['training_states'])

    def feed_data(self, data: dict[str, Any]) -> None:
        super().feed_data(data)
        if self.is_train:
            self._place = Place.after(data, self.opt['world_size']) or self._place

    # ------------------------------------------------------------------------------------------------- saving
    def save(self, epoch: int, current_iter: int) -> None:
        """Save a checkpoint, or with iteration -1 the final weights; training survives a disk that is full for now."""
        if current_iter == -1:
            self.save_networks('latest')
            self.faults.settle()
            return
        try:
            self._place = self._place or Place(epoch, 0)
            self._save_checkpoint(current_iter)
        except WeightsError as error:
            due = current_iter + self.opt['logger'].get('save_checkpoint_freq', 0)
            get_root_logger().error(f'{error}; training goes on, the next checkpoint is due at iteration {due}')

    def _save_checkpoint(self, current_iter: int) -> None:
        state = self._training_state(current_iter)
        failed = self._write_checkpoint(current_iter, state) if self.opt['rank'] == 0 else None
        if self._agreed(int(failed is not None)):  # else processes would differ in what they take for saved
            raise failed or WeightsError('the first process cannot save the checkpoint')
        self._saved_iter = current_iter

    def _write_checkpoint(self, current_iter: int, state: dict[str, Any]) -> WeightsError | None:
        try:
            self.checkpoints.save(current_iter, {'net_g': self._network_entries()}, state)
        except WeightsError as error:
            return error
        keep = self.opt['logger'].get('keep_checkpoints')
        if keep:
            try:
                self.checkpoints.keep_last(keep)
            except OSError as error:
                get_root_logger().warning(f'{error.filename}: this old checkpoint cannot be removed ({error.strerror})')
        return None

    @master_only
    def save_networks(self, label: str) -> None:
        """Save ``net_g_<label>.pth``: the weights, their moving average, and which network they are of."""
        save_checkpoint(Path(self.opt['path']['models'], f'net_g_{label}.pth'), self._network_entries())

    def _network_entries(self) -> dict[str, Any]:
        networks = {'params': self.net_g}
        if self.ema_decay > 0:
            networks['params_ema'] = self.net_g_ema
        states = {key: {k: v.cpu() for k, v in self.get_bare_model(net).state_dict().items()}
                  for key, net in networks.items()}
        return states | record_entries(self.opt['network_g'])

    def _training_state(self, current_iter: int) -> dict[str, Any]:
        """All but the weights; every process has to call this."""
        self.faults.settle()
        place = self._place or Place(0, 0)
        return {
            'epoch': place.epoch,
            'position': place.position,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            'scaler': self.scaler.state_dict(),
            'faults': [self.faults.in_a_row, self.faults.total],
            'best_metric_results': self.best_metric_results,
            'validated': self.validated,
            'random': self._random_states(),
            'circumstances': self._circumstances(),
        }

    def _random_states(self) -> list[dict[str, Any]]:
        """Of every process."""
        own = random_states()
        if self.device.type == 'cuda':
            own['cuda'] = torch.cuda.get_rng_state(self.device)
        if not self.opt['dist']:
            return [own]
        states: list[dict[str, Any]] = [{}] * self.opt['world_size']
        distributed.all_gather_object(states, own)
        return states

    def _circumstances(self) -> dict[str, Any]:
        """What has to be the same for a resumed run to end with the same weights."""
        train_set = self.opt.get('datasets', {}).get('train', {})
        return {'number of processes': self.opt['world_size'], 'device': self.device.type,
                'batch_size_per_gpu': train_set.get('batch_size_per_gpu'), 'threads': torch.get_num_threads(),
                'manual_seed': self.opt.get('manual_seed'), 'torch': str(torch.__version__)}

    # ----------------------------------------------------------------------------------------------- resuming
    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Go on from a training state; rates and schedule are the option file's, which may have been changed."""
        self._restore_optimizers(resume_state)
        if self.scaler.is_enabled() and resume_state.get('scaler'):
            self.scaler.load_state_dict(resume_state['scaler'])
        self.faults.in_a_row, self.faults.total = resume_state.get('faults', (0, 0))
        self.best_metric_results = resume_state.get('best_metric_results', {})
        self.validated = dict(resume_state.get('validated', {}))
        self.finished_iter = self._saved_iter = resume_state['iter']
        self._place = Place(resume_state['epoch'], resume_state.get('position', 0))
        self._tell_what_is_not_exact(resume_state)
        self._restore_random_states(resume_state.get('random', []))
        self._make_up_for_validation(resume_state['iter'])

    def _restore_optimizers(self, resume_state: dict[str, Any]) -> None:
        for scheduler, state in zip(self.schedulers, resume_state['schedulers'], strict=True):
            state.update({key: value for key, value in scheduler.state_dict().items() if key not in PROGRESS_KEYS})
        for optimizer, state in zip(self.optimizers, resume_state['optimizers'], strict=True):
            for group, saved in zip(optimizer.param_groups, state['param_groups'], strict=False):
                saved.update({key: group[key] for key in MANNER_KEYS if key in group})
        rates = self._get_init_lr()
        super().resume_training(resume_state)
        for optimizer in self.optimizers:
            _lay_out_as_weights(optimizer)
        for optimizer, initial_rates in zip(self.optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, initial_rates, strict=True):
                group['lr'] *= rate / group['initial_lr']
                group['initial_lr'] = rate

    def _restore_random_states(self, states: list[dict[str, Any]]) -> None:
        if self.opt['rank'] >= len(states):
            return  # there were fewer processes: this one goes on with its seed
        own = states[self.opt['rank']]
        restore_random_states(own)
        if self.device.type == 'cuda' and 'cuda' in own:
            torch.cuda.set_rng_state(own['cuda'], self.device)

    def _tell_what_is_not_exact(self, resume_state: dict[str, Any]) -> None:
        now = self._circumstances()
        before = resume_state.get('circumstances')
        if before is None:
            get_root_logger().warning('The training state is of an older version, without random numbers and place in '
                                      'the epoch: the run goes on, but not exactly as it would have without a stop.')
            return
        changed = [f'{key} {before.get(key)} -> {value}' for key, value in now.items() if before.get(key) != value]
        if changed:
            get_root_logger().warning(f'Resumed under other circumstances ({", ".join(changed)}): the run goes on from '
                                      'the same weights and the next sample of the epoch, but its numbers will differ '
                                      'from those of a run without a stop.')

    def _make_up_for_validation(self, iteration: int) -> None:
        """The toolbox saves before it validates, and a run that was killed in between would never validate."""
        val_freq = self.opt.get('val', {}).get('val_freq')
        if iteration and val_freq and iteration % val_freq == 0:
            for loader in self.val_loaders:
                self.validation(loader, iteration, None, self.opt['val'].get('save_img', False))

    def renew_state(self, iteration: int) -> None:
        """Once an iteration is validated, its checkpoint has to know."""
        if self._saved_iter == iteration:
            state = self._training_state(iteration)
            if self.opt['rank'] == 0:
                try:
                    self.checkpoints.replace_state(iteration, state)
                except WeightsError as error:
                    get_root_logger().error(f'{error}; the scores of this validation are not in the checkpoint')

    # ------------------------------------------------------------------------------------------------ leaving
    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        self.leave_if_asked()
        super().update_learning_rate(current_iter, warmup_iter)

    def leave_if_asked(self) -> None:
        """Between steps: save and leave when any process has noted a signal; every process has to call this.

        Raises:
            Stopped: training ends here; a checkpoint of the last step is on the disk.
        """
        number = self._agreed(noted_signal() or 0)
        if number:
            name = next(sign.name for sign in SIGNALS if sign == number)
            raise Stopped(f'{name}: {self.save_now()}', 128 + number)

    def _agreed(self, number: int) -> int:
        """The largest number of all processes; over the CPU, so that no GPU has to wait for it."""
        if not self.opt['dist']:
            return number
        if self._control_group is None:
            self._control_group = distributed.new_group(backend='gloo')
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, self._control_group)
        return int(largest)

    def save_now(self) -> str:
        """Save the last whole step, if no checkpoint has it, and say so; every process has to call this.

        Raises:
            WeightsError: the disk does not take it.
        """
        iteration = self.finished_iter
        if iteration is None:
            return f'training ends within a step; the last checkpoint is of iteration {self._saved_iter}'
        if iteration > self._saved_iter:
            self._save_checkpoint(iteration)
        if iteration == 0:
            return 'training ends before its first step'
        return (f'training ends after iteration {iteration}, which is saved in {self.opt["path"]["training_states"]}; '
                'the same command with --auto_resume goes on from there')


def _lay_out_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Moments as their weights lie in memory: of others, after ``channels_last`` was changed, fused ones make noise."""
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if isinstance(moment, torch.Tensor) and moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
