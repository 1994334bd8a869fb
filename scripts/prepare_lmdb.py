"""Pack a folder of clips into an LMDB, which loads faster than many small files on slow or shared disks."""

from __future__ import annotations

import argparse
from pathlib import Path

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import run_main

EXAMPLE = """example:
  python scripts/prepare_lmdb.py --input trainset/train/GT --output trainset/train/GT.lmdb
  python scripts/prepare_lmdb.py --input trainset/train/LR4x --output trainset/train/LR4x.lmdb
then, in the option file:
  dataroot: trainset
  io_backend: {type: lmdb}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, metavar='CLIPS',
                        help='folder with one folder of frames a clip')
    parser.add_argument('--output', type=Path, required=True, metavar='X.lmdb', help='the LMDB to make')
    parser.add_argument('--encoding', choices=['png'], default='png',
                        help='how frames are stored; png keeps the image files as they are, also those of other '
                             'formats (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace an LMDB that is there already')
    args = parser.parse_args()
    summary = write_lmdb(ClipFolder(args.input), args.output, args.overwrite)
    print(f'{args.output}: {summary.clips} clips, {summary.frames} frames, {summary.size / 1e6:.1f} MB '
          f'in {summary.seconds:.1f} s')


if __name__ == '__main__':
    run_main(main)
