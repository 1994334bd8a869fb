#!/usr/bin/env python3
"""Measure how fast networks run, each way beside the plain one, and what it costs in exactness, in one run."""

from __future__ import annotations

import os
import time

BEGUN = time.monotonic()  # loading libraries counts, too
os.environ.setdefault('KINETO_LOG_LEVEL', '9')  # torch.profiler writes a lot to stderr otherwise

import argparse  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402

from satvsr_plugin.atomic import written_beside  # noqa: E402
from satvsr_plugin.benchmarks.budget import Budget  # noqa: E402
from satvsr_plugin.benchmarks.inference import Settings  # noqa: E402
from satvsr_plugin.benchmarks.inference_run import Plan, run  # noqa: E402
from satvsr_plugin.errors import OptionError, run_main  # noqa: E402
from satvsr_plugin.inference.precision import choose_device  # noqa: E402

EXAMPLE = """examples:
  python scripts/benchmark_inference.py --json benchmark_inference.json
  python scripts/benchmark_inference.py --networks full --sizes 160 --budget 1000 --scaling
  python scripts/benchmark_inference.py --weights net_g_best.pth --networks small --gt my_clips/GT --lq my_clips/LR4x
The first takes up to three and a half minutes; what does not fit into --budget is left out and named at the end.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    _check(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    plan = Plan(args.networks, args.weights, sorted(set(args.sizes)), args.scaling,
                device.type == 'cuda' if args.compile is None else args.compile, args.gt, args.lq)
    report = run(plan, Settings(device, args.seconds, args.rounds), Budget(args.budget, BEGUN))
    print(report)
    for path, text in ((args.json, report.to_json()), (args.markdown, f'{report}\n')):
        if path:
            with written_beside(path) as partial:
                partial.write_text(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--networks', nargs='+', default=['full', 'small'], metavar='NAME',
                        help="full (the paper's MSDTGP), small (the weights that come along), or names of the "
                             "toolbox's registry such as TDAN or EDVR (default: full small)")
    parser.add_argument('--weights', type=Path, metavar='FILE', help='trained weights to measure, too')
    parser.add_argument('--sizes', type=int, nargs='+', default=[32, 64, 160], metavar='PX',
                        help='heights and widths of LR frames (default: 32 64 160)')
    parser.add_argument('--device', default='auto', help='auto (a GPU where there is one), cpu, cuda, cuda:1, ...')
    parser.add_argument('--threads', type=int, metavar='N', help="threads on a CPU (default: torch's choice)")
    parser.add_argument('--rounds', type=int, default=3, metavar='N',
                        help='how often each is measured; the median counts (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=0.4, metavar='S',
                        help='how long each is measured in a round, at least one call (default: %(default)s)')
    parser.add_argument('--budget', type=float, default=210, metavar='S',
                        help='seconds that all may take; the rest is left out and named (default: %(default)s)')
    parser.add_argument('--compile', action=argparse.BooleanOptionalAction,
                        help='with torch.compile, too, which takes time for each network and size (default: on GPUs)')
    parser.add_argument('--scaling', action='store_true',
                        help='how time and memory grow with the size of frames and the length of a video, too')
    parser.add_argument('--gt', type=Path, metavar='CLIPS', help='GT clips to score trained networks on, with --lq '
                                                                 '(default: a drawn clip)')
    parser.add_argument('--lq', type=Path, metavar='CLIPS', help='the LR clips that belong to --gt')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file, too')
    parser.add_argument('--markdown', type=Path, metavar='FILE', help='write what is printed to this file, too')
    return parser


def _check(args: argparse.Namespace) -> None:
    """Raises: OptionError."""
    if args.rounds < 1 or not 0 < args.seconds < 3600:
        raise OptionError(f'--rounds {args.rounds} --seconds {args.seconds}: give one round or more, and up to an hour')
    if not args.budget > 0:
        raise OptionError(f'--budget {args.budget:g}: give the seconds that all may take, e.g. 210')
    if args.threads is not None and args.threads < 1:
        raise OptionError(f'--threads {args.threads}: give one or more')
    if min(args.sizes) < 8 or max(args.sizes) > 4096:
        raise OptionError(f'--sizes {" ".join(map(str, args.sizes))}: give LR sizes of 8 to 4096 pixels')
    if (args.gt is None) != (args.lq is None):
        raise OptionError('--gt and --lq: give both, or none of them for a drawn clip')


if __name__ == '__main__':
    run_main(main)
