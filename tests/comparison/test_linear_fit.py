"""Fitting the linear filter: a known filter is found again, and the script writes what the option file loads."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from satvsr_plugin.archs import LinearFilter
from satvsr_plugin.comparison.linear_fit import NormalEquations, fit_linear_filter, open_layout, spaced
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.dataset_report import explicit_layout, find_layout
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.errors import DataError, OptionError, WeightsError
from satvsr_plugin.metrics import satvsr_psnr
from satvsr_plugin.ops.bicubic import BicubicUpsample
from satvsr_plugin.weights import load_checkpoint, load_into

SCRIPT = Path(__file__).parents[2] / 'scripts/fit_linear_filter.py'


@pytest.fixture(scope='module')
def known() -> LinearFilter:
    """A 7x7 filter unlike bicubic, whose results stay within [0, 1]."""
    net = LinearFilter(2, 7)
    net.weight.data = torch.from_numpy(np.random.default_rng(5).dirichlet(np.ones(49), 4).astype(np.float32))
    net.weight.data = net.weight.data.reshape(4, 1, 7, 7)
    return net


@pytest.fixture
def filtered(tmp_path: Path, known: LinearFilter) -> Path:
    """Two clips of two 16-bit frames of noise, and GT that the known filter makes of them."""
    rng = np.random.default_rng(0)
    for clip in ('a', 'b'):
        for frame in ('0.png', '1.png'):
            lq = rng.integers(65536, size=(24, 30, 3), dtype=np.uint16)
            with torch.no_grad():
                gt = known(torch.from_numpy(lq.transpose(2, 0, 1) / np.float32(65535))[None])[0].numpy()
            write_image(tmp_path / 'LR2x' / clip / frame, lq)
            write_image(tmp_path / 'GT' / clip / frame, (gt.transpose(1, 2, 0) * 65535 + 0.5).astype(np.uint16))
    return tmp_path


def write_scenes(folder: Path) -> Path:
    """Two clips of soft noise as 8-bit GT and the LR of the data set's degradation, x4."""
    for clip in range(2):
        noise = torch.from_numpy(np.random.default_rng(clip).normal(size=(1, 3, 72, 72)))
        soft = F.avg_pool2d(F.avg_pool2d(noise, 5, 1), 4, 1)[0].permute(1, 2, 0).numpy()[:64, :64]
        for frame in ('0.png', '1.png'):
            gt = np.clip(128 + 600 * soft, 0, 255).astype(np.uint8)
            write_image(folder / f'GT/{clip}/{frame}', gt)
            write_image(folder / f'LR4x/{clip}/{frame}', downsample(gt, 4))
    return folder


def run_script(*arguments: object) -> None:
    runpy.run_path(str(SCRIPT))['main']([str(argument) for argument in arguments])


def test_a_known_filter_is_found_again(filtered, known):
    fit = fit_linear_filter(open_layout(find_layout(filtered)), frames=2)
    torch.testing.assert_close(fit.net.weight, known.weight, atol=2e-6, rtol=0)
    assert (fit.frames, fit.samples) == (4, 4 * 24 * 30 * 3)
    np.testing.assert_allclose(fit.sums, np.ones((2, 2)), atol=1e-5)
    assert fit.fitted > 90 > 20 > fit.bicubic  # what rounding to 16 bit leaves, and what bicubic misses


def test_weights_that_frames_leave_open_stay_bicubic():
    equations = NormalEquations(4, 7)
    start = LinearFilter(4, 7).weight.detach().double().flatten(1).numpy()
    with pytest.raises(DataError, match='all frames are black'):
        equations.solve(start)
    lq = np.full((8, 8, 1), 100, np.uint8)
    equations.add(lq, np.full((32, 32, 1), 100, np.uint8))  # bicubic is perfect, as are endless other filters
    np.testing.assert_allclose(equations.solve(start), start, atol=1e-6)


