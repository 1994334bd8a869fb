"""Readers of long videos: every pixel right, whatever the container, and faults named."""

from __future__ import annotations

import os
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_files import (
    RGB,
    H,
    W,
    assert_holds,
    cut_short,
    images,
    noise,
    open_one,
    write_pages,
    write_tiff,
    write_video,
)

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.video import open_videos
from satvsr_plugin.errors import DataError


@pytest.mark.parametrize(('name', 'codec', 'given', 'stored', 'channels', 'dtype', 'options'), [
    ('a.mov', 'png', 'rgb24', 'rgb24', 3, np.uint8, {}),
    ('a.mp4', 'libx264rgb', 'rgb24', 'rgb24', 3, np.uint8, {'qp': '0'}),
    ('a.avi', 'ffv1', 'bgra', 'bgra', 4, np.uint8, {}),
    ('a.mov', 'png', 'rgba', 'rgba', 4, np.uint8, {}),
    ('a.mkv', 'ffv1', 'gray', 'gray', 1, np.uint8, {}),
    ('a.mkv', 'ffv1', 'gray16le', 'gray16le', 1, np.uint16, {}),
    ('a.mov', 'png', 'rgb48be', 'rgb48be', 3, np.uint16, {}),
])
def test_lossless_video_comes_out_exactly(tmp_path: Path, name: str, codec: str, given: str, stored: str,
                                          channels: int, dtype: type, options: dict[str, str]) -> None:
    shape = (H, W) if channels == 1 else (H, W, channels)
    frames = [noise(*shape, seed=seed, dtype=dtype) for seed in range(4)]
    video = open_one(write_video(tmp_path / name, codec, frames, stored, given, **options))
    in_rgb = [frame[..., [2, 1, 0, 3]] for frame in frames] if given == 'bgra' else frames
    assert_holds(video, in_rgb)
    assert video.format == (H, W, channels, 8 * dtype().itemsize) and video.fps == 25 and not video.remarks


@pytest.mark.parametrize('bits', [10, 12])
def test_deep_video_becomes_16_bit(tmp_path: Path, bits: int) -> None:
    frames = [noise(H, W, 1, seed=seed, dtype=np.uint16) >> (16 - bits) for seed in range(2)]
    form = f'gray{bits}le'
    video = open_one(write_video(tmp_path / 'deep.mkv', 'ffv1', frames, form, given=form))
    for found, frame in zip(images(video), frames, strict=True):
        assert found.dtype == np.uint16
        assert np.abs(found - frame / (2**bits - 1) * 65535).max() < 1
    assert video.remarks == (f'{tmp_path}/deep.mkv: {bits} bits a colour; read as 16, white is 65535',)


