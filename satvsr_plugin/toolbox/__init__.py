"""The only place that works round faults of BasicSR 1.4.2 on today's torch, torchvision and Python.

Every function here names the fault and mends it from outside. 1.4.2 is the toolbox's last release and the only one
that setup.py allows; what has to do with torchvision and Python does nothing where the fault is gone.
:func:`prepare_import` must run before BasicSR is imported, :func:`mend` after.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import sys
import types
from collections.abc import Sequence
from typing import Any

from satvsr_plugin.errors import OptionError
from satvsr_plugin.toolbox import networks


def prepare_import() -> None:
    """Make ``import basicsr`` possible."""
    _provide_functional_tensor()
    _provide_distutils()


def mend() -> None:
    """Replace the faulty functions of the imported toolbox."""
    from satvsr_plugin.toolbox import training  # imports the toolbox

    _read_options_safely()
    _start_processes_without_gpu()
    _silence_false_warning()
    _pass_on_loader_errors()
    training.mend()
    networks.mend()


def _provide_functional_tensor() -> None:
    """``basicsr.data.degradations`` imports a module that torchvision 0.17 removed."""
    name = 'torchvision.transforms.functional_tensor'
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module = types.ModuleType(name)
    vars(module).update(rgb_to_grayscale=rgb_to_grayscale)
    sys.modules[name] = module


def _provide_distutils() -> None:
    """``basicsr.archs.arch_util`` imports ``distutils``, which Python 3.12 removed; setuptools brings its own."""
    if importlib.util.find_spec('distutils') is None:
        importlib.import_module('setuptools')


_checked: dict[tuple[str, ...], dict[str, Any]] = {}


def hand_over(options: dict[str, Any], file: str, overrides: Sequence[str]) -> None:
    """Give the next ``parse_options`` of this file and these overrides the options that were checked.

    Otherwise it reads the file again, which may have changed, or, being a pipe, be empty by then.
    """
    asked = (file, *overrides)
    _checked[asked] = options


def _read_options_safely() -> None:
    """``parse_options`` builds any Python object that a YAML tag asks for, and executes overrides as code."""
    from basicsr import test, train
    from basicsr.utils import options

    from satvsr_plugin.options import SafeOptionLoader, load_options

    _, dumper = options.ordered_yaml()
    options.ordered_yaml = lambda: (SafeOptionLoader, dumper)
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('-opt')
    parser.add_argument('--force_yml', nargs='+', default=[])
    parse = options.parse_options

    def parse_options(root_path: str, is_train: bool = True) -> tuple[dict[str, Any], argparse.Namespace]:
        command = sys.argv
        given, others = parser.parse_known_args(command[1:])
        if given.opt is None:
            return parse(root_path, is_train)  # ends with the toolbox's own message
        read = _checked.pop((given.opt, *given.force_yml), None) or load_options(given.opt, given.force_yml)
        options.yaml = types.SimpleNamespace(load=lambda *_, **__: read)
        sys.argv = [command[0], '-opt', given.opt, *others]  # the overrides are in what was read
        try:
            return parse(root_path, is_train)
        finally:
            sys.argv = command  # which the experiment's copy of the option file names

    options.parse_options = train.parse_options = test.parse_options = parse_options


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