def test_large_frames_are_taken_in_stripes(monkeypatch):
    rng = np.random.default_rng(1)
    lq, gt = rng.integers(256, size=(13, 9, 2), dtype=np.uint8), rng.integers(256, size=(26, 18, 2), dtype=np.uint8)
    start = LinearFilter(2, 5).weight.detach().double().flatten(1).numpy()
    solutions = []
    for stripe in (10**6, 30):
        monkeypatch.setattr('satvsr_plugin.comparison.linear_fit.STRIPE', stripe)
        equations = NormalEquations(2, 5)
        equations.add(lq, gt)
        solutions.append(equations.solve(start))
    np.testing.assert_allclose(*solutions, atol=1e-10)


def test_frames_are_evenly_spaced():
    assert spaced(7, 1) == [3]
    assert spaced(100, 4) == [12, 37, 62, 87]
    assert spaced(2, 5) == [0, 1]


def test_script_writes_a_checkpoint_that_gains_what_it_says(tmp_path, capsys):
    root = write_scenes(tmp_path / 'clips')
    run_script('--dataroot', root, '--output', tmp_path / 'linear.pth', '--kernel_size', 5)
    checkpoint = load_checkpoint(tmp_path / 'linear.pth')
    assert checkpoint['network'] == {'type': 'LinearFilter', 'scale': 4, 'kernel_size': 5}
    net = LinearFilter(4, 5)
    load_into(net, checkpoint, 'linear.pth')
    scores = []
    for clip in ('0', '1'):
        lq = torch.from_numpy(read_image(root / f'LR4x/{clip}/1.png').transpose(2, 0, 1) / np.float32(255))[None]
        gt = read_image(root / f'GT/{clip}/1.png')[..., ::-1]
        with torch.no_grad():
            results = [of(lq)[0].permute(1, 2, 0).numpy()[..., ::-1] for of in (BicubicUpsample(4), net)]
        scores.append([satvsr_psnr(result, gt) for result in results])
    bicubic, fitted = np.mean(scores, axis=0)
    assert fitted - bicubic > 0.5
    assert (f'bicubic {bicubic:.3f} dB, linear filter {fitted:.3f} dB ({fitted - bicubic:+.3f} dB)'
            in capsys.readouterr().out)


def test_lmdbs_give_the_same_filter(tmp_path):
    root = write_scenes(tmp_path)
    for side in ('GT', 'LR4x'):
        write_lmdb(ClipFolder(root / side), root / f'{side}.lmdb')
    run_script('--gt', root / 'GT', '--lq', root / 'LR4x', '--output', root / 'folder.pth')
    run_script('--gt', root / 'GT.lmdb', '--lq', root / 'LR4x.lmdb', '--output', root / 'lmdb.pth')
    folder, lmdb = (load_checkpoint(root / name)['params']['weight'] for name in ('folder.pth', 'lmdb.pth'))
    assert torch.equal(folder, lmdb)


def test_scale_is_told_by_sizes_where_names_do_not(filtered):
    (filtered / 'LR2x').rename(filtered / 'small')
    assert open_layout(explicit_layout(filtered / 'GT', filtered / 'small')).scale == 2


def test_what_cannot_be_fitted_is_refused(tmp_path, filtered):
    output = tmp_path / 'linear.pth'
    with pytest.raises(OptionError, match='both --gt and --lq'):
        run_script('--gt', filtered / 'GT', '--output', output)
    with pytest.raises(OptionError, match='is fitted to GT and LR clips, but clips alone is here'):
        run_script('--dataroot', filtered / 'GT', '--output', output)
    (filtered / 'GT/b/1.png').unlink()
    with pytest.raises(DataError, match='b/1: GT frame missing'):
        run_script('--dataroot', filtered, '--output', output)
    assert not output.exists()
    output.touch()
    with pytest.raises(WeightsError, match='exists; .* --overwrite'):
        run_script('--dataroot', filtered, '--output', output)
