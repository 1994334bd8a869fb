#!/usr/bin/env python3
"""Fit the linear filter, the least that a network has to beat, to paired clips; it takes a minute, not a training.

The network LinearFilter makes every HR pixel a weighted sum of the LR pixels round it. Its weights are the ones of the
least squared error on these clips, found by solving one system of linear equations.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.comparison.linear_fit import LinearFit, fit_linear_filter, open_layout
from satvsr_plugin.data.dataset_report import explicit_layout, find_layout
from satvsr_plugin.errors import OptionError, WeightsError, run_main
from satvsr_plugin.weights import save_described

EXAMPLE = """examples:
  python scripts/fit_linear_filter.py --dataroot datasets/simulated/train --output linear_filter.pth
  python scripts/fit_linear_filter.py --gt my_clips/GT.lmdb --lq my_clips/LR4x.lmdb --frames 5 --output linear.pth
  basicsr test -opt options/test/LinearFilter/test_LinearFilter_x4_Jilin189.yml

exit codes: 0 done, 2 wrong input or options.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    args = _parse(arguments)
    if args.output.exists() and not args.overwrite:
        raise WeightsError(f'{args.output} exists; choose another name or add --overwrite')
    layout = (find_layout(args.dataroot, args.scale) if args.dataroot else
              explicit_layout(args.gt, args.lq, args.scale))
    fit = fit_linear_filter(open_layout(layout), args.frames, args.kernel_size)
    network = {'type': 'LinearFilter', 'scale': fit.net.scale, 'kernel_size': args.kernel_size}
    save_described(args.output, fit.net.state_dict(), network)
    print(_describe(fit))
    print(f'{args.output}: written; its network_g: {network}')


def _describe(fit: LinearFit) -> str:
    weights = fit.net.weight.numel()
    return (f'{weights} weights fitted to {fit.frames} frames ({fit.samples:,} equations a phase)\n'
            f'sums of the weights of a phase: {fit.sums.min():.4f} to {fit.sums.max():.4f} (1 keeps the brightness)\n'
            f'PSNR on these frames: bicubic {fit.bicubic:.3f} dB, linear filter {fit.fitted:.3f} dB '
            f'({fit.fitted - fit.bicubic:+.3f} dB)')


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dataroot', type=Path, metavar='DATA',
                        help='folder with GT and LR<scale>x (or GT.lmdb, ...), instead of --gt and --lq')
    parser.add_argument('--gt', type=Path, metavar='DATA', help='folder or LMDB of GT clips')
    parser.add_argument('--lq', type=Path, metavar='DATA', help='folder or LMDB of LR clips')
    parser.add_argument('--output', type=Path, required=True, metavar='FILE.pth', help='the checkpoint to write')
    parser.add_argument('--frames', type=_count, default=1, metavar='N',
                        help='frames of every clip, evenly spaced (default: %(default)s)')
    parser.add_argument('--kernel_size', type=_count, default=7, metavar='K',
                        help='height and width of the filters in LR pixels, odd, at least 5 (default: %(default)s)')
    parser.add_argument('--scale', type=_count, metavar='N',
                        help='how many times smaller LR is (default: as the name LR<scale>x or the sizes say)')
    parser.add_argument('--overwrite', action='store_true', help='replace the output if it exists (default: refuse)')
    args = parser.parse_args(arguments)
    if (args.dataroot is None) == (args.gt is None or args.lq is None) or (args.dataroot and (args.gt or args.lq)):
        raise OptionError('give either --dataroot, or both --gt and --lq')
    return args


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1')
    return int(text)


if __name__ == '__main__':
    run_main(main)
