"""The table as text, Markdown and CSV, letter by letter."""

from __future__ import annotations

import math
from pathlib import Path

from satvsr_plugin.comparison.results import SystemScores, read_systems
from satvsr_plugin.comparison.table import build_table, to_csv, to_markdown, to_text


def test_text(results: list[Path]) -> None:
    _, systems = read_systems(results, names=['Bicubic', 'a network with a long name'])
    assert to_text(build_table(systems)).splitlines() == [
        '                   Bicubic         a network with a long name',
        'clip      frames    psnr    ssim          psnr   gain    ssim',
        '000            3   30.00  0.8800         32.12  +2.12  0.9300',
        '001            3   31.50  0.9012         31.25  -0.25  0.9000',
        'average        6   30.75  0.8906         31.69  +0.94  0.9150',
    ]


def test_markdown(results: list[Path]) -> None:
    _, systems = read_systems(results, names=['Bicubic', 'a|b'])
    assert to_markdown(build_table(systems)).splitlines() == [
        r'| clip | frames | Bicubic psnr | Bicubic ssim | a\|b psnr | a\|b gain | a\|b ssim |',
        '| --- | --: | --: | --: | --: | --: | --: |',
        '| 000 | 3 | 30.00 | 0.8800 | 32.12 | +2.12 | 0.9300 |',
        '| 001 | 3 | 31.50 | 0.9012 | 31.25 | -0.25 | 0.9000 |',
        '| average | 6 | 30.75 | 0.8906 | 31.69 | +0.94 | 0.9150 |',
    ]


def test_csv(results: list[Path]) -> None:
    _, systems = read_systems(results)
    assert to_csv(build_table(systems)).splitlines() == [
        'clip,frames,Bicubic psnr,Bicubic ssim,Net psnr,Net gain,Net ssim',
        '000,3,30.000000,0.880000,32.125000,2.125000,0.930000',
        '001,3,31.500000,0.901234,31.250000,-0.250000,0.900000',
        'average,6,30.750000,0.890617,31.687500,0.937500,0.915000',
    ]


def test_scores_that_are_not_finite_stay_visible(tmp_path: Path) -> None:
    perfect = SystemScores('GT itself', tmp_path, {'000': 2}, {'000': {'psnr': math.inf}}, {'psnr': math.inf})
    broken = SystemScores('broken', tmp_path, {'000': 2}, {'000': {'psnr': math.nan}}, {'psnr': math.nan})
    table = build_table([perfect, broken])
    assert to_csv(table).splitlines()[1] == '000,2,inf,nan,nan'
    assert to_text(table).splitlines()[2].split() == ['000', '2', 'inf', 'nan', '+nan']
