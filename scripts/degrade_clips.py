#!/usr/bin/env python3
"""Make LR clips from GT clips exactly as the authors of Jilin-189 did, and bicubic pictures at full size if asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import SCALES
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.errors import run_main

EXAMPLE = """example:
  python scripts/degrade_clips.py --input trainset/train/GT --output trainset/train --scale 4 --bicubic
writes trainset/train/LR4x/<clip>/<frame>.png and trainset/train/Bicubic4x/<clip>/<frame>.png
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, metavar='GT',
                        help='folder with one folder of frames a clip')
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER', help='gets LR<scale>x')
    parser.add_argument('--scale', type=int, choices=SCALES, default=4,
                        help='how many times smaller LR is (default: %(default)s)')
    parser.add_argument('--bicubic', action='store_true', help='write Bicubic<scale>x, LR back at full size, too')
    parser.add_argument('--crop', action='store_true',
                        help='cut GT to a multiple of the scale, at the bottom and right, and write it to FOLDER/GT')
    parser.add_argument('--overwrite', action='store_true', help='replace frames that are there already')
    args = parser.parse_args(arguments)
    summary = degrade_clips(ClipFolder(args.input), args.output, args.scale, args.bicubic, args.crop, args.overwrite)
    print(f'{args.output}: {", ".join(summary.folders)} of {summary.clips} clips, {summary.frames} frames '
          f'in {summary.seconds:.1f} s')


if __name__ == '__main__':
    run_main(main)
