"""Which windows of a video become clips: texture, scene cuts, places without data, on real and on made frames."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import drifting, noise, record, terrain, write_frames, write_tiff, write_video

from satvsr_plugin.data.extraction import ExtractionOptions, extract_clips
from satvsr_plugin.data.extraction.measures import change, grey_levels, outline, texture
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import DataError

SIZE = (64, 64)
SMALL = {'frames': 4, 'size': SIZE}


def test_texture_by_hand() -> None:
    """Columns of 4 px that alternate between 100 and 140: 20 grey levels of deviation, whatever the bit depth."""
    stripes = np.tile(np.repeat([100, 140], 4), (64, 8)).astype(np.uint8)
    assert texture(stripes, 255) == pytest.approx(20)
    assert texture(stripes.astype(np.uint16) * 257, 65535) == pytest.approx(20)
    half = np.hstack([stripes, np.full((64, 64), 100, np.uint8)])
    assert texture(half, 255) == pytest.approx(10)
    assert texture(noise(640, 640), 255) == pytest.approx(255 / 12**0.5 / 4, rel=0.02)  # averages of 16 values


def test_texture_tells_land_from_water(shared_dir: Path) -> None:
    """The figures in the docstring of the measure, on both sides of the default."""
    default = ExtractionOptions().min_texture
    frame = grey_levels(read_image(shared_dir / 'data' / 'jilin1_clip' / 'GT' / '000' / '00000000.png'))
    land = [texture(frame[y : y + 160, x : x + 160], 255) for y in range(0, 640, 160) for x in range(0, 640, 160)]
    assert min(land) > 19 and max(land) < 40
    rng = np.random.default_rng(0)
    waves = cv2.GaussianBlur(rng.normal(size=(640, 640)), (0, 0), 3)
    for water in (rng.normal(70, 5, (640, 640)), 70 + 2 * waves / waves.std() + rng.normal(0, 1.5, waves.shape)):
        assert texture(np.clip(water, 0, 255).astype(np.uint8), 255) < default / 1.5


def test_windows_without_texture_are_left_out(tmp_path: Path) -> None:
    frames = drifting(8)
    for index, frame in enumerate(frames):
        frames[index] = frame = frame.copy()
        frame[:64, 64:128] = 90 + index % 3  # a lake
        if index == 6:
            frame[64:128, :64] = 255  # a cloud over one frame
    options = ExtractionOptions(**SMALL, cut_threshold=2)
    extract_clips([write_frames(tmp_path / 'in', frames)], tmp_path / 'out', options)
    content = record(tmp_path / 'out')
    assert [(left['first_frame'], left['y'], left['x'], left['reason'], left['frame'], left['measured'])
            for left in content['skipped']] == [
        (0, 0, 64, 'texture', 0, 0.0), (4, 0, 64, 'texture', 4, 0.0), (4, 64, 0, 'texture', 6, 0.0)]
    assert sorted(os.listdir(tmp_path / 'out' / 'GT')) == [f'{number:03d}' for number in range(9)]
    assert [(clip['first_frame'], clip['y'], clip['x']) for clip in content['clips'].values()][:6] == [
        (0, 0, 0), (0, 0, 128), (0, 64, 0), (0, 64, 64), (0, 64, 128), (4, 0, 0)]


def test_windows_without_data_are_left_out(tmp_path: Path) -> None:
    (tmp_path / 'in').mkdir()
    for index, frame in enumerate(drifting(4)):
        scene = frame | 1
        if index == 1:
            scene[100:104, 60:66] = 0  # 4 columns in one window, 2 in the next
        write_tiff(tmp_path / 'in' / f'{index}.tif', scene, nodata=0, photometric='RGB')
    summary = extract_clips([tmp_path / 'in'], tmp_path / 'out', ExtractionOptions(**SMALL))
    assert summary.clips == 4 and summary.skipped == {'texture': 0, 'cut': 0, 'nodata': 2}
    skipped = record(tmp_path / 'out')['skipped']
    assert [(left['y'], left['x'], left['frame'], left['measured']) for left in skipped] == [
        (64, 0, 1, round(16 / 4096, 6)), (64, 64, 1, round(8 / 4096, 6))]


def test_scene_cuts_are_found_and_nothing_else(tmp_path: Path, shared_dir: Path) -> None:
    """Three scenes of stills; drift of 3 px a frame, vehicles, an aircraft, light that changes by 4 %, noise."""
    rng = np.random.default_rng(0)
    scenes = [read_image(path) for path in sorted((shared_dir / 'data' / 'stills' / 'val').glob('*.png'))[:3]]
    frames = []
    for index in range(36):
        x = 3 * (index % 12)
        frame = scenes[index // 12][x // 2 : x // 2 + 320, x : x + 320].astype(float)
        frame *= 1 + 0.04 * (-1) ** index
        frame[150:153, 6 * (index % 12) : 6 * (index % 12) + 6] = 250
        frame[40:70, 15 * (index % 12) : 15 * (index % 12) + 30] = 240
        frames.append(np.clip(frame + rng.normal(0, 2.5, frame.shape), 0, 255).astype(np.uint8))
    video = write_video(tmp_path / 'a.mp4', 'libx264', frames, 'yuv420p', crf='20')
    options = ExtractionOptions(frames=6, size=(160, 160), step=3, min_texture=0)
    summary = extract_clips([video], tmp_path / 'out', options)
    content = record(tmp_path / 'out')
    assert {(left['first_frame'], left['frame']) for left in content['skipped']} == {(9, 12), (21, 24)}
    assert summary.skipped == {'texture': 0, 'cut': 8, 'nodata': 0}
    assert {clip['first_frame'] for clip in content['clips'].values()} == {0, 3, 6, 12, 15, 18, 24, 27, 30}


def test_the_measure_of_change() -> None:
    def of(image: np.ndarray) -> np.ndarray:
        return outline(grey_levels(image), 255)

    scene = terrain(560, 660)
    here, drifted, elsewhere = scene[:512, :640], scene[2:514, 2:642], terrain(512, 640, seed=1)
    assert change(of(here), of(here)) == 0
    assert change(of(here), of(255 - here)) == pytest.approx(2, abs=0.01)
    assert change(of(here), of((0.95 * here).astype(np.uint8))) < 0.01
    assert change(of(here), of(drifted)) < 0.2
    assert 0.8 < change(of(here), of(elsewhere)) < 1.2
    assert change(of(here), of(np.zeros_like(here))) > 0.95
    rng = np.random.default_rng(0)
    assert change(*(of(rng.normal(60, 2.5, here.shape).clip(0, 255).astype(np.uint8)) for _ in range(2))) < 0.2


def test_when_nothing_is_left_the_message_says_what_was_measured(tmp_path: Path) -> None:
    dark = [(frame.astype(np.uint16) * 5) for frame in drifting(5)]  # 11 bits in 16
    folder = write_frames(tmp_path / 'dark', dark)
    expected = (r'(?s)all 6 windows were left out\n.*6 for lack of texture: .* 0\.\d\d grey levels, --min-texture is 3;'
                r' lower it\n.*the largest value is \d{3,4}, but white is 65535; .*--data-range (1023|2047)')
    with pytest.raises(DataError, match=expected):
        extract_clips([folder], tmp_path / 'out', ExtractionOptions(**SMALL))
    assert extract_clips([folder], tmp_path / 'out', ExtractionOptions(**SMALL, data_range=2047)).clips == 6
    scenes = write_frames(tmp_path / 'cut', [terrain(64, 64, seed) for seed in range(4)])
    with pytest.raises(DataError, match=r'1 for scene cuts: the smallest change is [01]\.\d\d, --cut-threshold is 0.5'):
        extract_clips([scenes], tmp_path / 'cut_out', ExtractionOptions(**SMALL))
    assert extract_clips([scenes], tmp_path / 'cut_out', ExtractionOptions(**SMALL, cut_threshold=2)).clips == 1
    assert sorted(os.listdir(tmp_path)) == ['cut', 'cut_out', 'dark', 'out']
