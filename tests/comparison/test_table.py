"""The table, and what it looks like as text, Markdown, LaTeX, CSV and JSON, letter by letter."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from small_results import METRICS, SCORES, make_record, make_system

from satvsr_plugin.comparison.cost import Cost
from satvsr_plugin.comparison.data_files import to_csv, to_json
from satvsr_plugin.comparison.latex import escape, to_latex
from satvsr_plugin.comparison.markdown import to_markdown
from satvsr_plugin.comparison.plain_text import significance_text, to_text
from satvsr_plugin.comparison.published import PublishedColumn, PublishedSystem, Source
from satvsr_plugin.comparison.results import System
from satvsr_plugin.comparison.significance import significance
from satvsr_plugin.comparison.table import Table, build_table

COST = Cost(parameters=12_771_943, trainable=11_331_643, flow_parameters=1_440_300, macs=3774.6e9,
            milliseconds=41.26, peak_memory=123_456_789, lq_size=(120, 160), machine='Some GPU')
PAPER = Source('TGRS 2022', 'a paper', ('000', '001'),
               (PublishedSystem('Net', None, 5, 14.1, 1579.8, '', (32.0, 0.92), {'000': (33.0, 0.94)}),))


def three_systems() -> list[System]:
    systems = [System(name, Path(name), make_record(name, scores)) for name, scores in SCORES.items()]
    return [*systems, System('a|b_&', Path('c'), make_record('c', SCORES['Net'] | {'001': ((31.4,) * 3, (0.95,) * 3)}))]


@pytest.fixture
def table() -> Table:
    systems = three_systems()
    return build_table(systems, {'Net': COST}, [PublishedColumn('Net', PAPER, PAPER.systems[0])], ['last note'])


def test_text(table: Table) -> None:
    assert to_text(table).splitlines() == [
        '                                Bicubic            Net            Net          a|b_&',
        'clip                          PSNR/SSIM      PSNR/SSIM    [TGRS 2022]      PSNR/SSIM',
        '------------------------------------------------------------------------------------',
        '000                       30.00+/.8800+  32.12*/.9300*  33.00 /.9400   32.12*/.9300*',
        '001                       31.50*/.9012+  31.25 /.9000                  31.40+/.9500*',
        '------------------------------------------------------------------------------------',
        'mean                      30.75 /.8906   31.69+/.9150+  32.00 /.9200   31.76*/.9400*',
        '------------------------------------------------------------------------------------',
        'gain over Bicubic (dB)                          +0.94                         +1.01',
        'parameters (M)                                  12.77           14.1',
        'multiply-accumulates (G)                         3775         1579.8',
        'time a frame (ms)                                41.3',
        'peak memory (MB)                                  123',
        '* best, + second best',
    ]
    alone = to_text(build_table(three_systems()[:1], {})).splitlines()
    assert alone[1:3] == ['clip    PSNR/SSIM', '-----------------'] and alone[-1] == 'mean  30.75/.8906'


def test_columns_that_do_not_fit_the_terminal_follow_below(table: Table) -> None:
    whole, parts = to_text(table).splitlines(), to_text(table, width=60).split('\n\n')
    assert len(parts) == 2
    upper, lower = (part.splitlines() for part in parts)
    assert all(len(line) <= 60 for line in upper + lower)
    assert upper[3] == '000                       30.00+/.8800+  32.12*/.9300*'
    assert lower[3] == '000                       33.00 /.9400   32.12*/.9300*'
    assert [line[:22] for line in upper if '--' not in line] == [line[:22] for line in whole[:-1] if '--' not in line]
    assert lower[-1] == '* best, + second best' and upper[-1].startswith('peak memory')
    assert to_text(table, width=5).count('000 ') == 4  # a column at a time is the least


def ranks(table: Table) -> list[list[tuple[int | None, ...]]]:
    return [[tuple(cell.rank for cell in group) for group in row.cells] for row in [*table.clips, table.mean]]


def test_best_and_second_best_of_each_metric_among_ours(table: Table) -> None:
    assert ranks(table) == [
        [(2, 2), (1, 1), (None, None), (1, 1)],  # what prints alike ranks alike
        [(1, 2), (None, None), (None, None), (2, 1)],
        [(None, None), (2, 2), (None, None), (1, 1)],
    ]


def test_where_less_is_better_and_where_there_is_nothing_to_rank() -> None:
    niqe = {'niqe': {'type': 'calculate_niqe'}}

    def system(name: str, value: float) -> System:
        record = make_system(name, {'000': 1.0}, metrics=niqe).record
        clip = record.clips['000'].model_copy(update={'scores': {'niqe': [value] * 3}})
        return System(name, Path(name), record.model_copy(update={'clips': {'000': clip}}))

    table = build_table([system('a', 7.5), system('b', 5.123456), system('c', math.nan), system('d', 6.0)], {})
    assert (table.metrics, table.better) == (['niqe'], ['lower'])
    assert [group[0].text for group in table.mean.cells] == ['7.5000', '5.1235', 'nan', '6.0000']
    assert [group[0].rank for group in table.mean.cells] == [None, 1, None, 2]
    assert [group[0].rank for group in build_table([system('a', 7.5)], {}).mean.cells] == [None]
    assert [group[0].rank for group in build_table([system('a', 7.5), system('b', 7)], {}).mean.cells] == [None, 1]


def test_scores_as_papers_print_them() -> None:
    scores = {'000': ((math.inf,) * 3, (1.0,) * 3), '001': ((9.996,) * 3, (-0.0123,) * 3), '002': ((0.0,) * 3,) * 2}
    table = build_table([System('a', Path('a'), make_record('a', scores))], {})
    texts = [[cell.text for cell in row.cells[0]] for row in table.clips]
    assert texts == [['inf', '1.0000'], ['10.00', '-.0123'], ['0.00', '.0000']]


def test_two_metrics_of_one_kind_keep_their_names() -> None:
    metrics = {'psnr': METRICS['psnr'], 'ssim': {**METRICS['psnr'], 'color': 'rgb'}}
    table = build_table([System('a', Path('a'), make_record('a', SCORES['Net'], metrics=metrics))], {})
    assert table.metrics == ['psnr', 'ssim']


def test_rows_about_the_systems(table: Table) -> None:
    below = {row.label: [group[0].text for group in row.cells] for row in table.below}
    assert below == {
        'gain over Bicubic (dB)': ['', '+0.94', '', '+1.01'],
        'parameters (M)': ['', '12.77', '14.1', ''],
        'multiply-accumulates (G)': ['', '3775', '1579.8', ''],
        'time a frame (ms)': ['', '41.3', '', ''],
        'peak memory (MB)': ['', '123', '', ''],
    }
    assert table.notes == [
        'PSNR: satvsr_psnr (color y, crop_border 0, quantize True); SSIM: satvsr_ssim (color y, '
        'crop_border 0, quantize True). Mean over the frames of a clip, then over clips.',
        'Parameters include a flow network (SPyNet): Net 1.44 M.',
        'Parameters that training leaves as they are: Net 1.44 M.',
        'Multiply-accumulates a result frame for LR frames of 160x160, deformable convolutions included, '
        'interpolation not; networks that see clips: of 15 frames, divided by 15.',
        'Time and peak memory: float32, LR frames of 160x120, on Some GPU; other work on the machine makes times '
        'longer.',
        'last note']


def test_what_was_not_measured_leaves_no_row() -> None:
    unmeasured = replace(COST, milliseconds=None, peak_memory=None, flow_parameters=0, trainable=COST.parameters)
    table = build_table(three_systems(), {'Net': unmeasured})
    assert [row.label for row in table.below] == [
        'gain over Bicubic (dB)', 'parameters (M)', 'multiply-accumulates (G)']
    assert len(table.notes) == 2
    assert [row.label for row in build_table(three_systems()[:1], {}).below] == []


def test_costs_of_several_machines_are_told_apart() -> None:
    table = build_table(three_systems(), {'Net': COST, 'Bicubic': replace(COST, machine='Another')})
    assert [note.split(';')[0] for note in table.notes[-2:]] == [
        'Time and peak memory of Net: float32, LR frames of 160x120, on Some GPU',
        'Time and peak memory of Bicubic: float32, LR frames of 160x120, on Another']


def test_markdown(table: Table) -> None:
    page = to_markdown('A_set', table, significance(three_systems()), ['a <b> note'], ['comparison.png'])
    assert page.splitlines()[:8] == [
        '# Comparison on A\\_set',
        '',
        '| PSNR/SSIM of clip | Bicubic | Net | *Net, published (TGRS 2022)* | a\\|b\\_&amp; |',
        '| --- | --: | --: | --: | --: |',
        '| 000 | <u>30.00</u>/<u>.8800</u> | **32.12**/**.9300** | *33.00*/*.9400* | **32.12**/**.9300** |',
        '| 001 | **31.50**/<u>.9012</u> | 31.25/.9000 |  | <u>31.40</u>/**.9500** |',
        '| mean | 30.75/.8906 | <u>31.69</u>/<u>.9150</u> | *32.00*/*.9200* | **31.76**/**.9400** |',
        '| gain over Bicubic (dB) |  | +0.94 |  | +1.01 |',
    ]
    assert '## PSNR against the best, a\\|b\\_&amp;' in page
    assert '| Bicubic | -1.012 | -2.125 to +0.100 | 50% of the clips |' in page
    assert '## Notes\n\n- a &lt;b&gt; note\n\n![comparison.png](comparison.png)\n' in page


def test_latex(table: Table) -> None:
    lines = to_latex('A_set', table).splitlines()
    assert r'\caption{PSNR/SSIM on A\_set.}' in lines and r'\begin{tabular}{lcccc}' in lines
    assert r'Clip & Bicubic & Net & \textcolor{gray}{Net, TGRS 2022} & a\textbar{}b\_\& \\' in lines
    assert (r'001 & \textbf{31.50}/\underline{.9012} & 31.25/.9000 &  & \underline{31.40}/\textbf{.9500} \\') in lines
    assert r'parameters (M) &  & 12.77 & \textcolor{gray}{14.1} &  \\' in lines
    rows = [line for line in lines if line.endswith(r'\\')]
    assert len(rows) == 9 and all(row.replace(r'\&', '').count('&') == 4 for row in rows)
    text = '\n'.join(lines)
    assert text.count('{') - text.count(r'\{') == text.count('}') - text.count(r'\}')
    assert [lines.count(name) for name in (r'\toprule', r'\midrule', r'\bottomrule')] == [1, 3, 1]


def test_latex_prints_any_name_literally() -> None:
    assert escape('a_b & 50% {$x^2$} #1 ~ \\cmd <i>|') == (
        r'a\_b \& 50\% \{\$x\textasciicircum{}2\$\} \#1 \textasciitilde{} \textbackslash{}cmd '
        r'\textless{}i\textgreater{}\textbar{}')


def test_csv(table: Table) -> None:
    lines = to_csv(table).splitlines()
    assert lines[:4] == ['row,clip,system,published,metric,value', 'clip,000,Bicubic,,PSNR,30.000000',
                         'clip,000,Bicubic,,SSIM,0.880000', 'clip,000,Net,,PSNR,32.125000']
    assert 'clip,000,Net,TGRS 2022,SSIM,0.940000' in lines
    assert 'mean,,Net,,SSIM,0.915000' in lines
    assert 'peak memory (MB),,Net,,,123.456789' in lines
    assert not any(line.startswith('clip,001,Net,TGRS') for line in lines)


def test_json() -> None:
    scores = {'000': ((30.0, math.inf, math.nan), (0.9,) * 3)}
    systems = [System('é "x"', Path('a'), make_record('a', scores))]
    content = json.loads(to_json(systems, build_table(systems, {}), {'é "x"': COST}, None, ['n']),
                         parse_constant=pytest.fail)
    (system,) = content['systems']
    assert system['name'] == 'é "x"' and system['cost']['parameters'] == 12_771_943
    assert system['record']['clips']['000']['scores']['psnr'] == [30.0, 'Infinity', 'NaN']
    assert (system['average']['ssim'], content['notes']) == (pytest.approx(0.9), ['n'])


def test_differences_as_text() -> None:
    assert significance_text(significance(three_systems())).splitlines() == [
        'PSNR against the best, a|b_&:',
        '  Bicubic  -1.012  [-2.125, +0.100]  better in 50% of the clips',
        '  Net      -0.075  [-0.150, +0.000]  better in 0% of the clips']
