#!/usr/bin/env python3
"""Simulate paired satellite video clips from stills, or from drawn scenes when there are none."""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.degradation import SCALES
from satvsr_plugin.data.simulation import SimulationOptions, simulate_dataset
from satvsr_plugin.errors import run_main

EXAMPLE = """example:
  python scripts/simulate_clips.py --output datasets/drawn --seed 1
  python scripts/simulate_clips.py --output datasets/simulated --stills aerial_pictures --clips 160 --frames 9
writes train/ and eval/ with GT/<clip>/<frame>.png and LR4x/<clip>/<frame>.png, and simulation.json with all settings
"""


def main(arguments: Sequence[str] | None = None) -> None:
    default = SimulationOptions()
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER', help='a new or empty folder')
    parser.add_argument('--stills', type=Path, metavar='FOLDER',
                        help='sharp pictures, about 1 m a pixel and larger than the frames (default: drawn scenes)')
    parser.add_argument('--test-stills', type=Path, metavar='FOLDER',
                        help='pictures for the test clips (default: every tenth of --stills, kept from training)')
    parser.add_argument('--overwrite', action='store_true', help='replace a data set that was simulated before')
    for name, what in (
        ('seed', 'same seed, same bytes'),
        ('clips', 'training clips'),
        ('test-clips', 'test clips, of stills or scenes that no training clip shows'),
        ('frames', 'frames of a clip'),
        ('size', 'height and width of GT frames in pixels, a multiple of the scale'),
    ):
        parser.add_argument(f'--{name}', type=int, default=getattr(default, name.replace('-', '_')), metavar='N',
                            help=f'{what} (default: %(default)s)')
    parser.add_argument('--scale', type=int, choices=SCALES, default=default.scale,
                        help='how many times smaller LR is (default: %(default)s)')
    args = vars(parser.parse_args(arguments))
    output, stills, overwrite, test_stills = map(args.pop, ('output', 'stills', 'overwrite', 'test_stills'))
    summary = simulate_dataset(output, SimulationOptions(**args), stills, overwrite, test_stills)
    print(f'{output}: {summary.train_clips} training and {summary.eval_clips} test clips, {summary.frames} frames '
          f'in {summary.seconds:.1f} s')


if __name__ == '__main__':
    run_main(main)
