"""Is what an LMDB holds what the clips that it was made from hold?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import lmdb
import numpy as np
from tqdm import tqdm

from satvsr_plugin.data.clip_lmdb import ClipLmdb, Encoding, open_once
from satvsr_plugin.data.clip_source import frame_key, natural_order
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import decode_image, read_file, read_image
from satvsr_plugin.errors import DataError
from satvsr_plugin.parallel import ordered_map

PART = 64  # frames; the LMDB is opened anew for each part, since what was read of its map counts as memory


class _Part(NamedTuple):
    """Some frames that both sides have: key in the LMDB -> file of the source."""

    root: Path
    encoding: Encoding
    recompressed: bool
    files: Mapping[str, Path]

    def __str__(self) -> str:
        return f'{next(iter(self.files))} and the {len(self.files) - 1} frames after it'


def differences(folder: ClipFolder, lmdb_root: Path, processes: int) -> Iterator[str]:
    """Compare every stored frame with its source; progress goes to stderr.

    Stored files must equal their source byte for byte, stored pixels and recompressed files its pixels.

    Args:
        folder: the clips that the LMDB was made from.
        lmdb_root: the LMDB.
        processes: how many read and compare.

    Yields:
        A line for each frame that is missing, left over or different.

    Raises:
        DataError: the LMDB cannot be opened, or is so damaged that a process died of it.
    """
    encoding, recompressed, stored, formats = _contents(lmdb_root)
    files = {f'{clip}/{frame_key(frame)}': folder.root / clip / frame
             for clip, frames in folder.clips.items() for frame in frames}
    for key in natural_order(stored ^ files.keys()):
        yield f'{key}: {"not in the LMDB" if key in files else f"in the LMDB, but not in {folder.root}"}'
    for clip in natural_order(formats.keys() & folder.clips.keys()):
        if formats[clip] != folder.format(clip):
            yield f'{clip}: about.json says {formats[clip]}, but {folder.root / clip} is {folder.format(clip)}'
    keys = iter(natural_order(stored & files.keys()))
    parts = (_Part(lmdb_root, encoding, recompressed, {key: files[key] for key in part})
             for part in iter(lambda: list(islice(keys, PART)), []))
    with (closing(ordered_map(_compare, parts, processes)) as compared,
          tqdm(total=len(stored & files.keys()), unit='frame', desc='verifying') as progress):
        for part, found in compared:
            progress.update(len(part.files))
            yield from [str(found)] if isinstance(found, DataError) else found


def _contents(lmdb_root: Path) -> tuple[Encoding, bool, set[str], dict[str, FrameFormat]]:
    """Encoding, whether recompressed, keys, and formats of clips if it is raw; the LMDB is closed again."""
    packed = ClipLmdb(lmdb_root)
    keys = {f'{clip}/{frame_key(frame)}' for clip, frames in packed.clips.items() for frame in frames}
    formats = {clip: packed.format(clip) for clip in packed.clips} if packed.encoding == 'raw' else {}
    return packed.encoding, packed.recompressed, keys, formats


def _compare(part: _Part) -> list[str]:
    """A line for each frame that differs."""
    found = []
    opened = open_once(part.root)
    for key, file in part.files.items():
        try:
            difference = _difference(part, opened.transaction.get(key.encode()), file)
        except (DataError, lmdb.Error) as error:
            difference = str(error)
        if difference:
            found.append(f'{key}: {difference}')
    return found


def _difference(part: _Part, stored: memoryview | None, file: Path) -> str | None:
    if stored is None:
        return 'not in the LMDB, though listed there'
    if part.encoding == 'png' and not part.recompressed:
        return None if stored == read_file(file, str(file)) else f'differs from {file}'
    expected = read_image(file)
    if part.encoding == 'raw':
        # planes; uint16 is little-endian, whatever the machine
        pixels, expected = np.frombuffer(stored, expected.dtype.newbyteorder('<')), expected.transpose(2, 0, 1)
    else:
        check_image(stored, 'in the LMDB')
        pixels = decode_image(stored, 'in the LMDB').ravel()
    if pixels.size != expected.size:
        return f'holds {pixels.size} samples, but {file} has {expected.size}'
    count = int((pixels != expected.ravel()).sum())
    return f'{count} of {expected.size} samples differ from {file}' if count else None
