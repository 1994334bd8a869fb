"""Reading the results of systems, and refusing those that were not tested alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_results import METRICS, SCORES, change_clip, make_record, make_system, write_results

from satvsr_plugin.comparison.likeness import check_alike
from satvsr_plugin.comparison.results import best_system, read_systems
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.test_record import read_record, record_path


def rewrite(folder: Path, **changes: object) -> None:
    write_results(folder, read_record(record_path(folder, 'Drawn')).model_copy(update=changes))


def test_systems_come_in_the_order_given_with_their_records(results: list[Path]) -> None:
    bicubic, net = read_systems(results)
    assert (bicubic.name, bicubic.folder, net.name) == ('Bicubic', results[0], 'Net')
    assert net.record.clips['001'].scores['psnr'] == [31.25] * 3
    assert [system.name for system in read_systems(results[::-1], names=['b', 'a'])] == ['b', 'a']
    with pytest.raises(OptionError, match='--names: 1 names for 2 systems; give one each'):
        read_systems(results, names=['first'])


def test_the_data_set_is_chosen_where_there_are_several(results: list[Path]) -> None:
    for folder in results:
        record = read_record(record_path(folder, 'Drawn'))
        write_results(folder, record.model_copy(update={'dataset': record.dataset.model_copy(update={'name': 'B'})}))
    with pytest.raises(OptionError, match='choose one by --dataset: B, Drawn'):
        read_systems(results)
    assert read_systems(results, dataset='B')[0].record.dataset.name == 'B'
    record_path(results[1], 'B').unlink()
    assert read_systems(results)[0].record.dataset.name == 'Drawn'
    with pytest.raises(DataError, match=r"not every system was tested on 'B' \(found .*Bicubic: B, Drawn; "):
        read_systems(results, dataset='B')
    record_path(results[0], 'Drawn').unlink()
    with pytest.raises(DataError, match='not every system was tested on a common data set'):
        read_systems(results)


def test_folders_without_usable_results(results: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match='nowhere: no such result folder; basicsr test writes results/<name>'):
        read_systems([*results, tmp_path / 'nowhere'])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=r'empty: no test_<dataset>.json; run basicsr test, with val.metrics'):
        read_systems([*results, tmp_path / 'empty'])
    rewrite(results[1], metrics={})
    with pytest.raises(DataError, match='Net/test_Drawn.json: has no scores; test again on a data set that has GT'):
        read_systems(results)
    record_path(results[1], 'Drawn').write_text('{"format": 1}')
    with pytest.raises(DataError, match='Net/test_Drawn.json: is no test record of this version'):
        read_systems(results)


def test_the_best_system_is_not_the_baseline_unless_alone() -> None:
    base, net, worse = (make_system(name, {'000': psnr}) for name, psnr in (('a', 30.0), ('b', 32.0), ('c', 20.0)))
    assert best_system([base, net, worse]) is net
    assert best_system([net, worse, base]) is base
    assert best_system([base, worse]) is worse
    assert best_system([base]) is base


def test_where_less_is_better_the_best_has_least() -> None:
    niqe = {'psnr': {'type': 'calculate_niqe'}}
    base, more, less = (make_system(name, {'000': value}, metrics=niqe)
                        for name, value in (('a', 5.0), ('b', 7.0), ('c', 6.0)))
    assert best_system([base, more, less]) is less


A = make_record('A', SCORES['Bicubic'])
UNLIKE = {
    r'scale \(A: 4; B: 2\)': A.model_copy(update={'scale': 2}),
    r'metric psnr, color \(A: y; B: rgb\)':
        A.model_copy(update={'metrics': {**METRICS, 'psnr': {**METRICS['psnr'], 'color': 'rgb'}}}),
    r'metric ssim, crop_border \(A: 0; B: 4\)':
        A.model_copy(update={'metrics': {**METRICS, 'ssim': {**METRICS['ssim'], 'crop_border': 4}}}),
    r'metric ssim \(A: has it; B: lacks it\)': A.model_copy(update={'metrics': {'psnr': METRICS['psnr']}}),
    r'clips \(A: alone has 001; B: none besides\)': A.model_copy(update={'clips': {'000': A.clips['000']}}),
    r'results of clip 001 \(A: 80x64 pixels, bands: 3, 8 bit; B: 80x64 pixels, bands: 3, 16 bit\)':
        change_clip(A, '001', bit_depth=16),
    r'results of clip 000 \(A: 80x64 .*; B: 40x64 pixels, bands: 3, 8 bit\)': change_clip(A, '000', width=40),
    r'frames of clip 000 \(A: 3, alone has 00; B: 3, alone has 07\)': change_clip(A, '000', frames=['07', '01', '02']),
    r'frames of clip 000 \(A: 3, in another order; B: 3, in another order\)':
        change_clip(A, '000', frames=['01', '00', '02']),
    r'GT of clip 001, frame 01 and 1 more frame \(A: checksum 000005dd; B: 00000007\)':
        change_clip(A, '001', gt_crc32=[1500, 7, 8]),
    r'LR of clip 000, frame 00 \(A: checksum 00000000; B: 00000009\)': change_clip(A, '000', lq_crc32=[9, 1, 2]),
}


@pytest.mark.parametrize('message', UNLIKE)
def test_unlike_tests_are_refused(message: str) -> None:
    with pytest.raises(DataError, match=f'not tested alike, and their scores must not be compared:\n  - {message}\nT'):
        check_alike({'A': A, 'B': UNLIKE[message]})


def test_all_that_differs_is_listed_with_a_few_examples() -> None:
    many = make_record('many', {f'{clip:03}': SCORES['Net']['000'] for clip in range(7)})
    with pytest.raises(DataError) as error:
        check_alike({'A': A, 'same': A, 'many': many, 'B': change_clip(A, '000', bit_depth=16)})
    assert str(error.value).splitlines()[1:-1] == [
        '  - clips (A: none besides; many: alone has 002, 003, 004 and 2 more)',
        '  - results of clip 000 (A: 80x64 pixels, bands: 3, 8 bit; B: 80x64 pixels, bands: 3, 16 bit)']


def test_alike_tests_pass_whatever_the_systems_are() -> None:
    better_given = {**METRICS, 'psnr': {**METRICS['psnr'], 'better': 'higher'}}
    other = make_record('other', SCORES['Net'], {'type': 'X'}, metrics=better_given, device='GPU')
    reordered = A.model_copy(update={'clips': dict(reversed(A.clips.items()))})
    check_alike({'A': A, 'other': other, 'reordered': reordered})
