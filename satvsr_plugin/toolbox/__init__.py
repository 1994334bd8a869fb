"""The only place that works round faults of BasicSR 1.4.2 on today's torch, torchvision and Python.

Every function here names the fault and mends it from outside. 1.4.2 is the toolbox's last release and the only one
that setup.py allows; what has to do with torchvision and Python does nothing where the fault is gone.
:func:`prepare_import` must run before BasicSR is imported, :func:`mend` after.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import math
import shutil
import sys
import types
from pathlib import Path
from typing import Any

from satvsr_plugin.errors import OptionError, WeightsError
from satvsr_plugin.toolbox import networks


def prepare_import() -> None:
    """Make ``import basicsr`` possible."""
    _provide_functional_tensor()
    _provide_distutils()


def mend() -> None:
    """Replace the faulty functions of the imported toolbox."""
    _read_options_safely()
    _resume_on_any_device()
    _resume_with_the_kept_option_file()
    _start_processes_without_gpu()
    _silence_false_warning()
    _pass_on_loader_errors()
    _train_to_the_last_iteration()
    networks.mend()


def _provide_functional_tensor() -> None:
    """``basicsr.data.degradations`` imports a module that torchvision 0.17 removed."""
    name = 'torchvision.transforms.functional_tensor'
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module = types.ModuleType(name)
    module.rgb_to_grayscale = rgb_to_grayscale
    sys.modules[name] = module


def _provide_distutils() -> None:
    """``basicsr.archs.arch_util`` imports ``distutils``, which Python 3.12 removed; setuptools brings its own."""
    if importlib.util.find_spec('distutils') is None:
        importlib.import_module('setuptools')


def _read_options_safely() -> None:
    """``parse_options`` reads YAML with a loader that builds any Python object a tag asks for."""
    from basicsr.utils import options

    from satvsr_plugin.options import SafeOptionLoader

    _, dumper = options.ordered_yaml()
    options.ordered_yaml = lambda: (SafeOptionLoader, dumper)


def _resume_on_any_device() -> None:
    """``load_resume_state`` calls CUDA even when training runs on a CPU."""
    from basicsr import train

    train.load_resume_state = load_resume_state


def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """Read the training state that ``--auto_resume`` or ``path.resume_state`` asks for, onto the CPU.

    Args:
        opt: the toolbox's options; ``path.resume_state`` and the network's path are set as the toolbox does.

    Returns:
        The state, or None when training starts anew. Optimizers move it to their own device.

    Raises:
        WeightsError: the file cannot be read.
    """
    import torch
    from basicsr.utils import check_resume

    if opt['auto_resume']:
        newest = max(saved_states(opt['path']['training_states']), key=lambda path: int(path.stem), default=None)
        opt['path']['resume_state'] = str(newest) if newest else None
    path = opt['path'].get('resume_state')
    if path is None:
        return None
    remedy = ('delete it, and --auto_resume takes the one before' if opt['auto_resume'] else
              'choose another one with path.resume_state')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        raise WeightsError(f'{path}: cannot read this training state ({error}); {remedy}') from error
    missing = {'epoch', 'iter', 'optimizers', 'schedulers'}.difference(state if isinstance(state, dict) else ())
    if missing:
        raise WeightsError(f'{path}: is no training state, since it lacks {", ".join(sorted(missing))}; {remedy}')
    check_resume(opt, state['iter'])
    return state


def saved_states(folder: str | Path) -> list[Path]:
    """The training states in a folder: files that are called after their iteration, ``5000.state``."""
    return [path for path in Path(folder).glob('*.state') if path.stem.isdecimal()]


def _start_processes_without_gpu() -> None:
    """``init_dist`` knows NCCL only and divides by the number of GPUs, which may be zero."""
    import torch
    from basicsr.utils import options

    start_with_gpu = options.init_dist

    def init_dist(launcher: str, backend: str = 'nccl', **kwargs: Any) -> None:
        if torch.cuda.is_available():
            start_with_gpu(launcher, backend, **kwargs)
        elif launcher == 'pytorch':
            torch.distributed.init_process_group('gloo', **kwargs)
        else:
            raise OptionError(f'--launcher {launcher} needs GPUs; without them use torchrun and --launcher pytorch')

    options.init_dist = init_dist


def end_processes() -> None:
    """The pipelines leave their group of processes open, and one that ends first takes the others down with it."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def _resume_with_the_kept_option_file() -> None:
    """``copy_opt_file`` fails where the option file is the copy that the experiment keeps, which it would replace."""
    from basicsr import train

    copy = train.copy_opt_file

    def copy_opt_file(opt_file: str, experiments_root: str) -> None:
        with contextlib.suppress(shutil.SameFileError):
            copy(opt_file, experiments_root)

    train.copy_opt_file = copy_opt_file


def _train_to_the_last_iteration() -> None:
    """The training loop counts its epochs with the incomplete batch that the loader drops, and ends too early."""
    from basicsr import train

    create = train.create_train_val_dataloader

    def create_train_val_dataloader(opt: dict[str, Any], logger: logging.Logger) -> tuple:
        train_loader, train_sampler, val_loaders, _, total_iters = create(opt, logger)
        if len(train_loader) == 0:
            raise OptionError(f'datasets.train: {len(train_loader.dataset)} windows make no batch for each of '
                              f'{opt["world_size"]} processes; lower batch_size_per_gpu or set dataset_enlarge_ratio')
        return train_loader, train_sampler, val_loaders, math.ceil(total_iters / len(train_loader)), total_iters

    train.create_train_val_dataloader = create_train_val_dataloader


def _silence_false_warning() -> None:
    """The training loop warns at every validation that several sets need ``SRModel``; our model takes them."""
    logging.getLogger('basicsr').addFilter(
        lambda record: 'Multiple validation datasets are *only* supported' not in record.getMessage())


def _pass_on_loader_errors() -> None:
    """With ``prefetch_mode: cpu`` an error in the data set ends the prefetching thread, and training waits for ever."""
    from basicsr.data import prefetch_dataloader

    class PrefetchGenerator(prefetch_dataloader.PrefetchGenerator):
        def run(self) -> None:
            try:
                super().run()
            except Exception as error:  # whatever it is, it belongs to the thread that trains
                self.queue.put(error)

        def __next__(self) -> Any:
            item = self.queue.get()
            if item is None:
                raise StopIteration
            if isinstance(item, Exception):
                raise item
            return item

    prefetch_dataloader.PrefetchGenerator = PrefetchGenerator
