"""Published figures: copied right, and shown only where the clips are the published ones."""

from __future__ import annotations

import numpy as np
import pytest
from small_results import BICUBIC, METRICS, make_record

from satvsr_plugin.comparison.published import choose_published, read_published
from satvsr_plugin.comparison.results import System
from satvsr_plugin.comparison.table import build_table

SOURCES = {source.label: source for source in read_published()}
TGRS = {system.name: system for system in SOURCES['TGRS 2022'].systems}


def jilin(name: str, psnr: dict[str, float], network: dict, **changes) -> System:
    """A system with the same PSNR in all 100 frames of a clip of 640x640."""
    scores = {clip: ((value,) * 100, (0.9,) * 100) for clip, value in psnr.items()}
    return System(name, None, make_record(name, scores, network, size=(640, 640), **changes))


def ours(clips: int = 10, shift: float = 0.0, **changes) -> list[System]:
    """Bicubic as published, and an MSDTGP."""
    names = [f'{clip:03}' for clip in range(clips)]
    bicubic = {clip: TGRS['Bicubic'].clips.get(clip, (31.0, 0))[0] + shift for clip in names}
    return [jilin('Bicubic', bicubic, BICUBIC, **changes),
            jilin('MSDTGP', dict.fromkeys(names, 36.0), {'type': 'MSDTGP'}, **changes)]


def test_the_numbers_of_the_papers() -> None:
    assert {label: len(source.systems) for label, source in SOURCES.items()} == {
        'TGRS 2022': 7, 'TCSVT 2024': 11, 'TIP 2025': 18}
    assert TGRS['MSDTGP'].mean == (35.71, 0.9580) and TGRS['MSDTGP'].clips['009'] == (34.84, 0.9515)
    assert TGRS['EDVR-L'].clips['002'] == (36.89, 0.9657)
    lgtd = {system.name: system for system in SOURCES['TCSVT 2024'].systems}
    assert (lgtd['BasicVSR'].frames, lgtd['BasicVSR'].parameters, lgtd['BasicVSR'].macs) == (15, 6.3, 163.7)
    madnet = SOURCES['TIP 2025'].systems[-1]
    assert (madnet.name, madnet.mean, madnet.macs, madnet.clips) == ('MADNet', (36.35, 0.9634), 2444.5, {})


@pytest.mark.parametrize('label', ['TGRS 2022', 'TCSVT 2024'])
def test_printed_means_are_those_of_the_clips(label: str) -> None:
    """A figure that was copied wrongly would show; the papers took the means before they rounded.

    One printed mean is off by .0004, and its note says so.
    """
    for system in SOURCES[label].systems:
        assert list(system.clips) == list(SOURCES[label].mean_clips)
        found = np.mean(list(system.clips.values()), axis=0)
        if 'the printed mean SSIM of .9600 is not' in system.note:
            found[1] += 0.0004
        assert (np.abs(found - system.mean) <= [0.0101, 0.000101]).all(), system.name


def test_beside_the_published_clips_they_are_shown() -> None:
    columns, notes = choose_published(ours(), 'auto')
    assert [(column.beside, column.source.label) for column in columns] == [
        ('Bicubic', 'TGRS 2022'), ('MSDTGP', 'TGRS 2022'), ('MSDTGP', 'TCSVT 2024')]
    assert columns[1].clip('004', 'PSNR') == 34.65 and columns[1].clip('004', 'SSIM') == 0.9509
    names = [f'{clip:03}' for clip in range(10)]
    assert columns[1].mean(names, 'PSNR') == 35.71
    assert columns[1].mean(['000', '001'], 'PSNR') == pytest.approx((36.21 + 33.56) / 2)
    assert columns[2].mean(names, 'PSNR') is None  # it has five of the ten clips
    assert any('Also published on these clips (TGRS 2022): SOF-VSR 35.52/.9561, ' in note for note in notes)


def test_on_twelve_clips_only_the_mean_over_twelve_is_a_mean() -> None:
    columns, _ = choose_published(ours(12), 'auto')
    names = [f'{clip:03}' for clip in range(12)]
    found = [(one.source.label, one.mean(names, 'PSNR')) for one in columns if one.beside == 'MSDTGP']
    assert found == [('TGRS 2022', None), ('TCSVT 2024', None), ('TIP 2025', 35.60)]


