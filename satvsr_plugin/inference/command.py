"""The arguments of ``basicsr infer`` and of ``scripts/infer_video.py``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from satvsr_plugin.acceleration.paths import NAMES
from satvsr_plugin.data.windows import Padding

DESCRIPTION = 'Super-resolve a satellite video of any size and length.'
EXAMPLES = """examples:
  basicsr infer -i video.mp4 -o video_x4.mp4                       video to video, with the weights that come along
  basicsr infer -i frames/ -o frames_x4/                           PNGs to PNGs of the same names
  basicsr infer -i "scene_*.tif" -o scene_x4/                      GeoTIFFs to GeoTIFFs, georeference kept
  basicsr infer -i stack.tif -o stack_x4/ --bands frames           a TIFF each of whose bands is a frame
  basicsr infer -i video.mp4 -o out.mp4 --weights net_g_best.pth   with a network of your own training
  basicsr infer -i video.mp4 -o out.mp4 --preview 8                look at a few frames first
  torchrun --nproc_per_node=4 -m satvsr_plugin infer -i video.mp4 -o out.mp4   on four GPUs

A run that was stopped goes on where it stopped when the same command is given again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser everything that :class:`satvsr_plugin.inference.job.InferOptions` holds."""
    add = parser.add_argument
    add('-i', '--input', nargs='+', required=True, metavar='IN',
        help='a video file, a folder of frames, a pattern, a TIFF of several pages, or image files in order')
    add('-o', '--output', type=Path, required=True, metavar='OUT',
        help='a folder for PNG or TIFF frames, or a video file (.mp4, .mov, .mkv, .avi)')
    network = parser.add_argument_group('network')
    add = network.add_argument
    add('--weights', type=Path, metavar='FILE',
        help='checkpoint, .safetensors or .pth (default: the small MSDTGP for x4 that comes along)')
    add('--opt', type=Path, metavar='FILE', help='option file whose network_g the weights belong to; needed only for '
        'checkpoints that do not say it themselves')
    add('--force_yml', nargs='+', default=[], metavar='KEY:KEY=VALUE', help='change options of that file')
    frames = parser.add_argument_group('frames')
    add = frames.add_argument
    add('--bands', type=_bands, nargs='+', metavar='N',
        help='which bands make the picture, from 1, e.g. 3 2 1; "frames" if each band of a TIFF is a frame '
             '(default: all)')
    add('--start', type=_natural, default=0, metavar='N', help='first frame, numbered from 0 (default: %(default)s)')
    add('--end', type=_natural, metavar='N', help='frame to stop before (default: the end)')
    add('--padding', choices=get_args(Padding), default='center',
        help='what stands for missing neighbours at both ends of the video (default: %(default)s)')
    speed = parser.add_argument_group('memory and speed')
    add = speed.add_argument
    add('--tile', type=_tile, default='auto', metavar='N',
        help='size of a tile in input pixels; "auto": the largest that fits free memory, "none": whole frames '
             '(default: %(default)s)')
    add('--overlap', type=_natural, metavar='N',
        help='input pixels that neighbouring tiles share (default: what the network needs)')
    add('--device', default='auto', metavar='NAME', help='cpu, cuda, cuda:1, ... (default: a GPU if there is one)')
    add('--dtype', choices=('auto', 'float32', 'float16', 'bfloat16'), default='auto',
        help='number format; auto: half precision on GPUs that are good at it (default: %(default)s)')
    add('--fast', type=_fast, default='auto', metavar='PATHS',
        help=f'fast paths: "auto": those that are safe and start at once, "none": the plain network, or some of '
             f'{",".join(NAMES)}, joined by commas; "basicsr doctor" says what auto is here (default: %(default)s)')
    add('--windows', type=_positive, metavar='N',
        help='windows of frames at once, the last ones of a video padded to as many (default: by their size on a '
             'GPU, 1 on a CPU and with --fast none)')
    output = parser.add_argument_group('output')
    add = output.add_argument
    add('--quality', type=_quality, default=90, metavar='0..100',
        help='of a video file; 100 is lossless (default: %(default)s)')
    add('--preview', type=_natural, default=0, metavar='N',
        help='first super-resolve N frames and write OUT_preview.png, before and after')
    add('--compare', type=Path, metavar='GT', help='print PSNR and SSIM against these frames at the end')
    add('--overwrite', action='store_true', help='replace what an earlier run wrote')


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 0 on')
    return int(text)


def _positive(text: str) -> int:
    value = _natural(text)
    if value == 0:
        raise argparse.ArgumentTypeError('0 windows give no result')
    return value


def _fast(text: str) -> Any:
    return text if text in ('auto', 'none') else tuple(text.split(','))


def _quality(text: str) -> int:
    value = _natural(text)
    if value > 100:
        raise argparse.ArgumentTypeError(f'{text} is not between 0 and 100')
    return value


def _tile(text: str) -> Any:
    return text if text in ('auto', 'none') else _natural(text)


def _bands(text: str) -> Any:
    return text if text == 'frames' else _natural(text)
