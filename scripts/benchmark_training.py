#!/usr/bin/env python3
"""Measure how fast networks train here, what every means of acceleration brings, and how much fits into memory.

Each recipe runs the steps that "basicsr train" runs, in turns with plain float32 at batch 1: channels_last, bf16, fp16,
TF32, fused optimizer, compilation, checkpointing, larger batches. Besides: how long training waits for data, and on a
GPU the largest batch. With --curve instead of all that: whether the fast recipe learns what float32 learns.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.measuring import machine
from satvsr_plugin.benchmarks.networks import choose_networks
from satvsr_plugin.benchmarks.training_curve import measure_curves, write_plot
from satvsr_plugin.benchmarks.training_data import draw_clips
from satvsr_plugin.benchmarks.training_plan import Plan, Settings
from satvsr_plugin.benchmarks.training_recipes import SCALE, fast_recipe, plain_recipe
from satvsr_plugin.errors import OptionError, run_main

EXAMPLE = """examples:
  python scripts/benchmark_training.py --json training.json
  python scripts/benchmark_training.py --networks full --patches 32 --compile --budget 500
  python scripts/benchmark_training.py --networks small --curve 500 --plot curve.png

exit codes: 0 done, 2 wrong input or options.
"""
NETWORKS = {'cpu': ['small', 'full'], 'cuda': ['full', 'small']}  # what is certain to be measured comes first
BATCHES = {'cpu': [1, 4], 'cuda': [1, 2, 4, 8, 16, 32, 64]}
SECONDS = {'cpu': 1.0, 'cuda': 0.3}


def main(arguments: Sequence[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    _check(args)
    device = _device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    found = _machine(device)
    gc.freeze()  # what was imported need not be searched whenever memory is given back
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        text, values = (_curve if args.curve else _measure)(args, device, Path(work))
    text = '\n'.join([*(f'- {name}: {value}' for name, value in found.items()), '', text])
    print(text)
    _write(args.markdown, text)
    _write(args.json, json.dumps({'machine': found} | values, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', choices=('auto', 'cpu', 'cuda'), default='auto',
                        help='where to train (default: a GPU if there is one)')
    parser.add_argument('--networks', nargs='+', metavar='NAME',
                        help="full (the paper's MSDTGP), small (the one that comes along), or others of the registry "
                             '(default: both; with --curve the first of them)')
    parser.add_argument('--patches', nargs='+', type=_count, metavar='PX',
                        help=f'height and width of LR patches; GT is {SCALE} times as large (default: 32 64; with '
                             '--curve 24)')
    parser.add_argument('--batches', nargs='+', type=_count, metavar='N',
                        help='sizes of batches for the fast recipe (default: 1 to 64 on a GPU, else 1 4); with --curve '
                             'the first one (8)')
    parser.add_argument('--workers', nargs='*', type=int, default=[0, 2, 4], metavar='N',
                        help='loader processes to measure the waiting with; none: do not (default: 0 2 4)')
    parser.add_argument('--compile', action='store_true', help='on a CPU, too; takes a minute or more a recipe')
    parser.add_argument('--largest-batch', action='store_true',
                        help='on a CPU, too: worked out from the memory that small batches take')
    parser.add_argument('--memory', type=float, default=8, metavar='GIB',
                        help='for --largest-batch on a CPU: what training may take (default: %(default)s)')
    parser.add_argument('--curve', type=_count, metavar='N',
                        help='only train N steps by float32 and by the fast recipe, and compare losses; --budget does '
                             'not cut it')
    parser.add_argument('--plot', type=Path, metavar='FILE', default=Path('training_curve.png'),
                        help='the picture of --curve (default: %(default)s)')
    parser.add_argument('--rounds', type=_count, default=3, metavar='N',
                        help='how often each is measured; the median counts (default: %(default)s)')
    parser.add_argument('--seconds', type=float, metavar='S',
                        help='how long each is measured each time, at least one step (default: 0.3 on a GPU, else 1)')
    parser.add_argument('--budget', type=float, default=210, metavar='S',
                        help='seconds for all; what does not fit is left out and named (default: %(default)s)')
    parser.add_argument('--threads', type=_count, metavar='N', help="threads of a CPU (default: torch's choice)")
    parser.add_argument('--work', type=Path, metavar='FOLDER', help='for drawn clips, which are removed (default: the '
                        "system's folder for temporary files)")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file, too')
    parser.add_argument('--markdown', type=Path, metavar='FILE', help='write what is printed to this file, too')
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1')
    return int(text)


def _check(args: argparse.Namespace) -> None:
    if not 0 < args.budget < 10**6 or not 0 < args.memory < 10**6 or not 0 < (args.seconds or 1) < 3600:
        raise OptionError(f'--budget {args.budget} --memory {args.memory} --seconds {args.seconds}: give numbers above '
                          '0, and up to an hour for --seconds')
    if any(workers < 0 for workers in args.workers):
        raise OptionError(f'--workers {args.workers}: give numbers from 0')
    if args.curve and args.curve < 10:
        raise OptionError(f'--curve {args.curve}: give at least 10 steps')


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == 'cuda' and not there:
        raise OptionError('--device cuda: torch finds no GPU; leave --device out, or run "basicsr doctor"')
    return torch.device('cuda' if there and name != 'cpu' else 'cpu')


def _machine(device: torch.device) -> dict[str, str]:
    found = machine() | {'threads': str(torch.get_num_threads())}
    if device.type == 'cuda':
        found |= {'GPU': torch.cuda.get_device_name(device), 'CUDA': str(torch.version.cuda),
                  'cuDNN': str(torch.backends.cudnn.version())}
    return found


def _measure(args: argparse.Namespace, device: torch.device, work: Path) -> tuple[str, dict[str, Any]]:
    on_gpu = device.type == 'cuda'
    settings = Settings(
        device, choose_networks(args.networks or NETWORKS[device.type], None), args.patches or [32, 64],
        args.batches or BATCHES[device.type], args.workers, args.rounds, args.seconds or SECONDS[device.type],
        with_compile=on_gpu or args.compile, with_largest=on_gpu or args.largest_batch,
        memory=int(args.memory * 2**30))
    with tqdm(desc='measuring', bar_format='{desc} ({elapsed})') as progress:
        results = Plan(settings, Budget(args.budget), work, progress.set_description).run()
    return str(results), results.as_json()


def _curve(args: argparse.Namespace, device: torch.device, work: Path) -> tuple[str, dict[str, Any]]:
    network = choose_networks((args.networks or NETWORKS[device.type])[:1], None)[0]
    patch, batch = (args.patches or [24])[0], (args.batches or [8])[0]
    on_gpu = device.type == 'cuda'
    both = (plain_recipe(device, batch), fast_recipe(device, batch, compiled=on_gpu or args.compile))
    root = draw_clips(work / 'clips', clips=12, frames=7, size=max(128, 2 * SCALE * patch))
    curves = measure_curves(network, both, patch, args.curve, root, device)
    write_plot(curves, args.plot)
    print(f'written: {args.plot}', file=sys.stderr)
    return str(curves), {'curve': curves.as_json()}


def _write(path: Path | None, text: str) -> None:
    if path:
        with written_beside(path) as partial:
            partial.write_text(text + '\n', encoding='utf-8')


if __name__ == '__main__':
    run_main(main)
