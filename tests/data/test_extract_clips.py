"""Clips cut out of long videos: which pixels and windows, what is left out and why, and that faults leave nothing."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_files import drifting, record, terrain, write_frames, write_tiff, write_video

from satvsr_plugin import disk
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.extraction import ExtractionOptions, Moment, dataset, extract_clips
from satvsr_plugin.data.extraction.grid import Window, clip_starts, windows
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.pairs import read_frame_list
from satvsr_plugin.data.video import Frame, Video
from satvsr_plugin.errors import DataError, OptionError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'extract_clips.py'
SIZE = (64, 64)
SMALL = {'frames': 4, 'size': SIZE}


def run_script(*arguments: object) -> None:
    spec = importlib.util.spec_from_file_location('extract_clips_script', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(argument) for argument in arguments])


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_a_frame_of_jilin1_holds_18_windows() -> None:
    grid = windows((4096, 2160), (640, 640), (640, 640))
    assert len(grid) == 18  # 6 across (3840 of 4096 px) times 3 down (1920 of 2160)
    assert grid[:2] == [Window(0, 0, 640, 640), Window(640, 0, 640, 640)]
    assert grid[-1] == Window(3200, 1280, 640, 640)
    assert len(windows((4096, 2160), (640, 640), (320, 320))) == 11 * 5
    assert [window[:2] for window in windows((10, 8), (4, 8), (3, 1))] == [(0, 0), (3, 0), (6, 0)]
    assert windows((639, 2160), (640, 640), (640, 640)) == []


def test_when_clips_begin() -> None:
    assert list(clip_starts(0, 750, ExtractionOptions())) == [0, 100, 200, 300, 400, 500, 600]
    assert list(clip_starts(25, 225, ExtractionOptions())) == [25, 125]
    assert list(clip_starts(0, 200, ExtractionOptions(step=50))) == [0, 50, 100]
    assert list(clip_starts(0, 99, ExtractionOptions())) == []


def test_windows_are_the_sources_pixels(tmp_path: Path) -> None:
    frames = drifting(9)
    video = write_video(tmp_path / 'a.mov', 'png', frames, 'rgb24')
    summary = extract_clips([video], tmp_path / 'out', ExtractionOptions(**SMALL))
    assert summary[:3] == (12, 48, {'texture': 0, 'cut': 0, 'nodata': 0})
    clips = ClipFolder(tmp_path / 'out' / 'GT')
    assert list(clips.clips) == [f'{number:03d}' for number in range(12)]
    places = [(first, y, x) for first in (0, 4) for y in (0, 64) for x in (0, 64, 128)]
    for clip, (first, y, x) in zip(clips.clips, places, strict=True):
        assert clips.clips[clip] == ['000.png', '001.png', '002.png', '003.png']
        for index, frame in enumerate(clips.clips[clip]):
            np.testing.assert_array_equal(clips.read(clip, frame), frames[first + index][y : y + 64, x : x + 64])
        origin = record(tmp_path / 'out')['clips'][clip]
        assert [origin[name] for name in ('source', 'first_frame', 'y', 'x', 'width', 'height')] == [
            str(video), first, y, x, 64, 64]
    chosen = read_frame_list(tmp_path / 'out' / 'meta_info.txt', clips)
    assert chosen == {clip: [0, 1, 2, 3] for clip in clips.clips}


def test_script_with_stride_step_start_and_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = drifting(14)
    video = write_video(tmp_path / 'a.mov', 'png', frames, 'rgb24')  # 25 frames a second
    out = tmp_path / 'out'
    run_script('--input', video, '--output', out, '--frames', 4, '--size', 96, 64, '--stride', 100, 60, '--step', 2,
               '--start', '0.08s', '--end', 9)
    places = [(first, y, x) for first in (2, 4) for y in (0, 60) for x in (0, 100)]
    origins = record(out)['clips']
    assert [(clip['first_frame'], clip['y'], clip['x']) for clip in origins.values()] == places
    for clip, (first, y, x) in zip(origins, places, strict=True):
        for index in range(4):
            np.testing.assert_array_equal(read_image(out / 'GT' / clip / f'{index:03d}.png'),
                                          frames[first + index][y : y + 64, x : x + 96])
    shown = capsys.readouterr().out
    assert f'{out}: 8 clips of 4 frames, 96x64, in' in shown
    assert f'next: python scripts/degrade_clips.py --input {out}/GT --output {out} --scale 4' in shown


@pytest.mark.parametrize(('bands', 'dtype'), [(1, np.uint8), (1, np.uint16), (3, np.uint16), (4, np.uint8)])
def test_geotiff_of_any_kind(tmp_path: Path, bands: int, dtype: type) -> None:
    scenes = [np.dstack([frame, frame[..., :1]])[..., :bands].astype(dtype) for frame in drifting(4)]
    (tmp_path / 'in').mkdir()
    for index, scene in enumerate(scenes):
        write_tiff(tmp_path / 'in' / f'{index}.tif', scene)
    options = ExtractionOptions(**SMALL, data_range=255)
    extract_clips([tmp_path / 'in'], tmp_path / 'out', options)
    np.testing.assert_array_equal(read_image(tmp_path / 'out' / 'GT' / '004' / '002.png'), scenes[2][64:128, 64:128])


def test_several_videos_are_numbered_on(tmp_path: Path) -> None:
    first = write_video(tmp_path / 'a.mov', 'png', drifting(5), 'rgb24')
    second = write_video(tmp_path / 'b.mov', 'png', drifting(9, seed=1), 'rgb24')
    extract_clips([first, second], tmp_path / 'all', ExtractionOptions(**SMALL))
    sources = [(clip['source'], clip['first_frame']) for clip in record(tmp_path / 'all')['clips'].values()]
    assert sources == 6 * [(str(first), 0)] + 6 * [(str(second), 0)] + 6 * [(str(second), 4)]
    extract_clips([first, second], tmp_path / 'some', ExtractionOptions(**SMALL, max_clips=8))
    some, whole = files_in(tmp_path / 'some' / 'GT'), files_in(tmp_path / 'all' / 'GT')
    assert some == {name: whole[name] for name in whole if name[:3] < '008'}


def test_names_grow_where_three_digits_are_too_few(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / 'in', [terrain(16, 16)] * 2)
    for number in range(2, 1001):
        os.link(folder / '0.png', folder / f'{number}.png')
    extract_clips([folder], tmp_path / 'out', ExtractionOptions(frames=1001, size=(16, 16), min_texture=0))
    names = sorted(os.listdir(tmp_path / 'out' / 'GT' / '000'))
    assert len(names) == 1001 and names[0] == '0000.png' and names[-1] == '1000.png'


@pytest.mark.parametrize(('options', 'message'), [
    ({'frames': 6}, r'1 problem\n.*in: 5 frames are too few for a clip of 6; lower --frames'),
    ({'start': Moment(2)}, 'in: 3 frames between --start and --end are too few for a clip of 4'),
    ({'start': Moment(50)}, 'in: 0 frames between'),
    ({'size': (201, 64)}, 'in: frames are 200x130, smaller than --size 201 64'),
    ({'start': Moment(3), 'end': Moment(3)}, r'--end \(frame 3\) must come after --start \(frame 3\)'),
    ({'start': Moment(1, in_seconds=True)}, 'in: has no frame rate; give --start and --end as numbers of frames'),
])
def test_videos_that_hold_no_clip(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    folder = write_frames(tmp_path / 'in', drifting(5))
    with pytest.raises((DataError, OptionError), match=message):
        extract_clips([folder], tmp_path / 'out', ExtractionOptions(**{**SMALL, **options}))
    assert os.listdir(tmp_path) == ['in']


def test_a_video_of_unknown_length_that_is_too_short(tmp_path: Path) -> None:
    video = write_video(tmp_path / 'a.mkv', 'ffv1', drifting(5), 'bgra')  # Matroska does not count its frames
    assert extract_clips([video], tmp_path / 'out', ExtractionOptions(**SMALL)).clips == 6
    with pytest.raises(DataError, match='a.mkv: 5 frames are too few for a clip of 6'):
        extract_clips([video], tmp_path / 'longer', ExtractionOptions(frames=6, size=SIZE))
    assert sorted(os.listdir(tmp_path)) == ['a.mkv', 'out']


@pytest.mark.parametrize(('options', 'message'), [
    ({'frames': 0}, '--frames is 0; it must be at least 1'),
    ({'step': -1}, '--step is -1'),
    ({'size': (0, 64)}, '--size is 0 64; it takes one or two numbers of pixels, at least 1'),
    ({'stride': (1, 2, 3)}, '--stride is 1 2 3'),
    ({'min_texture': float('nan')}, '--min-texture is nan; it must lie between 0 and 255'),
    ({'cut_threshold': 2.5}, '--cut-threshold is 2.5; it must lie between 0 and 2'),
    ({'data_range': 0}, '--data-range is 0'),
    ({'max_clips': 0}, '--max-clips is 0'),
])
def test_wrong_numbers(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ExtractionOptions(**options)


def test_moments_and_bands_that_cannot_be_read(tmp_path: Path) -> None:
    assert [Moment.parse(text) for text in ('250', '10.5s')] == [(250, False), (10.5, True)]
    for text in ('10.5', '-3', '1m', ''):
        with pytest.raises(OptionError, match='is no moment of a video'):
            Moment.parse(text)
    for words in (('1', '2'), ('red',), ('frames', '1')):
        with pytest.raises(OptionError, match='--bands'):
            run_script('--input', tmp_path, '--output', tmp_path / 'out', '--bands', *words)


def test_damage_leaves_nothing_and_what_comes_before_can_be_used(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / 'in', drifting(8))
    (folder / '6.png').write_bytes((folder / '6.png').read_bytes()[:200])
    with pytest.raises(DataError, match='in/6.png: not a readable image'):
        extract_clips([folder], tmp_path / 'out', ExtractionOptions(**SMALL))
    assert os.listdir(tmp_path) == ['in']
    assert extract_clips([folder], tmp_path / 'out', ExtractionOptions(**SMALL, end=Moment(6))).clips == 6


def test_what_is_there_is_kept_unless_overwrite(tmp_path: Path) -> None:
    first, second = (write_frames(tmp_path / name, drifting(4, seed=seed)) for name, seed in (('a', 0), ('b', 1)))
    out, options = tmp_path / 'out', ExtractionOptions(**SMALL)
    extract_clips([first], out, options)
    before = files_in(tmp_path)
    with pytest.raises(DataError, match='out: holds extracted clips already; .*--overwrite'):
        extract_clips([second], out, options)
    with pytest.raises(DataError, match='a: exists and holds no extracted clips'):
        extract_clips([second], first, options, overwrite=True)
    with pytest.raises(DataError, match='out: .*out/GT/000 lies in this folder'):
        extract_clips([out / 'GT' / '000'], out, options, overwrite=True)
    with pytest.raises(DataError, match='/: is the whole disk'):
        extract_clips([second], Path('/'), options, overwrite=True)
    (second / '3.png').write_bytes(b'')
    with pytest.raises(DataError, match='b/3.png'):
        extract_clips([second], out, options, overwrite=True)
    write_image(second / '3.png', drifting(4, seed=1)[3])
    after = files_in(tmp_path)
    assert {name: after[name] for name in before} == before
    extract_clips([second], out, options, overwrite=True)
    np.testing.assert_array_equal(read_image(out / 'GT' / '000' / '003.png'), drifting(4, seed=1)[3][:64, :64])
    assert sorted(os.listdir(tmp_path)) == ['a', 'b', 'out']


def test_a_full_disk_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_frames(tmp_path / 'in', drifting(8))
    needed = 12 * 4 * 64 * 64 * 3
    monkeypatch.setattr(disk, 'free_space', lambda _: needed - 1)
    with pytest.raises(DataError, match='589.8 kB are needed, .* upper bound: all windows, uncompressed.*--max-clips'):
        extract_clips([folder], tmp_path / 'out', ExtractionOptions(**SMALL))
    assert os.listdir(tmp_path) == ['in']
    monkeypatch.setattr(disk, 'free_space', lambda _: needed)
    assert extract_clips([folder], tmp_path / 'out', ExtractionOptions(**SMALL)).clips == 12


def test_a_killed_run_leaves_no_output_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / 'in', drifting(12, 520, 520))
    command = [sys.executable, str(SCRIPT), '--input', str(folder), '--output', str(tmp_path / 'out'), '--frames', '12',
               '--size', '64', '--stride', '16']  # 841 windows: seconds
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    staged = tmp_path / '.out.extracting'
    deadline = time.monotonic() + 60
    while not any(staged.rglob('*.png')) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert any(staged.rglob('*.png')) and not (tmp_path / 'out').exists()
    extract_clips([folder], tmp_path / 'out', ExtractionOptions(frames=12, size=(512, 512)))
    assert sorted(os.listdir(tmp_path)) == ['in', 'out'] and os.listdir(tmp_path / 'out' / 'GT') == ['000']


class _LongVideo(Video):
    """150 frames of 3 MB each, made when they are asked for."""

    def __init__(self) -> None:
        super().__init__('long', FrameFormat(1000, 1000, 3, 8), 150)
        self._scene = terrain(1000, 1150)

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        for index in range(150)[start:stop]:
            yield Frame(f'long: frame {index}', self._scene[:, index : index + 1000].copy())


def test_memory_does_not_grow_with_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = _LongVideo()
    monkeypatch.setattr(dataset, 'open_videos', lambda *_: [video])
    tracemalloc.start()
    try:
        extract_clips(['long'], tmp_path / 'out', ExtractionOptions(frames=60, size=SIZE, stride=(900, 900), step=30))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6  # of 450 MB in all
    assert len(os.listdir(tmp_path / 'out' / 'GT')) == 4 * 4


def test_script_needs_no_torch(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / 'in', drifting(4))
    code = ('import runpy, sys\n'
            f'sys.argv = ["x", "--input", {str(folder)!r}, "--output", {str(tmp_path / "out")!r}, "--frames", "4", '
            '"--size", "64"]\n'
            'try:\n'
            f'    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")\n'
            'except SystemExit as left:\n'
            '    assert left.code == 0, left.code\n'
            'assert not {"torch", "basicsr", "av", "rasterio"} & set(sys.modules)\n')
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
    assert len(os.listdir(tmp_path / 'out' / 'GT')) == 6
