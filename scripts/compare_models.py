#!/usr/bin/env python3
"""Compare systems: tables of all clips with cost, significance and published figures, pictures, and one page.

A system is a result folder of ``basicsr test``, or a test option file, which is tested first unless the same test was
made before. The page (report.html) needs no server and no network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from satvsr_plugin.comparison.figures import Crop, FigureChoice
from satvsr_plugin.comparison.published import MODES
from satvsr_plugin.comparison.report import Choices, compare
from satvsr_plugin.errors import run_main

EXAMPLE = """examples:
  python scripts/compare_models.py results/test_Bicubic_x4_Jilin189 results/test_MSDTGP_x4_Jilin189 \\
      --output comparison
  python scripts/compare_models.py options/test/Bicubic/test_Bicubic_x4_Jilin189.yml \\
      options/test/MSDTGP/test_MSDTGP_x4_Jilin189.yml options/test/EDVR/test_EDVR_L_x4_Jilin189.yml \\
      --force_yml datasets:test:dataroot=my_clips --output comparison

exit codes: 0 done, 2 wrong input or options.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, compare, print the table and name the files written."""
    args = build_parser().parse_args(arguments)
    figures = FigureChoice(args.clip, args.frame, args.crop, args.row, args.gt)
    choices = Choices(args.names, args.dataset, args.force_yml, args.published, args.cost, args.remeasure, figures,
                      args.report_frames)
    comparison = compare(args.systems, args.output, choices, partial(print, flush=True))
    print(f'\n{comparison.text}\n')
    for note in comparison.notes:
        print(f'note: {note}')
    for path in comparison.files:
        print(f'written: {path}')


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'systems', nargs='+', type=Path, metavar='RESULT_FOLDER_OR_OPTION_FILE',
        help='results/<name>, or a test option file (.yml); the first is the baseline that gains are counted from',
    )  # fmt: skip
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER',
        help='where to write comparison.md, .csv, .tex, .json and .png, and report.html',
    )  # fmt: skip
    parser.add_argument(
        '--names', nargs='+', metavar='NAME',
        help="how to call the systems (default: short names of their networks, or else the experiments')",
    )  # fmt: skip
    parser.add_argument('--dataset', metavar='NAME', help='data set to compare on (default: the one they share)')
    parser.add_argument(
        '--force_yml', nargs='+', action='extend', default=[], metavar='KEY:KEY=VALUE',
        help='change options of all option files, as basicsr test does (default: nothing)',
    )  # fmt: skip
    _add_table_arguments(parser.add_argument_group('table'))
    _add_figure_arguments(parser.add_argument_group('figures and page'))
    return parser


def _add_table_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--published', choices=MODES, default='auto',
        help="published figures beside one's own: auto where the clips are surely those of Jilin-189, shown by the "
        "scores of Bicubic; always by the clips' names alone; never (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        '--no-cost', dest='cost', action='store_false',
        help='leave out parameters, operations, time and memory (default: measured once, about a minute a system)',
    )  # fmt: skip
    group.add_argument(
        '--remeasure', action='store_true',
        help='measure the cost again (default: taken from cost.json of the result folder, if it is of this machine)',
    )  # fmt: skip


def _add_figure_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--gt', type=Path, metavar='GT', help='ground truth, <clip>/<frame>.png (default: where the test found it)',
    )  # fmt: skip
    group.add_argument('--clip', metavar='C', help='clip to show (default: the first)')
    group.add_argument('--frame', metavar='F', help="frame to show, without .png (default: the clip's middle one)")
    group.add_argument(
        '--crop', type=parse_crop, metavar='X,Y,SIZE',
        help='part to enlarge, in pixels (default: where the best system gains most over the baseline)',
    )  # fmt: skip
    group.add_argument(
        '--row', type=int, metavar='Y',
        help='row of the picture for the x-t slice (default: the one with most texture in the crop)',
    )  # fmt: skip
    group.add_argument(
        '--report-frames', type=int, default=3, metavar='N',
        help='frames of every clip on the page (default: %(default)s)',
    )  # fmt: skip


def parse_crop(text: str) -> Crop:
    """``X,Y,SIZE`` in pixels."""
    try:
        x, y, size = (int(number) for number in text.split(','))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not X,Y,SIZE, for example 320,128,80') from error
    return Crop(x, y, size)


if __name__ == '__main__':
    run_main(main)
