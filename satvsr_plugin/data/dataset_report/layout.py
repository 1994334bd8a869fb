"""Which folders or LMDBs a data set consists of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from satvsr_plugin.errors import DataError, OptionError

LR_NAME = re.compile(r'LR([2-9]|[1-9]\d+)x(\.lmdb)?')


class Place(NamedTuple):
    """One side of a data set: its name for people (``GT``, ``LR4x``, ``clips``), and where it lies."""

    side: str
    root: Path


class Layout(NamedTuple):
    """A data set.

    Attributes:
        main: GT, or the only side there is.
        lq: LR, where there are two sides.
        scale: as the name of the LR folder says, or as the user does; none where neither does.
        unused: what lies there too but is not looked at, e.g. ``GT.lmdb`` beside ``GT``.
    """

    main: Place
    lq: Place | None
    scale: int | None
    unused: tuple[str, ...] = ()


def find_layout(root: Path, scale: int | None = None) -> Layout:
    """Tell what ``root`` is: clips in folders, an LMDB, or a folder with ``GT`` and ``LR<scale>x`` of either kind.

    Where there are both a folder and an LMDB of it, the folder is taken.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
        OptionError: there are LR clips of several scales, or none of the scale that was asked for.
    """
    with listing(root):
        require_folder(root)
        names = [] if is_lmdb(root) else sorted(path.name for path in root.iterdir() if path.is_dir())
    gt = [name for name in ('GT', 'GT.lmdb') if name in names]
    lq = {name: int(named[1]) for name in names if (named := LR_NAME.fullmatch(name))}
    if not gt and not lq:
        return Layout(Place('clips', root), None, scale)
    lq_scale = _choose_scale(root, sorted(set(lq.values())), scale)
    chosen = [name for name, its_scale in lq.items() if its_scale == lq_scale]  # the folder before the LMDB
    places = [Place(name.removesuffix('.lmdb'), root / name) for name in (*gt[:1], *chosen[:1])]
    unused = tuple(name for name in (*gt, *lq) if root / name not in [place.root for place in places])
    return Layout(places[0], places[1] if len(places) > 1 else None, lq_scale, unused)


def explicit_layout(gt: Path | None, lq: Path | None, scale: int | None = None) -> Layout:
    """The data set of a GT and an LR folder or LMDB that the user names; at least one of them.

    Raises:
        DataError: there is no such folder.
    """
    for root in filter(None, (gt, lq)):
        with listing(root):
            require_folder(root)
    if lq is None:
        assert gt is not None, 'give GT or LR'
        return Layout(Place('GT', gt), None, scale)
    named = LR_NAME.fullmatch(lq.name)
    place = Place(lq.name.removesuffix('.lmdb') if named else 'LR', lq)
    scale = scale or (int(named[1]) if named else None)
    return Layout(Place('GT', gt), place, scale) if gt else Layout(place, None, scale)


@contextmanager
def listing(folder: Path) -> Iterator[None]:
    """Turn what the system says against looking into a folder into an error for people."""
    try:
        yield
    except OSError as error:
        raise DataError(f'{folder}: cannot list this folder: {error.strerror}') from error


def is_lmdb(root: Path) -> bool:
    """Whether a folder is meant to be an LMDB, complete or not."""
    return root.suffix == '.lmdb' or (root / 'data.mdb').exists()


def require_folder(root: Path) -> None:
    """Raises: DataError: there is no such folder."""
    if not root.is_dir():
        what = 'is a file' if root.exists() else 'there is no such folder'
        raise DataError(f'{root}: {what}; give a folder of clips, an LMDB, or a folder with GT and LR4x')


def _choose_scale(root: Path, scales: list[int], scale: int | None) -> int | None:
    listed = ', '.join(f'LR{found}x' for found in scales)
    if scale is None and len(scales) > 1:
        raise OptionError(f'{root}: holds {listed}; choose one with --scale')
    if scale is not None and scales and scale not in scales:
        raise OptionError(f'{root}: holds no LR{scale}x, but {listed}; correct --scale')
    return scale if scale is not None else (scales[0] if scales else None)
