"""Rates of the data part: making LMDBs, reading training samples, and shrinking frames."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.utils.lmdb_util import make_lmdb_from_imgs
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler

from satvsr_plugin.benchmarks.measuring import Table, calls_a_second, in_turns
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.data.jilin189_dataset import Jilin189Dataset
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.ops.resize import cubic_kernel

SCALE, GT_SIZE, NUM_FRAME = 4, 128, 5
WORKERS = (0, 2, 4)


def lmdb_rates(gt: ClipFolder, work: Path, rounds: int) -> Table:
    """Making an LMDB of GT frames: the toolbox with its own two reading processes, and ours."""
    names = [f'{clip}/{frame}' for clip, frames in gt.clips.items() for frame in frames]
    target = work / 'made.lmdb'

    def measured(make: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            shutil.rmtree(target, ignore_errors=True)
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                make()
            return len(names) / (time.perf_counter() - start)
        return run

    rates = in_turns({
        'BasicSR make_lmdb_from_imgs, 2 processes': measured(lambda: make_lmdb_from_imgs(
            str(gt.root), str(target), names, [os.path.splitext(name)[0] for name in names],
            multiprocessing_read=True, n_thread=2)),
        'prepare_lmdb.py --encoding png': measured(lambda: write_lmdb(gt, target, 'png')),
        'prepare_lmdb.py --encoding raw': measured(lambda: write_lmdb(gt, target, 'raw')),
        'merely copying the files into one': measured(lambda: _copy(gt, names, target)),
    }, rounds)
    shutil.rmtree(target)
    return Table('Making an LMDB', 'frames/s', next(iter(rates)), rates)


def _copy(gt: ClipFolder, names: list[str], target: Path) -> None:
    target.mkdir()
    with open(target / 'copy', 'wb') as file:
        file.writelines((gt.root / name).read_bytes() for name in names)
        os.fsync(file.fileno())


class PlainReader(Dataset):
    """How code of the field reads Jilin-189: seven whole PNGs (GT, bicubic, five LR) for every sample, then crops."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.windows = [(clip, frames[start:start + NUM_FRAME])
                        for clip, frames in ClipFolder(root / 'GT').clips.items()
                        for start in range(len(frames) - NUM_FRAME + 1)]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip, frames = self.windows[index]
        centre = frames[NUM_FRAME // 2]
        lq = [self._open(f'LR{SCALE}x', clip, frame) for frame in frames]
        gt, bicubic = self._open('GT', clip, centre), self._open(f'Bicubic{SCALE}x', clip, centre)
        size = GT_SIZE // SCALE
        left, top = (int(torch.randint(length - size + 1, ())) for length in lq[0].size)
        box = (left, top, left + size, top + size)
        large_box = (SCALE * left, SCALE * top, SCALE * (left + size), SCALE * (top + size))
        return {'lq': torch.stack([self._to_tensor(image.crop(box)) for image in lq]),
                'gt': self._to_tensor(gt.crop(large_box)), 'bicubic': self._to_tensor(bicubic.crop(large_box))}

    def _open(self, side: str, clip: str, frame: str) -> Image.Image:
        return Image.open(self.root / side / clip / frame).convert('RGB')

    @staticmethod
    def _to_tensor(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).astype(np.float32) / 255)


def make_storages(root: Path, work: Path) -> dict[str, Path]:
    """png and raw LMDBs of the clips in ``root``."""
    for encoding in ('png', 'raw'):
        for side in ('GT', f'LR{SCALE}x'):
            write_lmdb(ClipFolder(root / side), work / encoding / f'{side}.lmdb', encoding)
    return {encoding: work / encoding for encoding in ('png', 'raw')}


_DataSet = PlainReader | Jilin189Dataset


def _data_sets(root: Path, storages: dict[str, Path]) -> dict[str, _DataSet]:
    def train_set(folder: Path, backend: str) -> Jilin189Dataset:
        return Jilin189Dataset({
            'name': 'benchmark', 'type': 'Jilin189Dataset', 'phase': 'train', 'scale': SCALE, 'num_frame': NUM_FRAME,
            'gt_size': GT_SIZE, 'dataroot': str(folder), 'io_backend': {'type': backend}})

    return {'plain reader (seven PNGs by PIL)': PlainReader(root),
            'Jilin189Dataset, folder': train_set(root, 'disk'),
            'Jilin189Dataset, png LMDB': train_set(storages['png'], 'lmdb'),
            'Jilin189Dataset, raw LMDB': train_set(storages['raw'], 'lmdb')}