def to_rgb(yuv: np.ndarray, red: float, blue: float, full: bool) -> np.ndarray:
    """Y'CbCr to RGB in grey levels, by the definition in ITU-R BT.601 and BT.709."""
    y, u, v = np.moveaxis(yuv.astype(float), -1, 0)
    y, u, v = (y, u - 128, v - 128) if full else ((y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224)
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


def patches() -> np.ndarray:
    """(h, w, 3) of Y, U, V in squares of 16 px, none of which leaves the range of RGB."""
    rng = np.random.default_rng(3)
    yuv = np.stack([rng.integers(*bounds, (H // 16, W // 16)) for bounds in ((90, 160), (100, 156), (100, 156))], -1)
    return yuv.astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


@pytest.mark.parametrize(('colours', 'weights', 'full'), [
    (None, BT601, False), ((5, 1), BT601, False), ((5, 2), BT601, True), ((1, 1), BT709, False), ((1, 2), BT709, True),
])
@pytest.mark.parametrize('form', ['yuv420p', 'yuv444p'])
def test_colours_are_what_the_file_declares(tmp_path: Path, form: str, colours: tuple[int, int] | None,
                                            weights: tuple[float, float], full: bool) -> None:
    yuv = patches()
    video = open_one(write_video(tmp_path / 'a.mkv', 'ffv1', [yuv], form, given=form, colours=colours))
    expected = to_rgb(yuv, *weights, full)
    inner = np.s_[4::16, 4::16]  # away from the borders of patches, where chroma is interpolated
    np.testing.assert_allclose(images(video)[0][inner], expected[inner], atol=0.6)
    for others in ((BT601, False), (BT709, False), (BT601, True), (BT709, True)):  # a test that can fail
        if others != (weights, full):
            assert np.abs(to_rgb(yuv, *others[0], others[1])[inner] - expected[inner]).max() > 4
    assert bool(video.remarks) == (colours is None)


def test_h264_is_close(tmp_path: Path) -> None:
    frames = [np.clip(to_rgb(np.roll(patches(), 2 * shift, axis=1), *BT709, False), 0, 255).astype(np.uint8)
              for shift in range(6)]
    video = open_one(write_video(tmp_path / 'a.mp4', 'libx264', frames, 'yuv420p', crf='5'))
    assert video.length == 6
    for found, frame in zip(images(video), frames, strict=True):
        assert np.abs(found.astype(int) - frame).mean() < 2
        np.testing.assert_allclose(found[8::16, 12::16].astype(int), frame[8::16, 12::16], atol=4)


def test_a_span_of_frames(tmp_path: Path) -> None:
    video = open_one(write_video(tmp_path / 'a.mov', 'png', RGB, 'rgb24'))
    (tmp_path / 'frames').mkdir()
    for index, image in enumerate(RGB):
        write_image(tmp_path / 'frames' / f'{index + 7}.png', image)
    for source in (video, open_one(tmp_path / 'frames')):
        for start, stop in ((0, 2), (2, 4), (3, None), (1, 99), (9, None)):
            np.testing.assert_array_equal(images(source, start, stop), RGB[start:stop])
    assert [frame.name for frame in video.frames(3, 4)] == [f'{tmp_path}/a.mov: frame 3']
    assert [frame.name for frame in source.frames(3, 4)] == [f'{tmp_path}/frames/10.png']


def test_files_with_colons_and_blanks_in_their_names(tmp_path: Path) -> None:
    assert_holds(open_one(write_video(tmp_path / 'a.mov', 'png', RGB, 'rgb24').rename(tmp_path / 'b:c ü.mov')), RGB)


def test_folders_patterns_and_files(tmp_path: Path) -> None:
    for index, image in enumerate(RGB):
        write_image(tmp_path / 'scene' / f'{index + 8}.{"png" if index % 2 else "tif"}', image)  # 8, 9, 10, 11, 12
    (tmp_path / 'scene' / '.hidden.png').write_bytes(b'')
    (tmp_path / 'scene' / 'notes.txt').write_text('')
    clip = write_video(tmp_path / 'a.mov', 'png', RGB[:2], 'rgb24')
    assert_holds(open_one(tmp_path / 'scene'), RGB)
    assert_holds(open_one(str(tmp_path / 'scene' / '*.tif')), RGB[::2])
    assert_holds(open_one(*(tmp_path / 'scene' / name for name in ('12.tif', '9.png', '8.tif'))),
                 [RGB[0], RGB[1], RGB[4]])
    several = open_videos([clip, tmp_path / 'scene', tmp_path / 'scene' / '9.png'])
    assert [(video.name, video.length) for video in several] == [
        (str(clip), 2), (str(tmp_path / 'scene'), 5), (str(tmp_path / 'scene' / '9.png'), 1)]
    for missing, message in (
        ('none.mp4', 'no such file or folder'), ('*.avi', 'no such file or folder'),
        ('scene/notes.txt', 'files of this kind are not known'),
        ('.', rf'no pictures in this folder .*e.g. {tmp_path}/a.mov'),
    ):
        with pytest.raises(DataError, match=message):
            open_videos([tmp_path / missing])


def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    write_image(tmp_path / '0.png', RGB[0])
    write_image(tmp_path / '1.png', RGB[1][:, :60])
    with pytest.raises(DataError, match='1.png: is 60x48, 3 channels, 8 bit, but the first .* is 64x48, 3 channels'):
        images(open_one(tmp_path))


@pytest.mark.parametrize(('package', 'extra'), [('av', 'video'), ('rasterio', 'geo')])
def test_absent_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str) -> None:
    path = (write_video(tmp_path / 'a.mov', 'png', RGB, 'rgb24') if package == 'av'
            else write_pages(tmp_path / 'a.tif', RGB))
    monkeypatch.setitem(sys.modules, package, None)
    expected = rf'a\.\w+.* need the package {package}.*pip install "satvsr-plugin\[{extra}\]"'
    with pytest.raises(DataError, match=expected):
        open_videos([path])
    assert_holds(open_one(write_pages(tmp_path / 'plain.tif', RGB[:1])), RGB[:1])  # needs neither


def test_frames_say_where_they_are_from(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / 'pages.tif', RGB[:3])
    bands = write_tiff(tmp_path / 'scene.tif', noise(H, W, 5))
    clip = write_video(tmp_path / 'a.mov', 'png', RGB[:2], 'rgb24')
    video = open_one(pages, write_tiff(tmp_path / 'q.v2.tif', RGB[3], photometric='RGB'))
    assert video.stems(4) == ['pages_001', 'pages_002', 'pages_003', 'q.v2'] and video.stems(2) == video.stems(4)[:2]
    assert video.files == (pages, pages, pages, tmp_path / 'q.v2.tif')
    frames = list(video.frames())
    assert [frame.path for frame in frames] == list(video.files)
    assert len({frame.offset for frame in frames}) == 4 and frames[3].offset is None
    chosen = open_one(bands, bands=(5, 3, 2))
    assert [(frame.path, frame.bands) for frame in chosen.frames()] == [(bands, (5, 3, 2))]
    assert [frame.bands for frame in open_one(bands, bands='frames').frames()] == [(1,), (2,), (3,), (4,), (5,)]
    film = open_one(clip)
    assert film.stems(2) == ['000000', '000001'] and film.files == (clip,)
    assert [frame.path for frame in film.frames()] == [None, None]


def test_all_bands_however_many(tmp_path: Path) -> None:
    for count in (1, 2, 3, 4, 5, 8):
        scene = noise(H, W, count, dtype=np.uint16)
        assert_holds(open_one(write_tiff(tmp_path / f'{count}.tif', scene), bands='all'), [scene])
    assert_holds(open_one(write_video(tmp_path / 'a.mov', 'png', RGB, 'rgb24'), bands='all'), RGB)


@pytest.mark.parametrize('name', ['a.mp4', 'a.tif', 'a.png'])
def test_a_pipe_is_refused_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f'{name}: is not a file'):
        open_videos([tmp_path / name])


def test_rate_and_number_of_frames_are_exact(tmp_path: Path) -> None:
    for name, codec in (('a.mov', 'png'), ('a.mkv', 'ffv1')):
        path = write_video(tmp_path / name, codec, RGB, 'rgb24' if codec == 'png' else 'bgra')
        video = open_one(path)
        assert video.rate == Fraction(25) and (video.count(), video.count(3), video.count(9)) == (5, 3, 5)
    write_image(tmp_path / 'a.png', RGB[0])
    assert open_one(tmp_path / 'a.png').rate is None and open_one(tmp_path / 'a.png').count() == 1
    damaged = open_one(cut_short(write_video(tmp_path / 'b.mkv', 'ffv1', 4 * RGB, 'bgra'), 0.6))
    assert damaged.count(9) == 9
    with pytest.raises(DataError, match='the video is damaged at about frame'):
        damaged.count()


def test_players_that_turn_pictures_are_told_of(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'a.mp4', 'libx264', RGB, 'yuv420p')
    content = bytearray(path.read_bytes())
    matrix = content.index(b'tkhd') + 4 + 40  # ISO 14496-12, 8.3.2
    struct.pack_into('>9i', content, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    video = open_one(path)
    assert any('players turn it by' in remark and '90 degrees' in remark for remark in video.remarks)
    assert video.format[:2] == (H, W)


def overwrite_packet(path: Path, number: int) -> None:
    """Fill the middle of a frame's data with noise."""
    import av

    with av.open(str(path)) as container:
        place, size = [(packet.pos, packet.size) for packet in container.demux(video=0)][number]
    content = bytearray(path.read_bytes())
    content[place + size // 3 : place + size // 2] = noise(size // 2 - size // 3, seed=9).tobytes()
    path.write_bytes(content)


def test_videos_that_are_cut_short_or_damaged(tmp_path: Path) -> None:
    frames = [noise(H, W, 3, seed=seed) for seed in range(20)]
    whole = {name: write_video(tmp_path / name, codec, frames, stored) for name, codec, stored in (
        ('a.avi', 'png', 'rgb24'), ('a.mkv', 'ffv1', 'bgra'), ('b.avi', 'mjpeg', 'yuvj420p'))}
    for name in ('a.avi', 'a.mkv'):
        video = open_one(cut_short(whole[name], 0.62))
        with pytest.raises(DataError, match=rf'{name}: the video is damaged at about frame 1[12] .*--end 1[12]'):
            images(video)
        advised = np.array(images(video, 0, 11))
        np.testing.assert_array_equal(advised[..., :3], frames[:11])
    overwrite_packet(whole['b.avi'], 9)
    with pytest.raises(DataError, match='b.avi: the video is damaged at about frame 9 .*--end 9'):
        images(open_one(whole['b.avi']))
    (tmp_path / 'text.mp4').write_text('no video')
    (tmp_path / 'empty.mov').write_bytes(b'')
    for name in ('text.mp4', 'empty.mov'):
        with pytest.raises(DataError, match=f'{name}: not a readable video'):
            open_videos([tmp_path / name])
