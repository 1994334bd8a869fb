#!/usr/bin/env python3
"""Pack a folder of clips into an LMDB: one large file instead of many small ones, checked whole and fast to read."""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.lmdb_verify import differences
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.disk import format_size
from satvsr_plugin.errors import run_main
from satvsr_plugin.parallel import add_processes_argument

EXAMPLE = """example:
  python scripts/prepare_lmdb.py --input trainset/train/GT --output trainset/train/GT.lmdb --encoding raw
  python scripts/prepare_lmdb.py --input trainset/train/LR4x --output trainset/train/LR4x.lmdb --encoding raw
  python scripts/prepare_lmdb.py --input trainset/train/GT --output trainset/train/GT.lmdb --verify
then, in the option file:
  dataroot: trainset
  io_backend: {type: lmdb}

A run that is stopped goes on where it was when the same command is given again.
exit codes: 0 done, 1 --verify found differences, 2 wrong input or options.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, metavar='CLIPS',
                        help='folder with one folder of frames a clip')
    parser.add_argument('--output', type=Path, required=True, metavar='X.lmdb', help='the LMDB to make')
    parser.add_argument('--encoding', choices=['png', 'raw'], default='png',
                        help='png: the image files as they are, of whatever format; raw: pixels, which take more room '
                             'but need no decoding: a training crop reads only its own rows (default: %(default)s)')
    parser.add_argument('--recompress', action='store_true',
                        help='with png: encode the pixels again, as small as PNG can be, which is slow')
    parser.add_argument('--alone', action='store_true',
                        help='do not compare the clips with the LR or GT clips that lie beside them (GT, LR4x, ...)')
    parser.add_argument('--verify', action='store_true',
                        help='write nothing, but compare every frame of an LMDB that is there with its source')
    parser.add_argument('--overwrite', action='store_true', help='replace an LMDB that is there already')
    add_processes_argument(parser)
    args = parser.parse_args(arguments)
    folder = ClipFolder(args.input)
    if args.verify:
        return _verify(folder, args.output, args.processes)
    summary = write_lmdb(folder, args.output, args.encoding, recompress=args.recompress, paired=not args.alone,
                         overwrite=args.overwrite, processes=args.processes)
    print(f'{args.output}: {summary.clips} clips, {summary.frames} frames, {format_size(summary.size)} '
          f'in {summary.seconds:.1f} s')
    return 0


def _verify(folder: ClipFolder, lmdb: Path, processes: int) -> int:
    found = list(differences(folder, lmdb, processes))
    for line in found:
        print(line)
    print(f'{lmdb}: {len(found)} differences from {folder.root}' if found else f'{lmdb}: equals {folder.root}')
    return 1 if found else 0


if __name__ == '__main__':
    run_main(main)
