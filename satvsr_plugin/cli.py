"""The ``basicsr`` command: ``train`` and ``test`` run the toolbox's own pipelines on a checked option file."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import satvsr_plugin
from satvsr_plugin.errors import OptionError, SatVSRError, Stopped, run_main
from satvsr_plugin.inference import command
from satvsr_plugin.loader_errors import lost_worker, without_worker_traceback
from satvsr_plugin.options import load_options
from satvsr_plugin.plugins import load_plugins
from satvsr_plugin.stopping import restore_stop_signals

_EXAMPLES = """examples:
  basicsr train -opt options/train/MSDTGP/train_MSDTGP_x4_Jilin189.yml
  basicsr train -opt FILE --auto_resume --force_yml train:total_iter=1000 datasets:train:batch_size_per_gpu=2
  basicsr test -opt options/test/MSDTGP/test_MSDTGP_x4_Jilin189.yml
  basicsr infer -i video.mp4 -o video_x4.mp4
  torchrun --nproc_per_node=4 -m satvsr_plugin train -opt FILE --launcher pytorch
  basicsr doctor

results go to experiments/ and results/ in the current folder.
exit codes: 0 done, 1 something is not in order (doctor), 2 wrong input or options."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and leave the interpreter with its exit code.

    Args:
        argv: the arguments after ``basicsr``; None takes those of the process.
    """
    args = _make_parser().parse_args(argv)
    run_main(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    try:
        return COMMANDS[args.command].run(args)
    except SatVSRError as error:
        raise type(error)(without_worker_traceback(error)) from error
    except RuntimeError as error:
        lost = lost_worker(error)
        if lost is None:
            raise
        raise SatVSRError(lost) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise SatVSRError(f'{error.filename}: {error.strerror}') from error  # no right to write, a full disk


def _train(args: argparse.Namespace) -> int:
    _prepare(args, is_train=True)
    from basicsr.train import train_pipeline

    from satvsr_plugin.toolbox.training import save_before_ending

    try:
        return _run_pipeline(train_pipeline)
    except SatVSRError as error:
        saved = save_before_ending(error)
        raise type(error)(f'{error}\n{saved}' if saved else str(error)) from error
    except Stopped:
        raise
    except Exception as error:
        print(save_before_ending(error), file=sys.stderr)
        raise
    finally:
        restore_stop_signals()


def _test(args: argparse.Namespace) -> int:
    _prepare(args, is_train=False)
    from basicsr.test import test_pipeline

    return _run_pipeline(test_pipeline)


def _run_pipeline(pipeline: Callable[[str], None]) -> int:
    from satvsr_plugin.toolbox import end_processes

    try:
        pipeline(os.getcwd())
    except Stopped:
        end_processes()
        raise
    end_processes()
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from satvsr_plugin import doctor, doctor_report

    return doctor_report.run() if args.report else doctor.run()


def _add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--report', action='store_true',
                        help='print all that a bug report needs, ready to paste; without names of users and hosts')


def _infer(args: argparse.Namespace) -> int:
    _require_registration('super-resolving')
    load_plugins()
    from satvsr_plugin.inference.job import InferOptions, run

    given = vars(args)
    return run(InferOptions(**{field.name: given[field.name] for field in fields(InferOptions)}))


class _Command(NamedTuple):
    run: Callable[[argparse.Namespace], int]
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    examples: str = _EXAMPLES


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr', description='Image and video restoration by BasicSR and its plugins.', epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=_versions())
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, item in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=item.help, description=item.help, epilog=item.examples,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        if item.add_arguments is not None:
            item.add_arguments(subparser)
    return parser


def _add_toolbox_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the toolbox's own ``parse_options``."""
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML)')
    parser.add_argument('--force_yml', nargs='+', action='extend', default=[], metavar='KEY:KEY=VALUE',
                        help='change options of the file, e.g. train:total_iter=1000')
    parser.add_argument('--auto_resume', action='store_true', help='go on from the last saved state, if there is one')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm'), default='none',
                        help='what started several processes (default: %(default)s)')
    parser.add_argument('--debug', action='store_true', help='log, save and validate every few steps')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, metavar='N',
                        help='given by older launchers; not used')


COMMANDS = {
    'train': _Command(_train, 'train a network as an option file says', _add_toolbox_arguments),
    'test': _Command(_test, 'test a network as an option file says: scores and pictures', _add_toolbox_arguments),
    'infer': _Command(_infer, 'super-resolve a video of any size and length', command.add_arguments, command.EXAMPLES),
    'doctor': _Command(_doctor, 'say what is installed and how to mend what is not in order', _add_doctor_arguments),
}