def sample_rates(root: Path, storages: dict[str, Path], rounds: int, seconds: float) -> Table:
    """Training samples of five 32x32 LR crops and one 128x128 GT crop, augmented, as tensors; on one core."""
    def measured(data: _DataSet) -> Callable[[], float]:
        order = torch.randperm(len(data)).tolist()
        return lambda: calls_a_second(lambda call: data[order[call % len(order)]], seconds)

    with _on_one_core():
        rates = in_turns({name: measured(data) for name, data in _data_sets(root, storages).items()}, rounds)
    return Table('Training samples, one core', 'samples/s', next(iter(rates)), rates)


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Bind this process to one core; where the system cannot, at least torch uses one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cores = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else None
    if cores:
        os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)


def loader_rates(root: Path, storages: dict[str, Path], rounds: int, seconds: float) -> list[Table]:
    """The same samples through a ``DataLoader`` in batches of 16, with 0, 2 and 4 workers."""
    def measured(data: _DataSet, workers: int) -> Callable[[], float]:
        return lambda: _loader_rate(data, workers, seconds)

    tables = []
    for workers in WORKERS:
        rates = in_turns({name: measured(data, workers) for name, data in _data_sets(root, storages).items()}, rounds)
        title = f'Training samples, DataLoader with {workers} workers'
        tables.append(Table(title, 'samples/s', next(iter(rates)), rates))
    return tables


def _loader_rate(data: _DataSet, workers: int, seconds: float, batch: int = 16) -> float:
    """Samples a second; the time in which the workers start is not counted."""
    sampler = RandomSampler(data, replacement=True, num_samples=10**7)
    batches = iter(DataLoader(data, batch, sampler=sampler, num_workers=workers))
    for _ in range(2 * workers + 1):
        next(batches)
    return batch * calls_a_second(lambda _: next(batches), seconds)


def shrinking_rates(gt: ClipFolder, rounds: int, seconds: float) -> Table:
    """The authors' degradation of GT frames in memory, on one core."""
    paths = [gt.root / clip / frame for clip, frames in gt.clips.items() for frame in frames]
    frames = [read_image(path) for path in islice(cycle(paths), 8)]
    for frame in frames:
        np.testing.assert_array_equal(downsample(frame, SCALE), downsample_plainly(frame, SCALE))

    def measured(shrink: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[], float]:
        return lambda: calls_a_second(lambda call: shrink(frames[call % len(frames)], SCALE), seconds)

    with _on_one_core():
        rates = in_turns({'plain NumPy, tap by tap': measured(downsample_plainly),
                          'degradation.downsample': measured(downsample)}, rounds)
    return Table('Degradation of GT to LR, one core', 'frames/s', next(iter(rates)), rates)


def downsample_plainly(gt: np.ndarray, scale: int) -> np.ndarray:
    """The degradation of Jilin-189 as its formula has it: every LR pixel is a weighted sum over a window of GT pixels.

    Args:
        gt: (h, w, c) uint8 or uint16; h and w multiples of ``scale``.
        scale: how many times smaller LR is.

    Returns:
        (h / scale, w / scale, c) of the same type.
    """
    height, width = gt.shape[:2]
    reach = 2 * scale
    offsets = range(-reach, reach + scale)  # of GT pixels from the first one that an LR pixel covers
    weights = [float(cubic_kernel(np.array((offset - (scale - 1) / 2) / scale))) / scale for offset in offsets]
    padded = np.pad(gt.astype(np.float64), ((reach, reach + scale), (reach, reach + scale), (0, 0)), mode='edge')
    total = np.zeros((height // scale, width // scale, gt.shape[2]))
    for down, weight_down in zip(offsets, weights, strict=True):
        for right, weight_right in zip(offsets, weights, strict=True):
            window = padded[reach + down::scale, reach + right::scale][:height // scale, :width // scale]
            total += weight_down * weight_right * window
    return np.clip(np.floor(total + 0.5), 0, np.iinfo(gt.dtype).max).astype(gt.dtype)
