"""The script that measures clips: table, JSON and plot, of folders, LMDBs and results."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.lmdb_writer import write_lmdb
from satvsr_plugin.data.measures import Spectrum
from satvsr_plugin.data.measures.plot import plot_spectra
from satvsr_plugin.errors import DataError, OptionError

SCRIPT = Path(__file__).parents[2] / 'scripts/measure_clips.py'


def write_clips(folder: Path, sigma: float, clips: int = 2, frames: int = 3, suffix: str = '') -> Path:
    """Clips of one 64x64 scene that stands still, grey levels 78 to 178, under noise."""
    scene = np.random.default_rng(0).uniform(78, 178, (64, 64))
    for clip in range(clips):
        for frame in range(frames):
            noise = sigma * np.random.default_rng([clip, frame, int(10 * sigma)]).standard_normal((64, 64))
            write_image(folder / f'{clip:03d}/{frame:03d}{suffix}.png', (scene + noise + 0.5).astype(np.uint8))
    return folder


def run_script(*arguments: object) -> None:
    runpy.run_path(str(SCRIPT))['main']([*map(str, arguments), '--processes', '1'])


def test_sets_are_measured_and_told_apart(tmp_path, capsys):
    quiet, loud = write_clips(tmp_path / 'quiet', 1), write_clips(tmp_path / 'loud', 4)
    write_lmdb(ClipFolder(loud), tmp_path / 'loud.lmdb')
    run_script(quiet, tmp_path / 'loud.lmdb', '--names', 'quiet', '_loud', '--output', tmp_path / 'out')
    report = json.loads((tmp_path / 'out/measures.json').read_text())
    assert report['tile'] == 64
    for name, sigma in (('quiet', 1), ('_loud', 4)):
        found = report['sets'][name]
        assert found['frames'] == 6 and list(found['clips']) == ['000', '001']
        assert found['noise']['median'] == pytest.approx(math.hypot(sigma, 12**-0.5), rel=0.1)
        assert found['drift']['p90'] < 0.02 and found['flicker'] is None
        assert found['spectrum']['cycles_per_px'] == [k / 64 for k in range(1, 33)]
        assert found['share_of_energy'] == pytest.approx(0.3125, rel=0.1)  # both are white
    assert read_image(tmp_path / 'out/spectra.png').shape == (690, 1080, 4)
    table = capsys.readouterr().out
    assert [line.split()[:3] for line in table.splitlines()[1:3]] == [['quiet', '2', '6'], ['_loud', '2', '6']]
    assert 'flicker' not in table


def test_results_are_compared_with_their_gt(tmp_path, capsys):
    gt, results = write_clips(tmp_path / 'GT', 1), write_clips(tmp_path / 'results', 3, suffix='_test_Net')
    run_script(results, '--names', 'Net', '--gt', gt, '--output', tmp_path / 'out', '--frames', 2)
    report = json.loads((tmp_path / 'out/measures.json').read_text())
    flicker = report['sets']['Net']['flicker']
    assert flicker['ratio'] == pytest.approx(math.hypot(3, 12**-0.5) / math.hypot(1, 12**-0.5), rel=0.1)
    assert flicker['ratio'] == flicker['result'] / flicker['gt']
    assert list(report['sets']) == ['Net', 'GT'] and report['sets']['GT']['frames'] == 4
    assert f"{flicker['result']:.3f}  {flicker['gt']:.3f}  {flicker['ratio']:.3f}" in capsys.readouterr().out


def test_still_clips_have_no_ratio(tmp_path):
    still = write_clips(tmp_path / 'still', 0)
    run_script(still, '--gt', still, '--output', tmp_path / 'out')
    report = json.loads((tmp_path / 'out/measures.json').read_text())
    assert report['sets'][str(still)]['flicker'] == {'result': 0, 'gt': 0, 'ratio': None}


def test_single_frames_have_a_spectrum_only(tmp_path, capsys):
    run_script(write_clips(tmp_path / 'in', 2, frames=1), '--output', tmp_path / 'out')
    found = json.loads((tmp_path / 'out/measures.json').read_text())['sets'][str(tmp_path / 'in')]
    assert found['noise'] is None and found['drift'] is None and found['frames'] == 2
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ['-', '-']


def test_blank_frames_are_left_out_of_the_spectrum(tmp_path):
    clips = write_clips(tmp_path / 'in', 1, clips=1)
    run_script(clips, '--output', tmp_path / 'without')
    write_image(clips / '000/003.png', np.full((64, 64), 9, np.uint8))
    run_script(clips, '--output', tmp_path / 'with')
    first, second = (json.loads((tmp_path / name / 'measures.json').read_text())['sets'][str(clips)]
                     for name in ('without', 'with'))
    assert first['spectrum'] == second['spectrum'] and second['frames'] == 4
    for frame in range(3):
        write_image(clips / f'000/{frame:03d}.png', np.full((64, 64), 9, np.uint8))
    with pytest.raises(DataError, match='all frames are blank'):
        run_script(clips, '--output', tmp_path / 'blank')
    assert not (tmp_path / 'blank').exists()


def test_what_does_not_belong_together_is_refused(tmp_path):
    gt, results = write_clips(tmp_path / 'gt', 1), write_clips(tmp_path / 'results', 2, clips=3, frames=2)
    with pytest.raises(DataError, match='(?s)clip 000: 2 results, but 3 GT frames.*clip 002: no GT clip of this name'):
        run_script(results, '--gt', gt, '--output', tmp_path / 'out')
    other = write_clips(tmp_path / 'other', 1)
    (other / '001/001.png').rename(other / '001/0010.png')
    with pytest.raises(DataError, match='clip 001: the result 002.png stands where GT has 001.png'):
        run_script(other, '--gt', gt, '--output', tmp_path / 'out')
    with pytest.raises(OptionError, match='results cannot be called GT'):
        run_script(gt, '--names', 'GT', '--gt', gt, '--output', tmp_path / 'out')
    with pytest.raises(OptionError, match='--names: 1 names for 2 sets'):
        run_script(gt, results, '--names', 'one', '--output', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_plot_draws_every_set_by_its_name():
    frequency = np.arange(1, 129) / 256
    spectra = {name: Spectrum(frequency, -level * frequency, -level * frequency - 3, -level * frequency + 3)
               for name, level in (('_real', 40), ('$simulated', 60))}
    axes = plot_spectra(spectra).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ['_real', '$simulated']
    shown = frequency >= 1 / 64
    for line, spectrum in zip(axes.lines, spectra.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), frequency[shown])
        np.testing.assert_array_equal(line.get_ydata(), spectrum.mean[shown])
    assert to_rgb(axes.lines[0].get_color()) != to_rgb(axes.lines[1].get_color())
