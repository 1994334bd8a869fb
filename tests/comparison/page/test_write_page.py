"""The page as a file: its parts, its tables, and names that try to be code."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from comparison.figures.drawn_systems import make_systems, score

from satvsr_plugin.comparison.figures import FigureChoice, Figures, write_figures
from satvsr_plugin.comparison.figures.gallery import Gallery
from satvsr_plugin.comparison.figures.palette import styles
from satvsr_plugin.comparison.page import Page, write_page
from satvsr_plugin.comparison.page.tables import difference_table, score_table
from satvsr_plugin.comparison.results import System
from satvsr_plugin.comparison.significance import Difference, Significance
from satvsr_plugin.comparison.table import EMPTY, Cell, Group, Row, Table, build_table
from satvsr_plugin.errors import DataError, OptionError

HOSTILE = '</script><script>alert("1")</script><img src=x onerror=\'alert(2)\'>'


class Text(HTMLParser):
    """The elements of a page, in order, and the text in each of the cells of its tables."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ('th', 'td'):
            self.cells.append('')

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def read(html: str) -> Text:
    parser = Text()
    parser.feed(html)
    return parser


def make_page(systems: list[System], output: Path, drawn: bool = False, **options: int) -> Page:
    gallery = Gallery(systems)
    figures = Figures([], gallery.notes, [], gallery, styles([system.name for system in systems]))
    if drawn:  # takes seconds
        figures = write_figures(systems, {}, output, FigureChoice())
    return write_page(systems, build_table(systems, {}), None, figures, output, **options)


def data_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_holds_what_the_viewer_needs(tmp_path: Path) -> None:
    systems = make_systems(tmp_path, {'Bicubic': lambda gt: gt, 'Net': lambda gt: gt, 'Unsaved': None})
    page = make_page(systems, tmp_path / 'out', frames=2)
    assert page == Page(tmp_path / 'out' / 'report.html', [])
    data = data_of(page.file.read_text())
    assert [source['name'] for source in data['sources']] == ['Bicubic', 'Net', 'GT', 'LR (nearest)']
    assert [source['colour'] for source in data['sources']] == ['#0072B2', '#D55E00', None, None]
    assert [(clip['name'], [frame['name'] for frame in clip['frames']]) for clip in data['clips']] == [
        ('000', ['00', '02']), ('001', ['00', '02'])]
    psnr, ssim = score(1, '001', '02')
    assert data['clips'][1]['frames'][1]['scores'] == ['30.12 dB / 0.9020', f'{psnr:.2f} dB / {ssim:.4f}']
    assert data['panes'] == [0, 1, 2, 3]  # the baseline, the best, GT, LR


def test_bicubic_is_made_from_lr_where_no_system_is_bicubic(tmp_path: Path) -> None:
    systems = make_systems(tmp_path, {'Bicubic': lambda gt: gt, 'Net': lambda gt: gt},
                           networks={'Bicubic': {'type': 'Other'}})
    sources = data_of(make_page(systems, tmp_path / 'out').file.read_text())['sources']
    assert [source['kind'] for source in sources] == ['system', 'system', 'gt', 'bicubic', 'lr']


def test_the_policy_lets_only_our_own_script_run(tmp_path: Path) -> None:
    text = make_page(make_systems(tmp_path, {'Net': lambda gt: gt}), tmp_path / 'out', True).file.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    script = re.search(r'<script>(.*?)</script>', text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy
    assert '{{' not in re.sub(r'<script.*?</script>', '', text, flags=re.DOTALL)
    assert not re.search(r'''(?:src|href)=["'](?!data:|#)''', text)


def test_names_that_are_html_are_shown_as_text(tmp_path: Path) -> None:
    names = [HOSTILE, '{{scores}}', 'plain']
    ours = make_page(make_systems(tmp_path / 'a', dict.fromkeys(names, lambda gt: gt)), tmp_path / 'a' / 'out', True)
    plain = make_page(make_systems(tmp_path / 'b', dict.fromkeys('abc', lambda gt: gt)), tmp_path / 'b' / 'out', True)
    text = ours.file.read_text()
    page = read(text)
    assert page.tags == read(plain.file.read_text()).tags  # not one element more
    assert [cell for cell in page.cells if cell in names] == names
    assert [source['name'] for source in data_of(text)['sources']][:3] == names


def test_without_pictures_there_is_no_viewer(tmp_path: Path) -> None:
    text = make_page(make_systems(tmp_path, {'Net': None}), tmp_path / 'out').file.read_text()
    assert data_of(text) == {}
    assert 'id="stage"' not in text
    assert 'test it again with val.save_img: true' in text


def test_wrong_numbers_and_places(tmp_path: Path) -> None:
    systems = make_systems(tmp_path, {'Net': lambda gt: gt})
    with pytest.raises(OptionError, match='--report-frames 0: give at least 1'):
        make_page(systems, tmp_path / 'out', frames=0)
    (tmp_path / 'out' / 'report.html').mkdir(parents=True)
    with pytest.raises(DataError, match='report.html: cannot write'):
        make_page(systems, tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out').glob('.*')) == []


def test_the_table_marks_ranks_and_published_figures() -> None:
    cells = [[Cell(31.5, '31.50', 1), Cell(0.9, '.9000')], [Cell(float('inf'), 'inf', 2), EMPTY],
             [Cell(30.1, '30.10')] * 2]
    table = Table(['PSNR', 'SSIM'], ['higher', 'higher'], [Group('A'), Group('B'), Group('B', True, 'Table <3>')],
                  [Row('000', cells)], Row('mean', cells), [Row('time', [[Cell(2.0, '2.00')], [EMPTY], [EMPTY]])], [])
    html = score_table(table, {})
    assert '<td data-group="0" data-value="31.5"><span class="best">31.50</span></td>' in html
    assert '<td data-group="1" data-value="inf"><span class="second">inf</span></td>' in html
    assert '<td data-group="1"><span>–</span></td>' in html
    assert html.count('<td data-group="2" class="published"') == 5
    assert '<td data-group="0" colspan="2" data-value="2.0">' in html
    assert read(html).cells[:4] == ['clip', 'A', 'B', 'BTable <3>']


def test_differences_have_signs_units_and_intervals() -> None:
    differences = [Difference('A', -1.5, -2.0, 0.25, 1 / 3), Difference('B', -3, None, None, 0)]
    found = Significance('PSNR', 'Net', 3, differences, [])
    assert read(difference_table(found)).cells == [
        'system', 'PSNR minus that of Net', '95 % interval', 'better in',
        'A', '−1.50 dB', '−2.00 dB … +0.25 dB', '33% of the clips', 'B', '−3.00 dB', '–', '0% of the clips']
    similarity = Significance('SSIM', 'Net', 3, [Difference('A', -0.0123, None, None, 0)], [])
    assert '−0.0123' in read(difference_table(similarity)).cells
