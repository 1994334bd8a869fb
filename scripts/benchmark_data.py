#!/usr/bin/env python3
"""Measure how fast clips are packed, read and shrunk, each beside what there was before, in one run."""

from __future__ import annotations

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before NumPy is loaded: rates of one core

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.benchmarks import data
from satvsr_plugin.benchmarks.measuring import machine
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.data.simulation import SimulationOptions, simulate_dataset
from satvsr_plugin.errors import OptionError, run_main
from satvsr_plugin.parallel import available_processes

EXAMPLE = """example:
  python scripts/benchmark_data.py --json benchmark_data.json
draws 210 frames of 640x640 and measures on them; takes five to eight minutes on two cores
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--gt', type=Path, metavar='CLIPS', help='GT clips to measure on (default: drawn ones)')
    parser.add_argument('--clips', type=int, default=3, metavar='N', help='drawn clips (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=70, metavar='N',
                        help='frames of a drawn clip (default: %(default)s)')
    parser.add_argument('--size', type=int, default=640, metavar='PX', help='size of drawn GT (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=3, metavar='N',
                        help='how often each is measured; the median counts (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=3, metavar='S',
                        help='how long reading is measured each time (default: %(default)s)')
    parser.add_argument('--work', type=Path, metavar='FOLDER',
                        help="folder on the disk to measure; what is written there is removed (default: the system's "
                             'folder for temporary files)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file, too')
    args = parser.parse_args(arguments)
    if args.rounds < 1 or not 0 < args.seconds < 3600:
        raise OptionError(f'--rounds {args.rounds} --seconds {args.seconds}: give one round or more, and up to an hour')
    found = machine()
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        root = _prepare(args, Path(work) / 'clips')
        tables = _measure(root, Path(work), args.rounds, args.seconds)
    print('\n'.join(f'- {name}: {value}' for name, value in found.items()))
    print('\n' + '\n\n'.join(map(str, tables)))
    if args.json:
        with written_beside(args.json) as partial:
            tables_as_json = [table._asdict() for table in tables]
            partial.write_text(json.dumps({'machine': found, 'tables': tables_as_json}, indent=2) + '\n')


def _prepare(args: argparse.Namespace, root: Path) -> Path:
    """A folder with GT, LR4x and Bicubic4x; GT is a link where it was given."""
    if args.gt:
        ClipFolder(args.gt)  # complains about what was given, not about our link to it
    else:
        simulate_dataset(root.parent / 'drawn', SimulationOptions(
            clips=args.clips, test_clips=0, frames=args.frames, size=args.size))
    root.mkdir()
    (root / 'GT').symlink_to((args.gt or root.parent / 'drawn' / 'train' / 'GT').resolve())
    degrade_clips(ClipFolder(root / 'GT'), root, Degradation(data.SCALE), bicubic=True, processes=available_processes())
    return root


def _measure(root: Path, work: Path, rounds: int, seconds: float) -> list[data.Table]:
    gt = ClipFolder(root / 'GT')
    with tqdm(total=4, desc='measuring') as progress:
        tables = [data.lmdb_rates(gt, work, rounds)]
        progress.update()
        storages = data.make_storages(root, work)
        tables.append(data.sample_rates(root, storages, rounds, seconds))
        progress.update()
        tables += data.loader_rates(root, storages, rounds, seconds)
        progress.update()
        tables.append(data.shrinking_rates(gt, rounds, seconds))
        progress.update()
    return tables


if __name__ == '__main__':
    run_main(main)
