#!/usr/bin/env python3
"""Cut long satellite videos into clips of some frames and a given size, in the layout of Jilin-189.

A grid of windows is laid over the frames, and each window becomes a clip of --frames frames, then the next one, to the
end. Windows without texture (open water, cloud), with a scene cut or with places without data are left out.
"""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from satvsr_plugin.data.extraction import ExtractionOptions, Moment, extract_clips
from satvsr_plugin.data.video import Bands
from satvsr_plugin.errors import OptionError, run_main

EXAMPLE = """examples:
  python scripts/extract_clips.py --input jilin1.mp4 --output my_clips
  python scripts/extract_clips.py --input 'scene_a/*.tif' --output my_clips --frames 30 --size 512 --bands 3 2 1
writes my_clips/GT/<clip>/<frame>.png, my_clips/meta_info.txt (a list of all frames, for the option meta_info_file)
and my_clips/extraction.json (where each clip is from, and why windows were left out)
"""
DEFAULT = ExtractionOptions()


def main(arguments: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    options = ExtractionOptions(
        frames=args.frames, size=pair(args.size), stride=pair(args.stride), step=args.step,
        start=Moment.parse(args.start), end=None if args.end is None else Moment.parse(args.end),
        min_texture=args.min_texture, cut_threshold=args.cut_threshold, data_range=args.data_range,
        max_clips=args.max_clips)
    summary = extract_clips(args.input, args.output, options, bands(args.bands), args.overwrite)
    for remark in summary.remarks:
        print(f'note: {remark}')
    skipped = summary.skipped
    width, height = options.size
    print(f'{args.output}: {summary.clips} clip{"s" if summary.clips > 1 else ""} of {options.frames} frames, '
          f'{width}x{height}, in {summary.seconds:.1f} s')
    print(f'left out: {skipped["texture"]} windows for lack of texture, {skipped["cut"]} for scene cuts, '
          f'{skipped["nodata"]} for places without data')
    print(f'list of frames: {args.output / "meta_info.txt"}, origin of clips: {args.output / "extraction.json"}')
    print(f'next: python scripts/degrade_clips.py --input {args.output / "GT"} --output {args.output} --scale 4')


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--input', nargs='+', required=True, metavar='PATH',
        help='video files; folders of pictures, each a video; or pictures (TIFF of several pages too), all together '
             'one video in natural order')
    add('--output', type=Path, required=True, metavar='FOLDER', help='a new or empty folder')
    add('--bands', nargs='+', metavar='N',
        help='which bands make the picture, from 1, e.g. 3 2 1 for files that store blue first; or the word frames: '
             'each band of a TIFF is a frame (default: all, as stored)')
    add('--max-clips', type=int, metavar='N', help='stop when there are that many (default: no limit)')
    add('--overwrite', action='store_true', help='replace a folder of clips that were extracted before')
    add_grid(parser.add_argument_group('which windows become clips').add_argument)
    add_choice(parser.add_argument_group('which of them are left out').add_argument)
    return parser


def add_grid(add: Callable[..., object]) -> None:
    """Options of the grid of windows, in the frame and in time."""
    add('--frames', type=int, default=DEFAULT.frames, metavar='N', help='frames of a clip (default: %(default)s)')
    add('--size', type=int, nargs='+', default=list(DEFAULT.size), metavar='PX',
        help='width and height of a clip, or one number for both (default: 640)')
    add('--stride', type=int, nargs='+', metavar='PX',
        help='pixels from one window to the next, across and down (default: the size, so that windows touch)')
    add('--step', type=int, metavar='N',
        help='frames from the start of a clip to the start of the next (default: --frames, so that none is used twice)')
    add('--start', default='0', metavar='WHEN',
        help='first frame to use: its number, from 0, or seconds with an s (10.5s) (default: %(default)s)')
    add('--end', metavar='WHEN', help='first frame not to use any more, likewise (default: the end of the video)')


def add_choice(add: Callable[..., object]) -> None:
    """Options of the measures by which windows are left out."""
    add('--min-texture', type=float, default=DEFAULT.min_texture, metavar='LEVELS',
        help='least texture of a window: mean standard deviation in squares of 32x32 px, after averaging 4x4, in grey '
             'levels of 255; towns have 20 to 40, open water 1; 0 takes all (default: %(default)s)')
    add('--cut-threshold', type=float, default=DEFAULT.cut_threshold, metavar='CHANGE',
        help='scene cuts are where two frames differ by more in their coarse structure, from 0 (same) to 2; a drift '
             'of 3 px a frame gives up to 0.2, a new scene 0.8 to 1; 2 finds none (default: %(default)s)')
    add('--data-range', type=int, metavar='WHITE',
        help='value of white, e.g. 2047 for 11-bit data in 16-bit files; only the measure of texture and of cuts '
             'needs it, values are kept (default: 255 or 65535)')


def pair(numbers: Sequence[int] | None) -> tuple[int, ...] | None:
    """One number stands for both directions."""
    return None if numbers is None else tuple(numbers) * (2 if len(numbers) == 1 else 1)


def bands(words: Sequence[str] | None) -> Bands:
    """Numbers of bands, or the word ``frames``."""
    if words is None or words == ['frames']:
        return 'frames' if words else None
    if not all(word.isdecimal() for word in words) or len(words) not in (1, 3, 4):
        raise OptionError(f'--bands {" ".join(words)}: give 1, 3 or 4 numbers of bands, or the word frames')
    return tuple(map(int, words))


if __name__ == '__main__':
    run_main(main)
