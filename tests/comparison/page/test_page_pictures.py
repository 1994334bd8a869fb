"""Which frames the page shows, and that their pixels reach it unchanged."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from comparison.figures.drawn_systems import draw_gt, make_systems

from satvsr_plugin.comparison.figures.gallery import Gallery
from satvsr_plugin.comparison.page.pictures import BICUBIC, LOW, by_importance, data_uri, pack, spread
from satvsr_plugin.data.degradation import downsample, upsample
from satvsr_plugin.data.image_io import decode_image


def pixels(uri: str) -> np.ndarray:
    return decode_image(base64.b64decode(uri.partition(',')[2]), 'uri')


@pytest.mark.parametrize(('count', 'frames', 'expected'), [
    (7, 3, [3, 0, 6]), (10, 3, [5, 0, 9]), (100, 3, [50, 0, 99]), (100, 1, [50]), (100, 2, [0, 99]),
    (100, 5, [50, 0, 99, 25, 74]), (2, 3, [1, 0]), (1, 3, [0]), (4, 9, [2, 0, 3, 1]),
])  # fmt: skip
def test_frames_are_spread_evenly_with_the_middle_and_the_ends_first(
    count: int, frames: int, expected: list[int]
) -> None:
    assert spread(count, frames) == expected


def test_every_clip_gets_a_frame_before_any_gets_two() -> None:
    clips = {'a': ['0', '1', '2'], 'b': ['7']}
    assert list(by_importance(clips, 3)) == [('a', '1'), ('b', '7'), ('a', '0'), ('a', '2')]


def test_pictures_are_packed_without_loss_and_smaller_than_as_png() -> None:
    picture = cv2.GaussianBlur(draw_gt('000', '00'), (0, 0), 2)
    uri = data_uri(picture)
    assert uri.startswith('data:image/webp;base64,')
    np.testing.assert_array_equal(pixels(uri), picture)
    assert len(base64.b64decode(uri.partition(',')[2])) < cv2.imencode('.png', picture)[1].nbytes


def test_pictures_too_large_for_webp_are_packed_as_png() -> None:
    wide = np.arange(16384 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 16384, 3)
    uri = data_uri(wide)
    assert uri.startswith('data:image/png;base64,')
    np.testing.assert_array_equal(pixels(uri), wide)


def test_every_source_has_the_frames_pixels(tmp_path: Path) -> None:
    gallery = Gallery(make_systems(tmp_path, {'Net': lambda gt: gt // 2, 'None': None}))
    packed = pack(gallery, 3, bicubic=True)
    assert packed.sources == ['Net', 'GT', BICUBIC, LOW]
    assert packed.kinds == ['system', 'gt', 'bicubic', 'lr']
    assert [(found.clip, found.frame) for found in packed.frames] == [
        (clip, frame) for clip in ('000', '001') for frame in ('00', '01', '02')]
    assert packed.notes == []
    found, gt = packed.frames[5], draw_gt('001', '02')
    low = downsample(gt, 4)
    for uri, expected in zip(found.uris, (gt // 2, gt, upsample(low, 4), low), strict=True):
        np.testing.assert_array_equal(pixels(uri), expected)
    assert (found.width, found.height) == (80, 64)
    assert pack(gallery, 1, bicubic=False).sources == ['Net', 'GT', LOW]


def test_too_large_a_page_loses_frames_first_and_then_clips(tmp_path: Path) -> None:
    gallery = Gallery(make_systems(tmp_path, {'Net': lambda gt: gt}))
    size = max(sum(map(len, found.uris)) for found in pack(gallery, 3, bicubic=False).frames)
    for frames, expected in ((2, ['000/01', '001/01']), (3, ['000/00', '000/01', '001/01']), (1, ['000/01'])):
        packed = pack(gallery, 3, bicubic=False, limit=frames * size)
        assert [f'{found.clip}/{found.frame}' for found in packed.frames] == expected
        clips = 1 if frames == 1 else 2
        assert packed.notes[0].startswith(f'the page shows {frames} frames of {clips} clips instead of 6 of 2, since')
    assert len(pack(gallery, 3, bicubic=False, limit=0).frames) == 1  # one there always is


def test_sixteen_bit_keep_their_brightness_from_frame_to_frame(tmp_path: Path) -> None:
    def gt(clip: str, frame: str) -> np.ndarray:
        return np.full((16, 16, 1), {'00': 1000, '01': 4000, '02': 2000}[frame], np.uint16)

    packed = pack(Gallery(make_systems(tmp_path, {'Net': lambda picture: picture}, gt=gt)), 3, bicubic=False)
    assert [int(pixels(found.uris[0])[0, 0, 0]) for found in packed.frames[:3]] == [64, 255, 128]
