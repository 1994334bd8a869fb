#!/usr/bin/env python3
"""Estimate the optical flow of LR clips once, for training RBPN (flow: precomputed) without estimating it again.

Every frame gets a file with the flow to its neighbours. A run that is stopped goes on where it was when the same
command is given again.
"""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.flow_writer import write_flows
from satvsr_plugin.errors import run_main
from satvsr_plugin.ops.opencv_flow import METHODS
from satvsr_plugin.parallel import add_processes_argument

EXAMPLE = """example:
  python scripts/estimate_flow.py --input trainset/train/LR4x --output trainset/train/flow4x --num_frame 7
writes trainset/train/flow4x/<clip>/<frame>.npy: (6, 2, h, w) float16, how far right and down what is seen at a pixel
lies in the neighbours -3, -2, -1, 1, 2, 3, in LR pixels; zero for those beyond the ends of a clip. In the option file:
  datasets: {train: {flow_root: trainset/train/flow4x, ...}}
  network_g: {type: RBPN, flow: precomputed, ...}

exit codes: 0 done, 2 wrong input or options.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, metavar='LR',
                        help='folder with one folder of LR frames a clip, 8 or 16 bit')
    parser.add_argument('--output', type=Path, required=True, metavar='FLOW', help='the folder to make')
    parser.add_argument('--method', choices=sorted(METHODS), default='dis',
                        help='OpenCV\'s DIS (preset medium) or Farneback (default: %(default)s)')
    parser.add_argument('--num_frame', type=int, default=7, metavar='N',
                        help='length of the network\'s window, odd (default: %(default)s)')
    add_processes_argument(parser)
    args = parser.parse_args(arguments)
    summary = write_flows(ClipFolder(args.input), args.output, args.method, args.num_frame, args.processes)
    earlier = f' ({summary.taken_up} of them by an earlier run)' if summary.taken_up else ''
    print(f'{args.output}: flow of {summary.clips} clips, {summary.frames} frames{earlier} in {summary.seconds:.1f} s')


if __name__ == '__main__':
    run_main(main)