@pytest.mark.parametrize(('systems', 'reason'), [
    (ours(shift=0.06), 'Bicubic has 31.11 dB in clip 000, not the published 31.05 dB: it is another clip'),
    (ours()[1:], 'without Bicubic among the systems it cannot be told'),
    ([jilin('Bicubic', {'000': 31.05, 'mine': 30.0}, BICUBIC)], 'Jilin-189 has no test clip mine'),
    ([jilin('Bicubic', {'010': 31.05}, BICUBIC)], 'no clip has a published row of Bicubic'),
    (ours(scale=2), 'clip 000 is not 100 frames of 640x640, 8-bit RGB, at x4'),
    (ours(metrics={'psnr': {**METRICS['psnr'], 'color': 'rgb'}, 'ssim': METRICS['ssim']}), 'the PSNR here is not'),
])  # fmt: skip
def test_anything_doubtful_leaves_them_out_and_says_why(systems: list[System], reason: str) -> None:
    columns, notes = choose_published(systems, 'auto')
    assert columns == [] and len(notes) == 1
    assert notes[0].startswith('Published figures are left out: ') and reason in notes[0]
    columns, notes = choose_published(systems, 'always')
    assert columns if any(clip in TGRS['Bicubic'].clips for clip in systems[0].record.clips) else not columns
    assert not columns or (notes[0].startswith('Published figures may not be comparable: ') and reason in notes[0])
    assert choose_published(systems, 'never') == ([], [])


def test_clips_of_other_names_need_no_remark() -> None:
    assert choose_published([jilin('Bicubic', {'mine': 31.0}, BICUBIC)], 'auto') == ([], [])


def test_a_rounded_bicubic_is_close_enough() -> None:
    assert choose_published(ours(shift=0.049), 'auto')[0]


def test_another_size_of_a_network_is_another_network() -> None:
    small = jilin('MSDTGP', {'000': 33.0}, {'type': 'MSDTGP', 'num_feat': 16})
    edvr = jilin('EDVR-L', {'000': 33.0}, {'type': 'EDVR', 'num_feat': 128, 'num_reconstruct_block': 40})
    bicubic = jilin('Bicubic', {'000': 31.05}, BICUBIC)
    columns, _ = choose_published([bicubic, small, edvr], 'auto')
    assert {column.beside for column in columns} == {'Bicubic', 'EDVR-L'}


def test_duf_is_shown_with_what_is_known_about_it() -> None:
    duf = jilin('DUF-52L', {'000': 35.0}, {'type': 'DUF'})
    columns, notes = choose_published([jilin('Bicubic', {'000': 31.05}, BICUBIC), duf], 'auto')
    assert [one.clip('000', 'PSNR') for one in columns if one.beside == 'DUF-52L'] == [34.43, 35.83]
    assert any('the network has 5.82 M parameters, not 6.8 M; under-trained' in note for note in notes)


def test_a_row_that_was_copied_is_shown_once() -> None:
    rbpn = jilin('RBPN', {'000': 35.0, '005': 32.0}, {'type': 'RBPN'})
    columns, _ = choose_published([jilin('Bicubic', {'000': 31.05, '005': 28.57}, BICUBIC), rbpn], 'auto')
    assert [(one.beside, one.source.label) for one in columns] == [('Bicubic', 'TGRS 2022'), ('RBPN', 'TGRS 2022')]


def test_published_columns_stand_in_the_table_unranked() -> None:
    systems = ours()
    columns, notes = choose_published(systems, 'auto')
    table = build_table(systems, {}, columns, notes)
    assert [(group.name, group.source) for group in table.groups] == [
        ('Bicubic', ''), ('Bicubic', 'TGRS 2022'), ('MSDTGP', ''), ('MSDTGP', 'TGRS 2022'), ('MSDTGP', 'TCSVT 2024')]
    first = [[cell.text for cell in group] for group in table.clips[0].cells]
    assert first == [['31.05', '.9000'], ['31.05', '.9097'], ['36.00', '.9000'], ['36.21', '.9633'],
                     ['36.13', '.9631']]
    assert [group[0].rank for group in table.clips[0].cells] == [None, None, 1, None, None]
    assert [cell.text for cell in table.clips[1].cells[4]] == ['', '']
