"""Folders and files of results: names, values, restarts, and what is refused."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_outputs import SCALE, Frames, enlarged, images, noise, open_one, smooth, upscale, write_missing

from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.video import Frame
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.nodata import fill_nodata, put_nodata
from satvsr_plugin.inference.sinks import open_sink

KILLS = 8
RGB = [noise(8, 10, 3, seed=seed) for seed in range(5)]
FORK = multiprocessing.get_context('fork')


def write_slowly(output: Path, frames: list[np.ndarray], begun: Any, hold: bool) -> None:
    """What a killed process was doing."""
    video = Frames(frames)
    with open_sink(output, video, SCALE, quality=100) as sink:
        begun.set()
        if hold:
            time.sleep(600)
        for index in (index for part in sink.missing() for index in part):
            time.sleep(0.004)
            sink.write(index, enlarged(frames[index]), Frame('', frames[index]))
        sink.finish()


def start(output: Path, frames: list[np.ndarray], hold: bool = False) -> multiprocessing.Process:
    """Begin to write in a process of its own; it has the output when this returns."""
    begun = FORK.Event()
    process = FORK.Process(target=write_slowly, args=(output, frames, begun, hold))
    process.start()
    assert begun.wait(120)
    return process


def write_folder(folder: Path, frames: list[np.ndarray], names: list[str]) -> Path:
    for name, frame in zip(names, frames, strict=True):
        write_image(folder / name, frame)
    return folder


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_a_folder_keeps_names_values_and_depth(tmp_path: Path, channels: int, dtype: type) -> None:
    names = ['f9.png', 'f10.png', 'f11.v2.png']
    frames = [noise(6, 7, channels, seed=seed, dtype=dtype) for seed in range(3)]
    upscale(tmp_path / 'out', open_one(write_folder(tmp_path / 'in', frames, names)), scale=3)
    assert sorted(os.listdir(tmp_path / 'out')) == sorted(names)
    for name, frame in zip(names, frames, strict=True):
        np.testing.assert_array_equal(read_image(tmp_path / 'out' / name), enlarged(frame, 3), strict=True)


def test_input_of_several_folders_is_numbered_where_names_do_not_tell(tmp_path: Path) -> None:
    for folder, names in (('a', ['0.png', '8.png']), ('b', ['0.png', '1.png', '9.png'])):
        write_folder(tmp_path / folder, RGB[:len(names)], names)
    same = open_one(*(tmp_path / name for name in ('a/0.png', 'b/0.png')))
    assert same.stems(2) == ['000000', '000001']
    unsorted = open_one(*(tmp_path / name for name in ('a/8.png', 'b/1.png')))
    assert unsorted.stems(2) == ['000000', '000001']
    assert open_one(*(tmp_path / name for name in ('a/8.png', 'b/9.png'))).stems(2) == ['8', '9']
    sink = upscale(tmp_path / 'out', same)
    assert sorted(os.listdir(tmp_path / 'out')) == ['000000.png', '000001.png']
    assert 'results are numbered' in sink.remarks[0]
    assert not upscale(tmp_path / 'in order', open_one(tmp_path / 'a')).remarks


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    video = open_one(write_folder(tmp_path / 'in', RGB, [f'{index}.jpg.png' for index in range(5)]))
    out = tmp_path / 'out'
    with open_sink(out, video, SCALE, plan={'weights': 1}) as sink:
        write_missing(sink, video, 2)
        assert sink.missing() == [range(2, 3), range(3, 4), range(4, 5)]
        assert '2 of 5 frames' in sink.interrupt()
        with pytest.raises(DataError, match='3 of 5 frames are missing'):
            sink.finish()
    (out / '.3.jpg.png.partial-77').write_bytes(b'half')
    (out / '2.jpg.png').write_bytes(b'')  # not one of ours: the names of finished frames are trusted
    with pytest.raises(DataError, match='unfinished results of another run .other weights.*--overwrite'), \
            open_sink(out, video, SCALE, plan={'weights': 2}):
        pass
    (out / '2.jpg.png').unlink()
    with open_sink(out, video, SCALE, plan={'weights': 1}) as sink:
        assert write_missing(sink, video) == 3
        sink.finish()
    assert sorted(os.listdir(out)) == [f'{index}.jpg.png' for index in range(5)]
    for found, frame in zip(images(out), RGB, strict=True):
        np.testing.assert_array_equal(found, enlarged(frame))


def test_results_are_replaced_only_when_asked(tmp_path: Path) -> None:
    out = write_folder(tmp_path / 'out', [RGB[0], RGB[1]], ['000001.png', 'other.png'])
    with pytest.raises(DataError, match=r'000001.png: exists already; .*--overwrite'), \
            open_sink(out, Frames(RGB), SCALE):
        pass
    assert sorted(os.listdir(out)) == ['000001.png', 'other.png']
    upscale(out, Frames(RGB), overwrite=True)
    np.testing.assert_array_equal(read_image(out / '000001.png'), enlarged(RGB[1]))
    np.testing.assert_array_equal(read_image(out / 'other.png'), RGB[1])
    with pytest.raises(DataError, match=r'000000.png: exists already \(and 4 more results\)'), \
            open_sink(out, Frames(RGB), SCALE):
        pass


def test_a_run_that_fails_before_its_first_result_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / 'there').mkdir()
    for name in ('new/out', 'there', 'out.mp4', 'out.png'):
        with pytest.raises(ZeroDivisionError), open_sink(tmp_path / name, Frames(RGB[:1]), SCALE):
            _ = 1 / 0
    assert sorted(os.listdir(tmp_path)) == ['new', 'there']
    assert not any(os.listdir(tmp_path / name) for name in ('new', 'there'))


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in', RGB, [f'{index}.bmp' for index in range(5)])
    (tmp_path / 'link').symlink_to(folder)
    single = write_folder(tmp_path, RGB[:1], ['a.png']) / 'a.png'
    for output, video in ((folder, open_one(folder)), (tmp_path / 'link', open_one(folder)),
                          (single, open_one(single))):
        with pytest.raises(DataError, match='is the input|the input lies there'):
            open_sink(output, video, SCALE, overwrite=True)


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder.mp4').mkdir()
    five = Frames([noise(8, 8, 5)])
    for name, video, message in (
        ('file', Frames(RGB), 'is a file; name a folder'),
        ('folder.mp4', Frames(RGB), 'is a folder; name a file'),
        ('a.webm', Frames(RGB), 'files of this kind are not written; end it with .mp4'),
        ('a.jpg', Frames(RGB[:1]), 'files of this kind are not written'),
        ('a.tif', Frames(RGB), 'holds one picture, but frames has 5 frames; name a folder, e.g. .*/a$'),
        ('a.png', five, 'PNG does not hold 5 bands; end it with .tif'),
        ('a.mp4', five, 'a video holds grey or RGB, but frames has 5 bands; .*--bands 1 2 3'),
    ):
        with pytest.raises(DataError, match=message):
            open_sink(tmp_path / name, video, SCALE)
    assert sorted(os.listdir(tmp_path)) == ['file', 'folder.mp4']


def test_two_runs_into_one_output_are_refused(tmp_path: Path) -> None:
    for name in ('out', 'out.mp4'):
        process = start(tmp_path / name, RGB, hold=True)
        try:
            with pytest.raises(DataError, match='another process is at work there'), \
                    open_sink(tmp_path / name, Frames(RGB), SCALE, quality=100):
                pass
        finally:
            process.kill()
            process.join()


def test_several_processes_write_into_one_output(tmp_path: Path) -> None:
    video = Frames([smooth(16, 24, seed=seed) for seed in range(70)])
    frames = list(video.frames())
    for name in ('out', 'out.mp4'):
        with open_sink(tmp_path / name, video, SCALE, quality=100) as first, \
                open_sink(tmp_path / name, video, SCALE, quality=100, shared=True) as other:
            parts = first.missing()
            half = len(parts) // 2
            for sink, share in ((other, parts[half:]), (first, parts[:half])):
                for index in (index for part in share for index in part):
                    sink.write(index, enlarged(frames[index].image), frames[index])
            first.finish()
        np.testing.assert_array_equal(images(tmp_path / name), [enlarged(frame.image) for frame in frames])
    assert sorted(os.listdir(tmp_path)) == ['out', 'out.mp4']


def test_a_full_disk_is_one_message_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    video = Frames(RGB)
    with open_sink(tmp_path / 'out', video, SCALE) as sink:
        write_missing(sink, video, 2)
        with monkeypatch.context() as patch:
            patch.setattr(os, 'fsync', full)
            with pytest.raises(DataError, match='out/000002.png: cannot write: No space left on device; .*goes on'):
                write_missing(sink, video, 1)
        assert set(os.listdir(tmp_path / 'out')) == {'.infer.json', '.lock', '000000.png', '000001.png'}
        write_missing(sink, video)
        sink.finish()
    assert len(images(tmp_path / 'out')) == 5


def test_frames_are_counted_where_the_input_does_not_say(tmp_path: Path) -> None:
    video = Frames(RGB, known=False)
    assert (video.count(), video.count(3), video.count(9)) == (5, 3, 5)
    assert upscale(tmp_path / 'out', video).length == 5


@pytest.mark.parametrize(('name', 'longest'), [('out', 0.08), ('out.mp4', 0.3)])
def test_killed_at_any_moment(tmp_path: Path, name: str, longest: float) -> None:
    rng = random.Random(4)
    killed = 0
    output = tmp_path / name
    frames = [smooth(16, 24, seed=seed) for seed in range(100)]
    for _ in range(KILLS):
        process = start(output, frames)
        time.sleep(rng.uniform(0, longest))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        killed += 1
        for path in output.glob('*.png'):  # never a half-written one under a final name
            assert read_image(path).shape == (32, 48, 3)
    assert killed
    if process.exitcode:
        upscale(output, Frames(frames), quality=100)
    np.testing.assert_array_equal(images(output), [enlarged(frame) for frame in frames])
    assert os.listdir(tmp_path) == [name]
    assert name != 'out' or len(os.listdir(output)) == 100


def test_nodata_takes_the_nearest_value_and_comes_back() -> None:
    image = noise(20, 30, 2, dtype=np.uint16)
    valid = np.ones((20, 30), bool)
    valid[:, 12:15] = valid[7, :] = False
    filled = fill_nodata(image, valid)
    np.testing.assert_array_equal(filled[valid], image[valid])
    np.testing.assert_array_equal(filled[:7, 12], image[:7, 11])
    np.testing.assert_array_equal(filled[8:, 14], image[8:, 15])
    np.testing.assert_array_equal(fill_nodata(image, np.zeros_like(valid)), image)
    grey = np.array([[[0], [1], [0], [65535]]], np.uint16)
    mask = np.array([[False, True, True, True]])
    np.testing.assert_array_equal(put_nodata(grey, mask, 0)[0, :, 0], [0, 1, 1, 65535])
    np.testing.assert_array_equal(put_nodata(grey, mask, 65535)[0, :, 0], [65535, 1, 0, 65534])
