#!/usr/bin/env python3
"""Make LR clips from GT clips exactly as the authors of Jilin-189 did, or with blur, noise and compression.

A run that is stopped, even by a kill or a full disk, goes on where it stopped when the same command is given again.
What was done to the frames is written into degradation.json beside the clips.
"""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch
os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes share the cores; threads of NumPy's would be in the way

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import KINDS, SCALES
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.errors import OptionError, run_main
from satvsr_plugin.parallel import add_processes_argument

EXAMPLE = """examples:
  python scripts/degrade_clips.py --input trainset/train/GT --output trainset/train --scale 4 --bicubic
writes trainset/train/LR4x/<clip>/<frame>.png and trainset/train/Bicubic4x/<clip>/<frame>.png
  python scripts/degrade_clips.py --input trainset/train/GT --output blind --blur 1.2 2.0 --noise 0 3 --jpeg 70 95
blurs every clip by its own amount, shrinks it, adds noise and compresses it
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    args = parser.parse_args(arguments)
    jpeg = None if args.jpeg is None else _range('--jpeg', args.jpeg)
    blur = None if args.blur is None else _range('--blur', args.blur)
    degradation = Degradation(args.scale, args.kind, blur, args.anisotropic, _range('--noise', args.noise), jpeg,
                              args.seed)
    summary = degrade_clips(ClipFolder(args.input), args.output, degradation, args.bicubic, args.crop, args.overwrite,
                            args.processes)
    earlier = f' ({summary.taken_up} of them by an earlier run)' if summary.taken_up else ''
    print(f'{args.output}: {", ".join(summary.folders)} of {summary.clips} clips, {summary.frames} frames{earlier} '
          f'in {summary.seconds:.1f} s')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, metavar='GT',
                        help='folder with one folder of frames a clip, 8 or 16 bit')
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER',
                        help='gets LR<scale>x and degradation.json')
    parser.add_argument('--scale', type=int, choices=SCALES, default=4,
                        help='how many times smaller LR is (default: %(default)s)')
    parser.add_argument('--bicubic', action='store_true',
                        help='write Bicubic<scale>x, LR back at full size, too (default: no)')
    parser.add_argument('--crop', action='store_true', help='cut GT to a multiple of the scale, at the bottom and '
                        'right, and write it to FOLDER/GT (default: no)')
    parser.add_argument('--overwrite', action='store_true', help='replace frames that are there already (default: no)')
    add_processes_argument(parser)
    group = parser.add_argument_group(
        'what is done to the frames, in this order', 'Two values are a range from which every clip draws one.')
    group.add_argument('--blur', type=float, nargs='+', metavar='SIGMA',
                       help='Gaussian blur of this standard deviation in GT pixels (default: none for bicubic; 0.4 * '
                            'SCALE for bd, the 1.6 of VSR-DUF at x4)')
    group.add_argument('--anisotropic', action='store_true',
                       help='draw two blurs and an angle: wider in one direction than across it (default: no)')
    group.add_argument('--kind', choices=KINDS, default='bicubic',
                       help='bicubic: anti-aliased, as in Jilin-189; bd: blur and decimation, which takes the first '
                            'pixel of every SCALE in both directions, as VSR-DUF does (default: %(default)s)')
    group.add_argument('--noise', type=float, nargs='+', default=[0.0], metavar='SIGMA',
                       help='Gaussian noise of this standard deviation in grey levels of 255, also for 16 bit '
                            '(default: 0)')
    group.add_argument('--jpeg', type=int, nargs='+', metavar='QUALITY',
                       help='JPEG compression of this quality, 1 to 100; the frames stay PNG (default: none)')
    group.add_argument('--seed', type=int, default=0, metavar='N',
                       help='same seed, same bytes, whatever the number of processes (default: %(default)s)')
    return parser


def _range(option: str, values: list[float]) -> tuple[float, float]:
    if len(values) > 2:
        raise OptionError(f'{option} takes one value or two, not {len(values)}')
    return values[0], values[-1]


if __name__ == '__main__':
    run_main(main)
