"""Reading the scores of systems that were tested on the same clips."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_results import SCORES, write_scores

from satvsr_plugin.comparison.results import best_system, read_systems
from satvsr_plugin.errors import DataError, OptionError


def test_scores_are_read_with_clips_frames_and_average(results: list[Path]) -> None:
    dataset, (bicubic, net) = read_systems(results)
    assert dataset == 'Drawn'
    assert (bicubic.name, net.name) == ('Bicubic', 'Net')
    assert bicubic.frames == {'000': 3, '001': 3}
    assert net.clips == {'000': {'psnr': 32.125, 'ssim': 0.93}, '001': {'psnr': 31.25, 'ssim': 0.9}}
    assert net.average == {'psnr': 31.6875, 'ssim': 0.915}


def test_the_last_of_several_tests_counts(results: list[Path]) -> None:
    write_scores(results[1], {clip: (40.0, 0.99) for clip in SCORES['Net']})
    _, (_, net) = read_systems(results)
    assert net.average == {'psnr': 40.0, 'ssim': 0.99}


def test_the_data_set_is_chosen_where_there_are_several(results: list[Path]) -> None:
    for folder in results:
        write_scores(folder, {'007': (20.0, 0.5)}, dataset='Other')
    with pytest.raises(OptionError, match='choose one by --dataset: Drawn, Other'):
        read_systems(results)
    dataset, (bicubic, _) = read_systems(results, dataset='Other')
    assert (dataset, list(bicubic.clips)) == ('Other', ['007'])


def test_only_the_common_data_set_is_taken(results: list[Path]) -> None:
    write_scores(results[0], {'007': (20.0, 0.5)}, dataset='Other')
    assert read_systems(results)[0] == 'Drawn'
    with pytest.raises(DataError, match=r"not every system was tested on 'Other' \(found .*Bicubic: Drawn, Other; "):
        read_systems(results, dataset='Other')
    (results[1] / 'metrics_Drawn.csv').rename(results[1] / 'metrics_Third.csv')
    with pytest.raises(DataError, match='not every system was tested on a common data set'):
        read_systems(results)


def test_names(results: list[Path]) -> None:
    _, systems = read_systems(results, names=['first', 'second'])
    assert [system.name for system in systems] == ['first', 'second']
    with pytest.raises(OptionError, match='--names: 1 names for 2 result folders'):
        read_systems(results, names=['first'])
    with pytest.raises(OptionError, match="more than one result folder is called 'Bicubic'"):
        read_systems([results[0], results[0]])


def test_the_best_system_is_not_the_baseline_unless_alone(results: list[Path], tmp_path: Path) -> None:
    write_scores(tmp_path / 'Worse', {clip: (20.0, 0.99) for clip in SCORES['Net']})
    _, systems = read_systems([*results, tmp_path / 'Worse'])
    bicubic, net, worse = systems
    assert best_system(systems) is net
    assert best_system([net, worse, bicubic]) is bicubic
    assert best_system([bicubic, worse]) is worse
    assert best_system([bicubic]) is bicubic


def test_a_folder_without_scores(tmp_path: Path, results: list[Path]) -> None:
    with pytest.raises(DataError, match='nowhere: no such result folder'):
        read_systems([*results, tmp_path / 'nowhere'])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=r'empty: no metrics_<dataset>.csv; run basicsr test with val.metrics'):
        read_systems([*results, tmp_path / 'empty'])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'the first row must be iter,clip,frames and the metrics'),
        ('iter,clip,frames\nx,000,3\n', 'the first row must be'),
        ('iter,clip,frames,psnr\nx,000,3,30\n', "the last row is not the 'average' over clips"),
        ('iter,clip,frames,psnr\nx,000,3\nx,average,3,30\n', 'row 2 has 3 values instead of 4'),
        ('iter,clip,frames,psnr\nx,000,3,high\nx,average,3,30\n', "'high' is not a number"),
        ('iter,clip,frames,psnr\nx,000,3,30\nx,000,3,30\nx,average,6,30\n', 'a clip twice'),
        ('iter,clip,frames,psnr\nx,average,0,30\n', 'has no clips'),
    ],
)
def test_damaged_scores(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / 'metrics_Drawn.csv'
    path.write_text(content)
    with pytest.raises(DataError, match=f'metrics_Drawn.csv: .*{message}'):
        read_systems([tmp_path])


def test_scores_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / 'metrics_Drawn.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DataError, match='metrics_Drawn.csv: cannot read the scores'):
        read_systems([tmp_path])


def test_systems_tested_on_different_clips(results: list[Path]) -> None:
    write_scores(results[1], {'000': (32.0, 0.93), '002': (31.0, 0.9)})
    with pytest.raises(DataError, match='different clips; only one of them has 001, 002'):
        read_systems(results)


def test_systems_tested_with_different_numbers_of_frames(results: list[Path]) -> None:
    path = results[1] / 'metrics_Drawn.csv'
    path.write_text(path.read_text().replace('Net,001,3', 'Net,001,2'))
    with pytest.raises(DataError, match=r'clip 001: 3 frames in Bicubic .*, 2 in Net'):
        read_systems(results)


def test_systems_tested_with_different_metrics(results: list[Path]) -> None:
    path = results[1] / 'metrics_Drawn.csv'
    path.write_text(path.read_text().replace('psnr,ssim', 'psnr,niqe'))
    with pytest.raises(DataError, match=r'Net .* has no ssim, which Bicubic .* has'):
        read_systems(results)
