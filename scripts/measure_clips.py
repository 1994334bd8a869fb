#!/usr/bin/env python3
"""Measure clips: power spectrum, noise, drift; and of results, how much they flicker.

For telling how near simulated clips come to real ones, and what a network makes of them. All is measured on luma.
"""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch
os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes share the cores; threads of NumPy's would be in the way

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.clip_source import ClipSource
from satvsr_plugin.data.clips import open_clips
from satvsr_plugin.data.dataset_report.layout import is_lmdb
from satvsr_plugin.data.measures import measure_sets
from satvsr_plugin.data.measures.plot import write_plot
from satvsr_plugin.data.measures.report import render_table, write_json
from satvsr_plugin.errors import OptionError, run_main
from satvsr_plugin.parallel import add_processes_argument

EXAMPLE = """examples:
  python scripts/measure_clips.py my_clips/GT datasets/simulated/train/GT --names real simulated --output measures
  python scripts/measure_clips.py results/test_MSDTGP_x4_Jilin189/visualization/Jilin189 --names MSDTGP \\
      --gt datasets/Jilin-189/testset/eval/GT --output measures
writes measures/spectra.png and measures/measures.json

exit codes: 0 done, 2 wrong input or options.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    sources = dict(zip(_names(args), map(_open, args.clips), strict=True))
    gt = _open(args.gt) if args.gt else None
    measures = measure_sets(sources, gt, args.frames, args.processes)
    write_json(measures, args.output / 'measures.json')
    write_plot({name: found.spectrum for name, found in measures.sets.items()}, args.output / 'spectra.png')
    print(render_table(measures))
    print(f'written: {args.output / "measures.json"}, {args.output / "spectra.png"}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('clips', nargs='+', type=Path, metavar='CLIPS',
                        help='folder with one folder of frames a clip, or an LMDB')
    parser.add_argument('--names', nargs='+', metavar='NAME', help='how to call them (default: their paths)')
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER',
                        help='gets measures.json and spectra.png')
    parser.add_argument('--gt', type=Path, metavar='GT',
                        help='the ground truth of CLIPS, which are results: measures their flicker (default: none)')
    parser.add_argument('--frames', type=_frames, default=10, metavar='N',
                        help='frames of every clip, from the first on (default: %(default)s)')
    add_processes_argument(parser)
    return parser


def _names(args: argparse.Namespace) -> list[str]:
    names = args.names or [str(path) for path in args.clips]
    if len(names) != len(args.clips):
        raise OptionError(f'--names: {len(names)} names for {len(args.clips)} sets of clips; give one each')
    if len(set(names)) < len(names):
        raise OptionError('two sets of clips have one name; tell them apart with --names')
    return names


def _open(root: Path) -> ClipSource:
    return open_clips(root, 'lmdb' if is_lmdb(root) else 'disk')


def _frames(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1')
    return int(text)


if __name__ == '__main__':
    run_main(main)
