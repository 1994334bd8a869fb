"""Results as video files: right colours, every frame once and in order, whatever stops the run."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_outputs import SCALE, Frames, enlarged, images, noise, open_one, smooth, upscale, write_missing

from satvsr_plugin.data.video import Frame
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference import video_encoder
from satvsr_plugin.inference.sinks import open_sink
from satvsr_plugin.inference.video_encoder import rate_factor

NTSC = Fraction(30000, 1001)
SUFFIXES = ['.mp4', '.mkv', '.mov', '.avi']


def numbered(count: int) -> list[np.ndarray]:
    """Frames each of which tells its number by its brightness, 3 grey levels a frame."""
    return [np.full((16, 24, 3), 30 + 3 * index, np.uint8) for index in range(count)]


def numbers(path: Path) -> list[int]:
    return [round((float(image.mean()) - 30) / 3) for image in images(path)]


def times(path: Path) -> list[float]:
    """Of the frames, in seconds."""
    import av

    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.mark.parametrize('quality', [90, 100])
@pytest.mark.parametrize('suffix', SUFFIXES)
def test_every_frame_once_in_order_and_in_time(tmp_path: Path, suffix: str, quality: int) -> None:
    path = tmp_path / f'out{suffix}'
    upscale(path, Frames(numbered(67), NTSC), quality=quality)  # parts of 32, 32 and 3
    assert numbers(path) == list(range(67))
    video = open_one(path)
    assert video.rate == NTSC and video.format == (32, 48, 3, 8) and video.length in (67, None)
    found = np.array(times(path)) - (times(path)[0] if suffix == '.avi' else 0)  # FFmpeg reads AVI a frame late
    np.testing.assert_allclose(found, np.arange(67) * 1001 / 30000, atol=6e-4)  # Matroska has whole milliseconds
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize('channels', [1, 3])
def test_colours_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    import av

    monkeypatch.setattr(video_encoder, 'rate_factor', lambda _: 1)  # what is left is the conversion of colours
    frames = [smooth(64, 96, channels, seed=seed) for seed in range(3)]
    upscale(tmp_path / 'out.mp4', Frames(frames))
    for found, frame in zip(images(tmp_path / 'out.mp4'), frames, strict=True):
        errors = found.astype(int) - enlarged(frame)
        assert np.abs(errors).mean() < 0.8 and np.abs(errors.mean(axis=(0, 1))).max() < 0.2
    assert not open_one(tmp_path / 'out.mp4').remarks  # the file says how its colours are coded
    with av.open(str(tmp_path / 'out.mp4')) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == 'yuv420p'
        assert [context.colorspace, context.color_primaries, context.color_trc, context.color_range] == [1, 1, 1, 1]


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('suffix', SUFFIXES)
def test_quality_100_gives_back_every_bit(tmp_path: Path, suffix: str, channels: int) -> None:
    frames = [noise(15, 21, channels, seed=seed) for seed in range(34)]
    upscale(tmp_path / f'out{suffix}', Frames(frames), scale=3, quality=100)  # odd sizes, too
    expected = [np.broadcast_to(enlarged(frame, 3), (45, 63, 3)) for frame in frames]  # grey comes back as RGB
    np.testing.assert_array_equal(images(tmp_path / f'out{suffix}'), expected)


def test_quality_is_what_it_says(tmp_path: Path) -> None:
    frames = [smooth(64, 96) + noise(64, 96, 1, seed=seed) // 13 for seed in range(2)]  # up to 235 + 19
    errors, sizes = [], []
    for quality in (30, 60, 90):
        path = tmp_path / f'{quality}.mp4'
        upscale(path, Frames(frames), quality=quality)
        errors.append(np.mean([np.abs(found.astype(int) - enlarged(frame)).mean()
                               for found, frame in zip(images(path), frames, strict=True)]))
        sizes.append(path.stat().st_size)
    assert errors == sorted(errors, reverse=True) and sizes == sorted(sizes) and errors[-1] < 3 < errors[0]
    assert (rate_factor(0), rate_factor(90)) == (50, 14)


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    frames = [smooth(15, 21)]
    sink = upscale(tmp_path / 'out.mp4', Frames(frames), scale=3, quality=99)
    (found,) = images(tmp_path / 'out.mp4')
    assert found.shape == (46, 64, 3)
    expected = enlarged(frames[0], 3).astype(int)
    assert np.abs(found[:45, :63] - expected).mean() < 2
    assert any('to 64x46' in remark for remark in sink.remarks)


def test_16_bits_become_8_white_to_white(tmp_path: Path) -> None:
    deep = np.tile(np.array([0, 257, 30000, 65535], np.uint16).repeat(4)[:, None, None], (1, 16, 1))
    sink = upscale(tmp_path / 'out.mp4', Frames([deep]), quality=100)
    np.testing.assert_array_equal(images(tmp_path / 'out.mp4')[0][::8, 0, 0], [0, 1, 117, 255])
    assert any('16 bits become 8' in remark for remark in sink.remarks)
    assert any('25 frames a second assumed' in remark for remark in sink.remarks)
    assert open_one(tmp_path / 'out.mp4').rate == 25


def test_places_without_data_are_black(tmp_path: Path) -> None:
    valid = np.ones((16, 24), bool)
    valid[:, :8] = False
    image = enlarged(np.full((16, 24, 3), 200, np.uint8))
    with open_sink(tmp_path / 'out.mp4', Frames([image[::2, ::2]]), SCALE, quality=100) as sink:
        sink.write(0, image, Frame('frame 0', image[:0], valid))
        sink.finish()
    (found,) = images(tmp_path / 'out.mp4')
    assert found[:, :16].max() == 0 and found[:, 16:].min() == 200


def test_ctrl_c_leaves_a_playable_video_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path, video = tmp_path / 'out.mp4', Frames(numbered(70))
    for done in (40, 45, 66):
        with open_sink(path, video, SCALE) as sink:
            write_missing(sink, video, done - (70 - sum(map(len, sink.missing()))))
            assert f'{done} of 70 frames can be played' in sink.interrupt()
        assert numbers(path) == list(range(done))
    with open_sink(path, video, SCALE) as sink:
        assert sink.missing() == [range(66, 70)]
        write_missing(sink, video)
        sink.finish()
    assert numbers(path) == list(range(70)) and os.listdir(tmp_path) == ['out.mp4']
    with pytest.raises(DataError, match='out.mp4: exists already'), open_sink(path, video, SCALE):
        pass


def test_an_error_costs_only_the_part_that_was_begun(tmp_path: Path) -> None:
    path, video = tmp_path / 'out.mp4', Frames(numbered(40))
    with pytest.raises(ZeroDivisionError), open_sink(path, video, SCALE) as sink:
        write_missing(sink, video, 35)
        _ = 1 / 0
    assert not path.exists() and sorted(os.listdir(tmp_path / '.out.mp4.partial')) == [
        '.infer.json', '000000-000032.mp4']
    with pytest.raises(DataError, match='another run .other quality'), open_sink(path, video, SCALE, quality=50):
        pass
    (tmp_path / '.out.mp4.partial-77').write_bytes(b'half')
    with open_sink(path, video, SCALE) as sink:
        assert write_missing(sink, video) == 8
        sink.finish()
    assert numbers(path) == list(range(40)) and os.listdir(tmp_path) == ['out.mp4']
    upscale(path, Frames(numbered(3)), overwrite=True)
    assert numbers(path) == [0, 1, 2]


def test_frames_out_of_order_are_refused(tmp_path: Path) -> None:
    video = Frames(numbered(5))
    frames = list(video.frames())
    with open_sink(tmp_path / 'out.mp4', video, SCALE) as sink:
        with pytest.raises(ValueError, match='no missing part begins with frame 1'):
            sink.write(1, enlarged(frames[1].image), frames[1])
        sink.write(0, enlarged(frames[0].image), frames[0])
        with pytest.raises(ValueError, match='frame 2 does not follow frame 0'):
            sink.write(2, enlarged(frames[2].image), frames[2])


def fill(path: Path, messages: Any) -> None:
    """Write more than files may hold."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        upscale(path, Frames([noise(64, 64, 3, seed=seed) for seed in range(40)]), quality=95)
    except DataError as error:
        messages.put(str(error))


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    fork = multiprocessing.get_context('fork')
    messages = fork.Queue()
    process = fork.Process(target=fill, args=(tmp_path / 'out.mp4', messages))
    process.start()
    message = messages.get(timeout=60)
    process.join()
    assert f'out.mp4: cannot write: {os.strerror(errno.EFBIG)}; what is finished stays' in message
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_when_parts_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path, video = tmp_path / 'out.mp4', Frames(numbered(5))
    with open_sink(path, video, SCALE) as sink:
        write_missing(sink, video)
        with monkeypatch.context() as patch:
            patch.setattr(os, 'fsync', full)
            with pytest.raises(DataError, match='out.mp4: cannot write: No space left on device'):
                sink.finish()
    assert os.listdir(tmp_path) == ['.out.mp4.partial']
    with open_sink(path, video, SCALE) as sink:
        assert sink.missing() == []
        sink.finish()
    assert numbers(path) == list(range(5)) and os.listdir(tmp_path) == ['out.mp4']
