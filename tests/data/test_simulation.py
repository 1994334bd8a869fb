"""Simulated clips: drift, blur, noise and movers are those asked for; data sets are reproducible and complete."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from math import erf
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.registration import phase_cross_correlation

from satvsr_plugin.atomic import built_beside
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.simulation import SimulationOptions, simulate_clip, simulate_dataset
from satvsr_plugin.data.simulation.camera import Camera, draw_camera, expose
from satvsr_plugin.data.simulation.canvas import Canvas
from satvsr_plugin.data.simulation.movers import draw_aircraft, draw_vehicles
from satvsr_plugin.data.simulation.roads import road
from satvsr_plugin.data.simulation.scenes import draw_scene
from satvsr_plugin.data.simulation.sources import split_stills
from satvsr_plugin.errors import DataError, OptionError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'simulate_clips.py'
SMALL = SimulationOptions(seed=3, clips=2, test_clips=1, frames=2, size=48, scale=4)
STILL = SimulationOptions(
    frames=6, size=128, drift=(0, 0), jitter=(0, 0), noise=(0, 0), brightness_drift=0, vehicles=(0, 0), aircraft=(0, 0)
)


def textured(size: int) -> np.ndarray:
    """(size, size, 3) uint8 with detail at all scales."""
    white = np.random.default_rng(0).standard_normal((size, size, 3)).astype(np.float32)
    mixed = sum(sigma * cv2.GaussianBlur(white, (0, 0), sigma) for sigma in (1, 3, 9))
    return np.clip(128 + 60 * mixed / mixed.std(), 0, 255).astype(np.uint8)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    folder = tmp_path / 'stills'
    for index in range(12):
        write_image(folder / f'{index:02d}.png', np.roll(textured(100), 10 * index, axis=1))
    return folder


# --- the camera


@pytest.mark.parametrize('speed', [0.05, 0.7, 2.6])
def test_drift_is_the_one_asked_for(speed: float) -> None:
    options = replace(STILL, drift=(speed, speed))
    frames = simulate_clip(textured(256), options, np.random.default_rng(1)).mean(axis=3)
    window = np.outer(np.hanning(128), np.hanning(128))
    seen = [(frame - frame.mean()) * window for frame in frames]
    shifts = [phase_cross_correlation(seen[0], later, upsample_factor=100, normalization=None)[0] for later in seen[1:]]
    np.testing.assert_allclose(np.linalg.norm(shifts, axis=1), speed * np.arange(1, 6), atol=0.01, rtol=0.015)


def test_the_camera_never_looks_over_the_edge() -> None:
    options = replace(SMALL, frames=40, drift=(0, 16), jitter=(1, 1), blur=(3, 3))
    pad = 13  # of the widest blur
    corners = [draw_camera((90, 82), options, np.random.default_rng(seed)).path for seed in range(200)]
    assert np.min(corners) - pad >= 0
    assert np.all(np.ceil(np.max(corners, axis=(0, 1))) + options.size + pad <= (82, 90))


def test_blur_is_gaussian_and_moves_by_fractions_of_a_pixel() -> None:
    ground = np.zeros((96, 96, 3), np.float32)
    ground[:, 48:] = 250
    camera = Camera(path=np.array([[20.3, 20.0]]), blur=1.1, noise=0.0, gain=np.ones(1))
    frame = expose(ground, camera, 0, 48, np.random.default_rng(0))
    distance = np.arange(48) + 20.3 - 47.5  # px to the edge, which lies between columns 47 and 48
    edge = [125 * (1 + erf(d / (1.1 * 2**0.5))) for d in distance]
    np.testing.assert_allclose(frame[10, :, 1], edge, atol=3)  # the edge is sampled, not averaged, over each pixel
    assert np.all(frame == frame[:1])


def test_noise_and_brightness_have_the_size_asked_for() -> None:
    grey = np.full((200, 200, 3), 120, np.uint8)
    noisy = simulate_clip(grey, replace(STILL, noise=(2.5, 2.5)), np.random.default_rng(0)).astype(float)
    assert noisy.std(axis=(1, 2)) == pytest.approx(np.hypot(2.5, 12**-0.5), rel=0.06)  # and rounding
    difference = np.diff(noisy[:2], axis=0)[0].reshape(-1, 3)
    assert np.corrcoef(difference.T)[0, 1] == pytest.approx(0.9, abs=0.05)  # alike in all colours, as in Jilin-1

    means = simulate_clip(grey, replace(STILL, brightness_drift=0.3), np.random.default_rng(0)).mean(axis=(1, 2, 3))
    steps = np.diff(means)
    assert 0 < abs(means[-1] / means[0] - 1) < 0.36
    assert np.all(np.sign(steps) == np.sign(steps[0]))


# --- vehicles and aircraft


def test_a_vehicle_follows_its_lane_at_its_speed() -> None:
    lane = np.array([[[20.0, 60.0], [100.0, 30.0]]])
    vehicle = draw_vehicles(1, lane, 1.0, np.random.default_rng(4))[0]
    places = []
    for time in range(12):
        ground = np.full((128, 128, 3), 128, np.float32)
        vehicle.draw(ground, time)
        y, x = np.nonzero(np.ones((128, 128)))
        weight = np.abs(ground - 128).sum(axis=2).ravel()
        places.append([np.average(x, weights=weight), np.average(y, weights=weight)])
    steps = np.diff(places, axis=0)
    speed = np.linalg.norm(vehicle.velocity)
    assert 0.3 <= speed <= 1.6
    np.testing.assert_allclose(steps, np.tile(vehicle.velocity, (11, 1)), atol=0.15)
    np.testing.assert_allclose(vehicle.velocity / speed, np.array([80, -30]) / np.hypot(80, 30))


def test_an_aircraft_is_in_view_and_points_where_it_flies() -> None:
    aircraft = draw_aircraft(1, np.array([16.0, 16.0]), 128, 10, 1.0, np.random.default_rng(0))[0]
    ground = np.zeros((160, 160, 3), np.float32)
    aircraft.draw(ground, 5)
    y, x = np.nonzero(ground[..., 0] > 120)
    assert len(x) > 100  # of the smallest, 22 m long
    forward = aircraft.velocity / np.linalg.norm(aircraft.velocity)
    middle = aircraft.start + 5 * aircraft.velocity
    along = (np.stack([x, y], axis=1) - middle) @ forward
    across = (np.stack([x, y], axis=1) - middle) @ (-forward[1], forward[0])
    assert abs(across.mean()) < 1  # symmetric about its axis
    nose, tail = np.abs(across)[along > 0.3 * along.max()], np.abs(across)[along < 0.6 * along.min()]
    assert tail.max() > 2 * nose.max()  # a narrow nose in front, the tailplane behind


def test_only_movers_change_a_clip_without_drift_and_noise() -> None:
    source = textured(256)
    empty = simulate_clip(source, STILL, np.random.default_rng(2))
    assert np.all(empty == empty[0])
    busy = simulate_clip(source, replace(STILL, vehicles=(8, 8)), np.random.default_rng(2)).astype(int)
    changed = np.mean(np.any(np.abs(np.diff(busy, axis=0)) > 8, axis=(0, 3)))
    assert 0.002 < changed < 0.1


# --- drawn scenes


@pytest.mark.parametrize('seed', range(6))
def test_scenes_are_full_of_detail_and_have_lanes_inside(seed: int) -> None:
    scene = draw_scene(192, np.random.default_rng(seed))
    assert scene.picture.shape == (192, 192, 3)
    assert scene.picture.dtype == np.uint8
    assert scene.lanes.ndim == 3
    assert np.all((scene.lanes >= 0) & (scene.lanes < 192))
    grey = scene.picture.mean(axis=2)
    lost = grey - upsampled(downsampled(grey))
    assert lost.std() > 4  # grey levels that x4 super-resolution could win back
    assert grey.std() > 15


def downsampled(grey: np.ndarray) -> np.ndarray:
    return cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)


def upsampled(grey: np.ndarray) -> np.ndarray:
    return cv2.resize(grey, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)


def test_traffic_keeps_to_the_right_on_both_sides_of_a_road() -> None:
    rng = np.random.default_rng(0)
    canvas = Canvas(200, rng)
    middle = np.array([(-80.0, 0.0), (80.0, 0.0)])
    lanes = road(canvas, middle, 2, rng)
    start, end = canvas.to_picture(middle)
    along = (end - start) / 160
    to_the_right = np.array([-along[1], along[0]])  # y points down
    ways = (lanes[:, 1] - lanes[:, 0]) @ along
    sides = (lanes.mean(axis=1) - start) @ to_the_right
    np.testing.assert_allclose(np.abs(ways), 40)
    np.testing.assert_allclose(sorted(np.unique(np.round(sides * np.sign(ways), 6))), [1.75, 5.25])
    assert np.sum(ways > 0) == np.sum(ways < 0) == 2 * 3  # 160 m hold three whole pieces of 40 m and an end


def test_lanes_run_on_asphalt() -> None:
    scene = draw_scene(400, np.random.default_rng(1))
    x, y = np.round(scene.lanes.mean(axis=1)).astype(int).T
    colours = scene.picture[y, x].astype(int)
    grey = np.ptp(colours, axis=1) < 16
    assert len(colours) > 20
    assert grey.mean() > 0.9


# --- whole data sets


def test_script_writes_the_layout_of_jilin189_with_the_authors_lr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location('simulate_clips_script', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = tmp_path / 'new' / 'out'
    numbers = {'seed': 3, 'clips': 2, 'test-clips': 1, 'frames': 2, 'size': 48}
    module.main(['--output', str(out), *(word for name, n in numbers.items() for word in (f'--{name}', str(n)))])
    pairs = [f'{clip}/{frame:03d}.png' for clip in ('train/{}/000', 'train/{}/001', 'eval/{}/000') for frame in (0, 1)]
    expected = [pair.format(kind) for pair in pairs for kind in ('GT', 'LR4x')]
    assert sorted(files_in(out)) == sorted([*expected, 'simulation.json'])
    for pair in pairs:
        gt = read_image(out / pair.format('GT'))
        assert (gt.shape, gt.dtype) == ((48, 48, 3), np.uint8)
        np.testing.assert_array_equal(read_image(out / pair.format('LR4x')), downsample(gt, 4))
    record = json.loads((out / 'simulation.json').read_text())
    assert (record['seed'], record['stills'], record['blur']) == (3, None, list(SMALL.blur))
    assert '2 training and 1 test clips, 6 frames' in capsys.readouterr().out


@pytest.mark.parametrize('drawn', [True, False])
def test_same_seed_same_bytes_however_many_clips(tmp_path: Path, stills: Path, drawn: bool) -> None:
    source = None if drawn else stills
    simulate_dataset(tmp_path / 'a', SMALL, source)
    simulate_dataset(tmp_path / 'more', replace(SMALL, clips=3, test_clips=2), source)
    simulate_dataset(tmp_path / 'other', replace(SMALL, seed=4), source)
    first, more, other = (files_in(tmp_path / name) for name in ('a', 'more', 'other'))
    frames = [name for name in first if name != 'simulation.json']
    assert all(first[name] == more[name] for name in frames)
    assert all(first[name] != other[name] for name in frames)
    assert first['train/GT/000/000.png'] != first['eval/GT/000/000.png']


def test_no_still_is_shown_in_both_training_and_test_clips(tmp_path: Path, stills: Path) -> None:
    split = split_stills(stills, 3)
    assert sorted(split['train'] + split['eval']) == sorted(stills.iterdir())
    assert len(split['eval']) == 2
    for kept in split['eval']:
        kept.write_bytes(b'damaged')
    simulate_dataset(tmp_path / 'train only', replace(SMALL, clips=12, test_clips=0, frames=1), stills)
    with pytest.raises(DataError, match=split['eval'][0].name):
        simulate_dataset(tmp_path / 'both', SMALL, stills)
    assert not any('both' in path.name for path in tmp_path.iterdir())


def test_stills_of_their_own_for_test_clips(tmp_path: Path, stills: Path) -> None:
    own = tmp_path / 'own'
    own.mkdir()
    write_image(own / 'a.png', np.full((100, 100, 3), 200, np.uint8))
    options = replace(SMALL, clips=1, test_clips=2, vehicles=(0, 0), aircraft=(0, 0))
    simulate_dataset(tmp_path / 'out', options, stills, test_stills=own)
    flat = [read_image(tmp_path / f'out/eval/GT/{clip}/000.png').std() for clip in ('000', '001')]
    assert max(flat) < 4 < read_image(tmp_path / 'out/train/GT/000/000.png').std()  # what is left is noise
    assert json.loads((tmp_path / 'out/simulation.json').read_text())['test_stills'] == str(own)
    with pytest.raises(DataError, match='--test-stills without --stills'):
        simulate_dataset(tmp_path / 'drawn', options, test_stills=own)


def test_grey_and_16_bit_stills_are_taken_and_small_ones_named(tmp_path: Path) -> None:
    deep = textured(100)[..., :1].astype(np.uint16) * 257
    for name in ('a', 'b'):
        write_image(tmp_path / 'deep' / f'{name}.png', deep)
        write_image(tmp_path / 'small' / f'{name}.png', deep[:60])
    plain = replace(SMALL, clips=1, test_clips=0, noise=(0, 0), vehicles=(0, 0), aircraft=(0, 0))
    simulate_dataset(tmp_path / 'out', plain, tmp_path / 'deep')
    frame = read_image(tmp_path / 'out' / 'train' / 'GT' / '000' / '000.png')
    assert np.ptp(frame.astype(int), axis=2).max() == 0
    assert 30 < frame.std() < 110
    with pytest.raises(DataError, match=r'small/[ab].png: 60 pixels .* at least 65 pixels'):
        simulate_dataset(tmp_path / 'out2', plain, tmp_path / 'small')


def test_output_is_only_replaced_if_asked_and_simulated(tmp_path: Path) -> None:
    one = replace(SMALL, clips=1, test_clips=0, frames=1)
    out = tmp_path / 'out'
    write_image(out / 'holiday.png', textured(16))
    before = files_in(out)
    with pytest.raises(DataError, match='not a simulated data set'):
        simulate_dataset(out, one, overwrite=True)
    assert files_in(out) == before

    (out / 'holiday.png').unlink()  # an empty folder will do
    simulate_dataset(out, one)
    with pytest.raises(DataError, match='--overwrite'):
        simulate_dataset(out, one)
    simulate_dataset(out, replace(one, scale=8, size=64), overwrite=True)
    assert sorted(files_in(out)) == ['simulation.json', 'train/GT/000/000.png', 'train/LR8x/000/000.png']
    assert [path.name for path in tmp_path.iterdir()] == ['out']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'size': 250}, 'size is 250, not a multiple of the scale 4; take 248 or 252'),
        ({'size': 16}, 'size is 16; it must be at least 32'),
        ({'clips': 0}, 'clips is 0'),
        ({'test_clips': -1}, 'test_clips is -1'),
        ({'frames': 0}, 'frames is 0'),
        ({'seed': -1}, 'seed is -1'),
        ({'scale': 5}, 'scale is 5; it must be one of 2, 3, 4, 8'),
        ({'drift': (2.0, 1.0)}, 'drift is 2.0..1.0'),
        ({'blur': (0.1, 1.0)}, 'blur is 0.1..1.0'),
        ({'noise': (0.0, float('nan'))}, 'noise is 0.0..nan'),
        ({'brightness_drift': 2.0}, 'brightness_drift is 2.0'),
    ],
)
def test_options_out_of_range_are_refused(change: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SimulationOptions(**change)


@pytest.mark.parametrize(('count', 'message'), [
    (0, 'no pictures; stills end with'), (1, '1 picture; training'), (None, 'no such folder')])
def test_too_few_stills_are_refused(tmp_path: Path, count: int | None, message: str) -> None:
    folder = tmp_path / 'stills'
    if count is not None:
        folder.mkdir()
        for index in range(count):
            write_image(folder / f'{index}.png', textured(100))
    with pytest.raises(DataError, match=message):
        simulate_dataset(tmp_path / 'out', SMALL, folder)
    assert not (tmp_path / 'out').exists()


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    """The second one is refused, as it is when the first one ends while it begins."""
    with built_beside(tmp_path / 'out') as first:
        code = ('from satvsr_plugin.data.simulation import SimulationOptions, simulate_dataset\n'
                'from satvsr_plugin.errors import run_main\n'
                f'run_main(lambda: simulate_dataset({str(tmp_path / "out")!r}, SimulationOptions(clips=1, frames=1)))')
        second = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                                env={'SATVSR_REGISTER': '0'})
        assert second.returncode == 2 and 'another process is at work there' in second.stderr
        (first / 'mine').touch()
    assert [path.name for path in tmp_path.rglob('*')] == ['out', 'mine']
