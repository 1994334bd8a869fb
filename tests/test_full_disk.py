"""A full disk under everything that writes: one line of error, nothing half-written, and what was there is unharmed.

Every command runs in a forked process in which files cannot grow beyond some bytes, as on a disk without room: the
system refuses to write on in the middle of a file.
"""

from __future__ import annotations

import logging
import os
import resource
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from basicsr.utils.logger import initialized_logger

from satvsr_plugin import cli
from satvsr_plugin.archs.msdtgp_arch import MSDTGP
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import run_main
from satvsr_plugin.weights import save_described

ROOT = Path(__file__).parents[1]
SMALL = {'scale': 4, 'num_feat': 8, 'num_base_feat': 8, 'num_frame': 3, 'num_extract_block': 1,
         'num_reconstruct_block': 1, 'num_stage': 1}

LIMIT = 600  # bytes: less than the smallest file that these write
COMMANDS = [
    'prepare_lmdb --input ../GT --output out/GT.lmdb --processes 1 --overwrite',
    'prepare_lmdb --input ../GT --output out/GT.lmdb --encoding raw --processes 2 --overwrite',
    'degrade_clips --input ../GT --output out --bicubic --processes 1 --overwrite',
    'degrade_clips --input ../GT --output out --processes 2 --overwrite',
    'simulate_clips --output out --clips 1 --test-clips 1 --frames 2 --size 64 --overwrite',
    'extract_clips --input ../GT/000 --output out --frames 2 --size 32 --min-texture 0 --overwrite',
    'convert_weights ../weights.pth out/new.pth --overwrite',
    'convert_weights ../weights.pth out/new.safetensors --overwrite',
    pytest.param('measure_clips ../GT --frames 2 --processes 1 --output out', marks=pytest.mark.slow),
    'check_dataset --input .. --json out/report.json --processes 1',
    pytest.param('compare_models ../results/tested --no-cost --report-frames 1 --output out', marks=pytest.mark.slow),
]


def run(command: str, place: Path, limit: int | None = None) -> tuple[int, str]:
    """Run a command in a forked process: its exit code and what it printed."""
    read, write = os.pipe()
    cv2.setNumThreads(1)  # a forked process would wait for threads that it does not have
    process = os.fork()
    if process == 0:
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(read)
        sys.stdout, sys.stderr = os.fdopen(1, 'w'), os.fdopen(2, 'w')
        code = 99
        try:
            torch.set_num_threads(1)
            # an earlier test's log goes into a file of pytest's, which would be limited too
            logging.getLogger('basicsr').handlers.clear()
            initialized_logger.clear()
            os.chdir(place)
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            run_main(prepare(*command.split()))
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    with open(read, 'rb') as pipe:
        text = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), text


def prepare(name: str, *arguments: str) -> Callable[[], Any]:
    if name == 'basicsr':
        return lambda: cli.main(arguments)
    sys.argv = [name, *arguments]
    return runpy.run_path(str(ROOT / 'scripts' / f'{name}.py'))['main']


@pytest.fixture(scope='module')
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of three frames, weights, and the results of a test."""
    root, rng = tmp_path_factory.mktemp('material'), np.random.default_rng(0)
    for clip in ('000', '001'):
        still = rng.integers(0, 250, (64, 64, 3), np.uint8)
        for frame in range(3):
            gt = still + rng.integers(0, 5, still.shape, np.uint8)
            write_image(root / 'GT' / clip / f'{frame:03d}.png', gt)
            write_image(root / 'LR4x' / clip / f'{frame:03d}.png', downsample(gt, 4))
    save_described(root / 'weights.pth', MSDTGP(**SMALL).state_dict(), {'type': 'MSDTGP', **SMALL})
    (root / 'test.yml').write_text(yaml.safe_dump({
        'name': 'tested', 'model_type': 'SatVSRModel', 'scale': 4, 'num_gpu': 0,
        'datasets': {'test': {'name': 'Drawn', 'type': 'Jilin189TestDataset', 'num_frame': 1, 'num_worker_per_gpu': 0,
                              'dataroot_gt': str(root / 'GT'), 'dataroot_lq': str(root / 'LR4x')}},
        'network_g': {'type': 'Bicubic', 'scale': 4}, 'path': {'pretrain_network_g': None},
        'val': {'save_img': True, 'metrics': {'psnr': {'type': 'satvsr_psnr'}, 'ssim': {'type': 'satvsr_ssim'}}}}))
    code, text = run('basicsr test -opt test.yml', root)
    assert code == 0, text
    return root


@pytest.fixture
def place(material: Path) -> Iterator[Path]:
    """A folder to stand in."""
    folder = material / 'place'
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """All files that a user sees; those in hidden folders are unfinished work that the next run takes up."""
    files = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {str(path): (folder / path).read_bytes() for path in files
            if not any(part.startswith('.') for part in path.parts)}


def assert_refused(code: int, text: str) -> None:
    """One line of error that says what the system said."""
    assert code == 2, text
    assert 'Traceback' not in text
    error, = [line for line in text.replace('\r', '\n').splitlines() if line.startswith('error: ')]
    assert 'File too large' in error or 'No space left' in error


@pytest.mark.parametrize('command', COMMANDS)
def test_what_was_there_is_unharmed(command: str, place: Path) -> None:
    code, text = run(command, place)
    assert code == 0, text
    before = contents(place)
    assert before
    assert_refused(*run(command, place, LIMIT))
    assert contents(place) == before
    assert not list(place.rglob('*.partial-*'))


def test_flow_is_whole_or_not_there(place: Path) -> None:
    """Its files are as large as NumPy's buffers, so that the disk refuses them only when they are closed."""
    command = 'estimate_flow --input ../LR4x --output flow --num_frame 3 --processes 1'
    assert_refused(*run(command, place, LIMIT))
    assert contents(place) == {}
    code, text = run(command, place)
    assert code == 0, text
    assert {len(content) for content in contents(place).values()} == {128 + 2 * 2 * 16 * 16 * 2}


def test_a_test_keeps_earlier_results(place: Path) -> None:
    assert run('basicsr test -opt ../test.yml', place)[0] == 0
    before = contents(place)
    assert_refused(*run('basicsr test -opt ../test.yml', place, 5000))  # the log fits, pictures do not
    after = contents(place)
    assert set(before.values()) <= set(after.values())
    new = {name for name in after if name.startswith('results/tested/')}
    assert not [name for name in new if name.endswith(('.png', '.csv')) or 'test_Drawn' in name]
