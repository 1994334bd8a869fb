"""The same tensors from folders and LMDBs, in this process and in workers; and seeds that make them so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_clips import MakePairs, eval_set, recurrent_set, train_set
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.lmdb_writer import write_lmdb

LMDB = {'io_backend': {'type': 'lmdb'}}
SETS = (train_set, recurrent_set, eval_set)


class SeededByIndex(Dataset):
    """Draws the same sample for an index in whatever process."""

    def __init__(self, data: Dataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        torch.manual_seed(index)
        return self.data[index]


@pytest.fixture
def roots(make_pairs: MakePairs, tmp_path: Path) -> dict[str, tuple[Path, dict]]:
    """The same clips in a folder, a png LMDB and a raw LMDB, with the options that each needs."""
    root = make_pairs()
    for encoding in ('png', 'raw'):
        for side in ('GT', 'LR4x'):
            write_lmdb(ClipFolder(root / side), tmp_path / encoding / f'{side}.lmdb', encoding)
    return {'folder': (root, {}), 'png': (tmp_path / 'png', LMDB), 'raw': (tmp_path / 'raw', LMDB)}


@pytest.mark.parametrize('context', [None, 'fork', 'spawn'])
def test_folder_png_and_raw_give_identical_tensors(roots: dict[str, tuple[Path, dict]], context: str | None) -> None:
    """All kinds of storage and of data sets in one loader, since spawned workers take seconds to start."""
    expected = [SeededByIndex(make(roots['folder'][0]))[index] for make in SETS for index in range(13)]
    assert len({item['lq'].numpy().tobytes() for item in expected}) > 30  # of 39: they say something
    everything = ConcatDataset(
        [SeededByIndex(make(root, **options)) for root, options in roots.values() for make in SETS])
    everything[len(everything) - 1]  # opens an LMDB before the fork
    loader = DataLoader(everything, batch_size=None, num_workers=2 if context else 0, multiprocessing_context=context)
    for item, wanted in zip(loader, expected * len(roots), strict=True):
        assert item.keys() == wanted.keys()
        for key, value in wanted.items():
            assert torch.equal(item[key], value) if torch.is_tensor(value) else item[key] == value, key


@pytest.mark.parametrize('kind', ['folder', 'raw'])
def test_seeds_of_workers_and_epochs(roots: dict[str, tuple[Path, dict]], kind: str) -> None:
    """With the toolbox's own loader: a run can be repeated, and no two workers or epochs draw the same crops."""
    from basicsr.data import build_dataloader

    root, options = roots[kind]
    # one frame only: samples then differ by what was drawn for them, and by nothing else
    data = train_set(root, clips=['000'], gt_size=8, use_rot=True, **options)
    data.frames = data.frames[3:4] * 12
    loader_options = {'phase': 'train', 'num_worker_per_gpu': 4, 'batch_size_per_gpu': 1}

    def draw_run(seed: int) -> list[list[bytes]]:
        torch.manual_seed(seed)
        loader = build_dataloader(data, loader_options, num_gpu=0, sampler=torch.utils.data.SequentialSampler(data),
                                  seed=seed)
        return [[batch['lq'].numpy().tobytes() for batch in loader] for _ in range(2)]

    first, again, other = draw_run(7), draw_run(7), draw_run(8)
    assert first == again
    # sample i is drawn by worker i % 4; 13 x 9 places and 8 orientations leave little room for equal draws by chance
    workers = [{sample for epoch in first for sample in epoch[worker::4]} for worker in range(4)]
    assert all(len(drawn) >= 5 for drawn in workers)
    assert len(set.union(*workers)) >= 22 and len({*first[0], *other[0]}) >= 22
