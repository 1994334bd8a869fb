#!/usr/bin/env python3
"""Download the Jilin-189 data set from Zenodo, unpack it and check that it is complete.

Whatever stops it, the same command goes on where it was stopped. Every file is verified with the MD5 sum of the
record, and not read again while its size and time stay the same.
"""

from __future__ import annotations

import os

os.environ['SATVSR_REGISTER'] = '0'  # no network is needed: the script starts without torch

import argparse
from collections.abc import Sequence
from pathlib import Path

from satvsr_plugin.data.download.job import Done, Wishes, download
from satvsr_plugin.data.download.kinds import by_hand
from satvsr_plugin.data.download.web import PATIENCE, Patience, Web
from satvsr_plugin.data.download.zenodo import RemoteFile, list_files
from satvsr_plugin.data.layout_check import check_layout
from satvsr_plugin.disk import format_size
from satvsr_plugin.errors import OptionError, run_main

EXAMPLE = """example:
  python scripts/download_jilin189.py --list
  python scripts/download_jilin189.py --output datasets/Jilin-189
  python scripts/download_jilin189.py --check datasets/Jilin-189

exit code: 0 all is there, 1 something is to be unpacked by hand or differs from the release, 2 it failed.
Proxies are taken from the environment (HTTPS_PROXY).
"""


def main(arguments: Sequence[str] | None = None, patience: Patience = PATIENCE) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.check:
        return _check(args.check)
    if not args.list and args.output is None:
        parser.error('--output is needed: the folder to download to')
    web = Web(patience)
    files = _choose(list_files(web, args.url, args.record), args.files)
    _show(files, args.record)
    if args.list:
        return 0
    wishes = Wishes(args.unpack, args.remove_archives, args.overwrite)
    for done in download(files, args.output, web, wishes):
        _say(done)
    if not args.unpack:
        return 0
    rest = by_hand(file.name for file in files)
    if rest:
        _explain(rest, args.output)
        return 1
    return 0 if args.files else _check(args.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, metavar='FOLDER', help='where to, e.g. datasets/Jilin-189')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--list', action='store_true', help='only show the files and their sizes')
    what.add_argument('--check', type=Path, metavar='FOLDER', help='only check a folder that is unpacked already')
    parser.add_argument('--files', nargs='+', metavar='NAME',
                        help='only these files of the record; the check is left out then (default: all)')
    parser.add_argument('--no-unpack', dest='unpack', action='store_false',
                        help='leave archives as they are (default: unpack them)')
    parser.add_argument('--remove-archives', action='store_true',
                        help='remove each archive once it is unpacked (default: keep it)')
    parser.add_argument('--overwrite', action='store_true',
                        help='unpack again what is unpacked, and replace files that are there (default: refuse to)')
    parser.add_argument('--record', default='6969604', help='number of the Zenodo record (default: %(default)s)')
    parser.add_argument('--url', default='https://zenodo.org/api/records',
                        help='the interface that knows the record (default: %(default)s)')
    return parser


def _choose(files: list[RemoteFile], names: list[str] | None) -> list[RemoteFile]:
    there = [file.name for file in files]
    unknown = [name for name in names or () if name not in there]
    if unknown:
        raise OptionError(f'--files: not in the record: {", ".join(unknown)}; it has {", ".join(there)}')
    return [file for file in files if names is None or file.name in names]


def _show(files: list[RemoteFile], record: str) -> None:
    total = sum(file.size for file in files)
    print(f'record {record}: {len(files)} file{"s" if len(files) != 1 else ""}, {format_size(total)}')
    width = max(len(file.name) for file in files)
    for file in files:
        print(f'  {file.name:{width}}  {format_size(file.size):>10}')


def _say(done: Done) -> None:
    how = 'fetched and verified' if done.fetched else 'is there already'
    unpacked = f'; unpacked: {", ".join(done.unpacked)}' if done.unpacked else ''
    print(f'{done.file.name}: {how}{unpacked}')


def _explain(commands: dict[str, str], folder: Path) -> None:
    print(f'Python does not unpack these; in {folder} run:')
    for command in commands.values():
        print(f'  {command}')
    print(f'and then:\n  python scripts/download_jilin189.py --check {folder}')


def _check(folder: Path) -> int:
    report = check_layout(folder)
    print(report)
    return 0 if report.in_order else 1


if __name__ == '__main__':
    run_main(main)
