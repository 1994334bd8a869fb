"""The whole comparison of result folders: what is written, and that nothing is written when something is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from small_results import FRAMES, draw_gt

from satvsr_plugin.comparison import cost, report
from satvsr_plugin.comparison.figures import Crop, FigureChoice
from satvsr_plugin.comparison.report import Choices, compare
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.test_record import read_record, record_path, write_record

TEXTS = ['comparison.md', 'comparison.csv', 'comparison.tex', 'comparison.json']
PLAIN = Choices(cost=False)


def test_all_files_appear_and_say_the_same(results: list[Path], tmp_path: Path) -> None:
    output = tmp_path / 'new' / 'comparison'
    comparison = compare(results, output, Choices(names=['Bicubic', 'A net'], cost=False))
    names = [path.name for path in comparison.files]
    assert names[:4] == TEXTS and {'comparison.png', 'comparison_frames.png', 'report.html'} <= set(names)
    assert sorted(path.name for path in output.iterdir()) == sorted(names)
    assert comparison.text.splitlines()[6].split() == ['mean', '30.75', '/.8906', '31.69*/.9150*']

    page = (output / 'comparison.md').read_text()
    assert page.startswith('# Comparison on Drawn\n\n| PSNR/SSIM of clip | Bicubic | A net |')
    assert '![comparison.png](comparison.png)' in page
    rows = list(csv.DictReader((output / 'comparison.csv').open()))
    assert [row['value'] for row in rows if row['row'] == 'mean'] == ['30.750000', '0.890617', '31.687500', '0.915000']
    assert r'000 & 30.00/.8800 & \textbf{32.12}/\textbf{.9300} \\' in (output / 'comparison.tex').read_text()
    content = json.loads((output / 'comparison.json').read_text())
    assert content['systems'][0]['record']['clips']['000']['scores']['psnr'] == [29.0, 30.0, 31.0]
    assert content['significance']['best'] == 'A net' and 'A net' in (output / 'report.html').read_text()


def test_costs_reach_the_table(results: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {'parameters': 14_174_083, 'trainable': 14_174_083, 'flow_parameters': 0, 'macs': 1563.5e9,
             'milliseconds': 812.0, 'peak_memory': 9e8, 'runs': 3}
    monkeypatch.setattr(cost, 'measure', lambda task: found if task['network']['type'] == 'Net' else {'note': 'why'})
    said: list[str] = []
    comparison = compare(results, tmp_path / 'out', progress=said.append)
    assert said == ['measuring the cost of Bicubic', 'measuring the cost of Net']
    assert [line.split()[-1] for line in comparison.text.splitlines() if line.startswith('parameters')] == ['14.17']
    assert 'the cost of Bicubic is not complete: why' in comparison.notes
    assert 'the cost of Bicubic is not complete: why' in (tmp_path / 'out' / 'comparison.md').read_text()


def test_the_figures_frame_and_crop_can_be_chosen(results: list[Path], tmp_path: Path) -> None:
    crop = Crop(8, 4, 40)
    compare(results, tmp_path, Choices(cost=False, figures=FigureChoice('001', '02', crop)))
    figure = read_image(tmp_path / 'comparison.png')
    wanted = crop.of(draw_gt('001', '02')).repeat(6, axis=0).repeat(6, axis=1)
    corner = np.all(figure == wanted[0, 0], axis=2)
    places = [(y, x) for y, x in np.argwhere(corner) if np.array_equal(figure[y:y + 240, x:x + 240], wanted)]
    assert len(places) == 2  # of the perfect system, and of GT


def test_wrong_input_writes_nothing(results: list[Path], tmp_path: Path) -> None:
    output = tmp_path / 'out'
    wrong = Choices(cost=False, figures=FigureChoice(crop=Crop(70, 0, 40)))
    with pytest.raises(OptionError, match='70,0,40: not inside the picture of 80x64'):
        compare(results, output, wrong)
    record = read_record(record_path(results[1], 'Drawn'))
    for frame in FRAMES:
        record.picture(results[1], '000', frame).write_bytes(b'')
    with pytest.raises(DataError, match='not a readable image'):
        compare(results, output, PLAIN)
    assert not output.exists() and not list(tmp_path.glob('.comparison-*'))


def test_a_failure_leaves_an_earlier_comparison_as_it_was(
    results: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / 'out'
    compare(results, output, PLAIN)
    before = {path: path.read_bytes() for path in output.iterdir()}
    write_record(results[0], read_record(record_path(results[0], 'Drawn')).model_copy(update={'name': 'new'}))
    monkeypatch.setattr(report, 'to_json', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare(results, output, PLAIN)
    assert {path: path.read_bytes() for path in output.iterdir()} == before


def test_an_output_that_cannot_be_a_folder(results: list[Path], tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(DataError, match='file: cannot write: there is a file of this name'):
        compare(results, tmp_path / 'file', PLAIN)
    with pytest.raises(DataError, match='cannot write'):
        compare(results, tmp_path / 'file' / 'below', PLAIN)


def test_a_single_system(results: list[Path], tmp_path: Path) -> None:
    comparison = compare(results[:1], tmp_path / 'out', PLAIN)
    assert 'against the best' not in comparison.text and '*' not in comparison.text
    assert json.loads((tmp_path / 'out' / 'comparison.json').read_text())['significance'] is None
