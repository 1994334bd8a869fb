"""A whole simulated data set on disk: ``train`` and ``eval`` with GT and LR, and how it was made."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from satvsr_plugin.atomic import built_beside
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.simulation.clip import simulate_clip
from satvsr_plugin.data.simulation.options import SimulationOptions
from satvsr_plugin.data.simulation.sources import draw_source, find_stills, read_still, split_stills
from satvsr_plugin.disk import require_space
from satvsr_plugin.errors import DataError

RECORD = 'simulation.json'
SPLITS = ('train', 'eval')  # a split's place here is part of the seeds of its clips


class Summary(NamedTuple):
    """What was written."""

    train_clips: int
    eval_clips: int
    frames: int  # GT and LR count as one
    seconds: float


def simulate_dataset(
    output: str | Path, options: SimulationOptions, stills: str | Path | None = None, overwrite: bool = False,
    test_stills: str | Path | None = None,
) -> Summary:
    """Write ``output/{train,eval}/{GT,LR4x}/<clip>/<frame>.png`` and ``output/simulation.json``, all options.

    Everything is written beside ``output`` and renamed at the end: an error or an interruption leaves nothing.
    Progress goes to stderr.

    Args:
        output: a folder that does not exist or is empty.
        options: what is made.
        stills: folder of pictures, about 1 m a pixel, that the clips show; drawn scenes if not given.
        overwrite: replace ``output`` if it is a data set that was simulated before.
        test_stills: folder of pictures for the test clips; all of ``stills`` are for training then.

    Raises:
        DataError: no stills, unreadable or too small ones; an output folder that holds something else; too little room
            on the disk.
    """
    start = time.monotonic()
    output = Path(output).resolve()
    _check_output(output, overwrite)
    files = _choose_stills(stills, test_stills, options.seed)
    counts = dict(zip(SPLITS, (options.clips, options.test_clips), strict=True))
    require_space(output, sum(counts.values()) * _clip_size(options), 'This is an upper bound: frames uncompressed. '
                  'For less, use --clips, --test-clips, --frames or --size')
    jobs = [(split, clip) for split, count in counts.items() for clip in range(count)]
    try:
        with built_beside(output) as partial:
            _check_output(output, overwrite)  # once more: another run may have ended between
            for split, clip in tqdm(jobs, unit='clip', desc='simulating'):
                frames = _simulate(split, clip, options, files[split])
                _write_pair(partial / split, f'{clip:03d}', frames, options.scale)
            folders = {'stills': stills, 'test_stills': test_stills}
            record = {name: folder and str(folder) for name, folder in folders.items()} | asdict(options)
            (partial / RECORD).write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise DataError(f'{output}: cannot write there: {error.strerror}') from error
    return Summary(options.clips, options.test_clips, options.frames * len(jobs), time.monotonic() - start)


def _clip_size(options: SimulationOptions) -> int:
    """Bytes of the pixels of a clip, GT and LR."""
    return 3 * options.frames * (options.size**2 + (options.size // options.scale) ** 2)


def _choose_stills(
    stills: str | Path | None, test_stills: str | Path | None, seed: int
) -> Mapping[str, list[Path] | None]:
    """What the clips of each split show; None for drawn scenes."""
    if test_stills is not None:
        if stills is None:
            raise DataError('--test-stills without --stills: the training clips need pictures as well')
        return {'train': find_stills(Path(stills)), 'eval': find_stills(Path(test_stills))}
    return dict.fromkeys(SPLITS) if stills is None else split_stills(Path(stills), seed)


def _simulate(split: str, clip: int, options: SimulationOptions, stills: list[Path] | None) -> np.ndarray:
    """GT frames (t, h, w, 3) of one clip, which depend on the seed, the split and the clip's number only."""
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(SPLITS.index(split), clip)))
    if stills is None:
        scene = draw_source(options, rng)
        return simulate_clip(scene.picture, options, rng, scene.lanes)
    path = stills[clip % len(stills)]
    still = read_still(path, rng)
    try:
        return simulate_clip(still, options, rng)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error


def _write_pair(root: Path, clip: str, frames: np.ndarray, scale: int) -> None:
    for index, gt in enumerate(frames):
        write_image(root / 'GT' / clip / f'{index:03d}.png', gt)
        write_image(root / f'LR{scale}x' / clip / f'{index:03d}.png', downsample(gt, scale))


def _check_output(output: Path, overwrite: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / RECORD).is_file():
        raise DataError(f'{output}: exists and is not a simulated data set; name a folder that is new or empty')
    if not overwrite:
        raise DataError(f'{output}: holds a simulated data set already; name another folder or add --overwrite')
