#!/usr/bin/env python3
"""Check a data set: what is missing, damaged, doubled or unlike, and how far LR is from our degradation of GT."""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch
os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes share the cores; threads of NumPy's would be in the way

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from satvsr_plugin.data.dataset_report import check_dataset, explicit_layout, find_layout, render_text, write_json
from satvsr_plugin.errors import OptionError, run_main
from satvsr_plugin.parallel import add_processes_argument

EXAMPLE = """example:
  python scripts/check_dataset.py --input datasets/Jilin-189/trainset/train --against datasets/Jilin-189/testset/eval
  python scripts/check_dataset.py --gt GT.lmdb --lq LR4x.lmdb --json report.json

exit code: 0 in order (there may be warnings), 1 something is not, 2 wrong input or options
  errors:   clips that cannot be opened, empty clips, frames outside any clip, two frames of one name, damaged frames,
            frames unlike their clip, clips with other numbers of channels; clips and frames on one side only, sizes
            that do not fit the scale, GT and LR of different kinds, LR of another GT frame; frames that a data set of
            --against has too
  warnings: frozen video, blank frames, clips and frames that are there twice, gaps in the numbers of frames, mixed
            bit depths and image formats, clips whose LR was made otherwise than that of most, files that are not read
"""


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parse(arguments)
    layout = find_layout(args.input, args.scale) if args.input else explicit_layout(args.gt, args.lq, args.scale)
    report = check_dataset(layout, [find_layout(root) for root in args.against], args.sample, args.processes)
    sys.stdout.reconfigure(errors='backslashreplace')  # names of files need not be text
    print(render_text(report))
    if args.json:
        write_json(report, args.json)
    return 0 if report.in_order else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, metavar='DATA',
                        help='folder of clips, an LMDB, or a folder with GT and LR<scale>x (or GT.lmdb, ...)')
    parser.add_argument('--gt', type=Path, metavar='DATA', help='GT clips, instead of --input')
    parser.add_argument('--lq', type=Path, metavar='DATA', help='LR clips, instead of --input')
    parser.add_argument('--scale', type=_number(2), metavar='N',
                        help='how many times smaller LR is (default: as the name LR<scale>x or the sizes say)')
    parser.add_argument('--against', type=Path, nargs='+', default=[], metavar='DATA',
                        help='other data sets, e.g. for testing, that should share no frame (default: none)')
    parser.add_argument('--sample', type=_number(1), metavar='N',
                        help='compare at most N pairs of a clip with our degradation of GT (default: all)')
    add_processes_argument(parser)
    parser.add_argument('--json', type=Path, metavar='FILE.json',
                        help='write the whole report there, too (default: no file)')
    args = parser.parse_args(arguments)
    if (args.input is None) == (args.gt is None and args.lq is None):
        raise OptionError('give either --input, or --gt and --lq (or one of them)')
    if args.json and (args.json.suffix != '.json' or args.json.is_dir()):
        raise OptionError(f'--json {args.json}: should be a file that ends with .json')
    return args


def _number(lowest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from {lowest}')
        return int(text)

    return parse


if __name__ == '__main__':
    run_main(main)
