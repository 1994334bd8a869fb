"""degradation.json: what is in it, that runs join without losing each other, and that nothing else is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin import __version__
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation_frame import degrade
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.errors import DataError

BLIND = Degradation(2, blur=(1.0, 2.0), noise=(1.0, 3.0), seed=4)


def make_gt(root: Path, *clips: str, frames: int = 1) -> ClipFolder:
    for clip in clips:
        for frame in range(frames):
            image = np.random.default_rng(frame).integers(0, 256, (16, 16, 3), np.uint8)
            write_image(root / clip / f'{frame}.png', image)
    return ClipFolder(root)


def read(output: Path) -> dict:
    return json.loads((output / 'degradation.json').read_text())


def clips_of(output: Path, folder: str) -> list[list[str]]:
    """Names of the clips of every run."""
    return [list(run['clips']) for run in read(output)[folder]]


def test_it_says_everything_that_is_needed_to_repeat_the_run(tmp_path: Path) -> None:
    gt = make_gt(tmp_path / 'GT', 'b10', 'b9')
    degrade_clips(gt, tmp_path / 'out', BLIND, bicubic=True)
    assert read(tmp_path / 'out') == {'LR2x': [{
        'satvsr_plugin': __version__, 'scale': 2, 'kind': 'bicubic', 'blur': [1.0, 2.0], 'anisotropic': False,
        'noise': [1.0, 3.0], 'jpeg': None, 'seed': 4, 'crop': False, 'bicubic': True,
        'clips': {clip: BLIND.draw(clip)._asdict() for clip in ('b9', 'b10')},
    }]}
    text = (tmp_path / 'out' / 'degradation.json').read_text()
    assert str(tmp_path) not in text
    degrade_clips(gt, tmp_path / 'again', BLIND, bicubic=True)
    assert (tmp_path / 'again' / 'degradation.json').read_text() == text


def test_a_clip_can_be_made_again_from_what_it_drew(tmp_path: Path) -> None:
    gt = make_gt(tmp_path / 'GT', 'a')
    degrade_clips(gt, tmp_path, Degradation(2, 'bd', blur=(1.0, 2.0), jpeg=(50, 90)))
    drawn = read(tmp_path)['LR2x'][0]['clips']['a']
    fixed = Degradation(2, 'bd', blur=(drawn['blur'],) * 2, jpeg=(drawn['jpeg'],) * 2)
    np.testing.assert_array_equal(degrade(gt.read('a', '0.png'), fixed, 'a', '0.png'),
                                  read_image(tmp_path / 'LR2x' / 'a' / '0.png'))


def test_runs_join_the_record(tmp_path: Path) -> None:
    first, second = make_gt(tmp_path / 'GT1', 'a', 'b'), make_gt(tmp_path / 'GT2', 'c')
    out = tmp_path / 'out'
    degrade_clips(first, out, Degradation(4))
    degrade_clips(first, out, Degradation(2))
    degrade_clips(second, out, Degradation(2))  # the same settings: one run
    assert list(read(out)) == ['LR2x', 'LR4x']
    assert clips_of(out, 'LR2x') == [['a', 'b', 'c']] and clips_of(out, 'LR4x') == [['a', 'b']]
    degrade_clips(second, out, Degradation(2), overwrite=True)
    assert clips_of(out, 'LR2x') == [['a', 'b', 'c']]
    degrade_clips(second, out, BLIND, overwrite=True)
    assert clips_of(out, 'LR2x') == [['a', 'b'], ['c']]
    degrade_clips(first, out, BLIND, overwrite=True)
    assert clips_of(out, 'LR2x') == [['a', 'b', 'c']] and read(out)['LR2x'][0]['seed'] == 4


def test_what_is_known_of_frames_that_stay_stays(tmp_path: Path) -> None:
    degrade_clips(make_gt(tmp_path / 'GT', 'a', frames=3), tmp_path, Degradation(2))
    shorter = make_gt(tmp_path / 'short', 'a', frames=2)
    degrade_clips(shorter, tmp_path, BLIND, overwrite=True)  # the third frame of before is still there
    assert [run['seed'] for run in read(tmp_path)['LR2x']] == [0, 4]
    (tmp_path / 'LR2x' / 'a' / '2.png').unlink()
    degrade_clips(shorter, tmp_path, BLIND, overwrite=True)
    assert [run['seed'] for run in read(tmp_path)['LR2x']] == [4]


@pytest.mark.parametrize('content', ['', '{', '[]', '{"LR2x": 1}', '{"LR2x": [{"scale": 2}]}', '{"a": [1]}', '\xff'])
def test_a_file_of_others_is_never_overwritten(tmp_path: Path, content: str) -> None:
    gt = make_gt(tmp_path / 'GT', 'a')
    record = tmp_path / 'out' / 'degradation.json'
    record.parent.mkdir()
    record.write_bytes(content.encode('latin-1'))
    with pytest.raises(DataError, match='out/degradation.json: is not a record of this program'):
        degrade_clips(gt, tmp_path / 'out', Degradation(2), overwrite=True)
    assert record.read_bytes() == content.encode('latin-1') and list(record.parent.iterdir()) == [record]