def _prepare(args: argparse.Namespace, is_train: bool) -> None:
    """Everything that can be wrong is found here, before a pipeline of the toolbox creates its first folder."""
    _require_registration('training and testing')
    load_plugins()
    _check_launcher(args.launcher)
    from satvsr_plugin.option_check import check_options  # imports the toolbox, which must have been found sound
    from satvsr_plugin.toolbox import hand_over

    options = load_options(args.opt, args.force_yml)
    if is_train and args.auto_resume:
        _enter_folder_of_experiment(args, options)
    check_options(options, is_train=is_train, file=args.opt)
    if is_train:
        _check_experiment(args, options)
    # The toolbox reads the command line itself, and writes it into its copy of the option file.
    sys.argv = [f'basicsr {args.command}', *_toolbox_arguments(args)]
    hand_over(options, args.opt, args.force_yml)


def _require_registration(what: str) -> None:
    if satvsr_plugin.registration_error is not None:
        raise OptionError(f'{satvsr_plugin.registration_error}; {what} cannot work; run: basicsr doctor')


def _check_launcher(launcher: str) -> None:
    """The toolbox ends with a KeyError where the launcher's variables are missing."""
    needed = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID'}.get(launcher)
    if needed and needed not in os.environ:
        start = {'pytorch': 'torchrun --nproc_per_node=N -m satvsr_plugin', 'slurm': 'srun python -m satvsr_plugin'}
        raise OptionError(f'--launcher {launcher}: {needed} is not set; start the command with: {start[launcher]} ...')
    if launcher == 'slurm' and not re.fullmatch(r'[\w.,\[\]-]*', os.environ.get('SLURM_NODELIST', '')):
        raise OptionError('SLURM_NODELIST: is no list of nodes, and the toolbox would hand it to a shell')
    if launcher == 'none' and 'TORCHELASTIC_RUN_ID' in os.environ and os.environ.get('WORLD_SIZE', '1') != '1':
        raise OptionError('torchrun started several processes, which would all do the same; add --launcher pytorch')


def _enter_folder_of_experiment(args: argparse.Namespace, options: dict[str, Any]) -> None:
    """An experiment goes on where it began, when the option file is the one that it keeps: from any folder."""
    folder = Path(args.opt).resolve().parent
    if folder.parent.name != 'experiments' or folder.name != options.get('name'):
        return
    if folder.parents[1] != Path.cwd():
        args.opt = str(folder / Path(args.opt).name)
        print(f'Working in {folder.parents[1]}, where this experiment is.', flush=True)
        os.chdir(folder.parents[1])


def _check_experiment(args: argparse.Namespace, options: dict[str, Any]) -> None:
    """Training anew, the toolbox renames an earlier experiment of the same name, also files that it needs itself."""
    from satvsr_plugin.weights.checkpoints import Checkpoints

    debug = 'debug_' if args.debug and not options['name'].startswith('debug') else ''
    folder = Path('experiments', debug + options['name'])
    path = options['path']
    checkpoints = Checkpoints(folder / 'models', folder / 'training_states')
    if path.get('resume_state') or (args.auto_resume and checkpoints.iterations()):
        return
    needed = [args.opt, *(value for key, value in path.items() if value and key.startswith('pretrain_network'))]
    inside = [name for name in needed if folder.resolve() in Path(name).expanduser().resolve().parents]
    if inside:
        raise OptionError(f'{inside[0]}: lies in {folder}, which is renamed when this experiment starts anew; copy the '
                          'file to another place, or choose another name for the experiment')


def _toolbox_arguments(args: argparse.Namespace) -> list[str]:
    flags = [f'--{name}' for name in ('auto_resume', 'debug') if getattr(args, name)]
    launcher = ['--launcher', args.launcher] if args.launcher != 'none' else []
    overrides = ['--force_yml', *args.force_yml] if args.force_yml else []
    return ['-opt', args.opt, *launcher, *flags, *overrides]


def _versions() -> str:
    packages = []
    for name in ('basicsr', 'torch', 'mmcv'):
        try:
            packages.append(f'{name} {metadata.version(name)}')
        except metadata.PackageNotFoundError:
            packages.append(f'{name} missing')
    return f'satvsr-plugin {satvsr_plugin.__version__} ({", ".join(packages)})'
