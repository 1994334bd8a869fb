#!/usr/bin/env python3
"""Compare systems on the results of ``basicsr test``: one table of all clips, and one figure with enlarged crops."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.comparison import Crop, FigureChoice, compare
from satvsr_plugin.errors import run_main

EXAMPLE = """example:
  python scripts/compare_models.py results/Bicubic_x4 results/MSDTGP_x4 \\
      --names Bicubic MSDTGP --gt testset/eval/GT --output comparison
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, compare, print the table and name the files written."""
    args = build_parser().parse_args(arguments)
    comparison = compare(
        args.results,
        args.output,
        names=args.names,
        dataset=args.dataset,
        gt_folder=args.gt,
        choice=FigureChoice(args.clip, args.frame, args.crop),
    )
    print(comparison.table)
    print()
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
        'results', nargs='+', type=Path, metavar='RESULT_FOLDER',
        help='results/<name> of each system; the first is the baseline that gains are counted from',
    )  # fmt: skip
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER',
        help='where to write comparison.md, comparison.csv and comparison.png',
    )  # fmt: skip
    parser.add_argument('--names', nargs='+', metavar='NAME', help='how to call the systems (default: as the folders)')
    parser.add_argument('--dataset', metavar='NAME', help='data set to compare on (default: the one they share)')
    figure = parser.add_argument_group('figure')
    figure.add_argument('--gt', type=Path, metavar='GT_FOLDER', help='folder with the ground truth, <clip>/<frame>.png')
    figure.add_argument('--clip', metavar='C', help='clip to show (default: the first)')
    figure.add_argument('--frame', metavar='F', help="frame to show, without .png (default: the clip's middle one)")
    figure.add_argument(
        '--crop', type=parse_crop, metavar='X,Y,SIZE',
        help='part to enlarge, in pixels (default: where the best system gains most over the baseline)',
    )  # fmt: skip
    return parser


def parse_crop(text: str) -> Crop:
    """``X,Y,SIZE`` in pixels."""
    try:
        x, y, size = (int(number) for number in text.split(','))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not X,Y,SIZE, for example 320,128,80') from error
    return Crop(x, y, size)


if __name__ == '__main__':
    run_main(main)
