"""Fast paths in super-resolving videos: several windows at once, fused layers, compiled networks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from inference.networks import Repeat, build
from inference.small_videos import enlarge, make, same, video

from satvsr_plugin.acceleration import fused
from satvsr_plugin.acceleration.paths import FastPaths
from satvsr_plugin.cli import main
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.inference import tile_size
from satvsr_plugin.inference.tile_size import MOST_WINDOWS, PIXELS_AT_ONCE, Layout


@pytest.mark.parametrize('name', ['MSDTGP', 'TDAN', 'EDVR'])
@pytest.mark.parametrize('tile', ['none', 12])
def test_several_windows_at_once_give_what_one_gives(name, tile):
    net, frames = build(name), video(7)
    one = list(make(net, tile=tile, overlap=4)(frames))
    several = list(make(net, tile=tile, overlap=4, windows=3)(frames))
    assert np.abs(np.stack(one).astype(int) - np.stack(several)).max() <= 1
    assert same(make(net, tile=tile, overlap=4, windows=3)(frames), several)


def test_the_network_always_gets_as_many_windows():
    net = build('MSDTGP')
    batches = []
    forward = net.forward_features
    net.forward_features = lambda frames, features: batches.append(len(frames)) or forward(frames, features)
    assert len(list(make(net, windows=3, fast='none')(video(7)))) == 7
    assert batches == [3, 3, 3]


def test_frames_that_are_bands_and_several_windows():
    frames = video(5, bands=4)
    one, several = (list(make(build('MSDTGP'), windows=windows, tile='none')(frames)) for windows in (1, 2))
    assert np.abs(np.stack(one).astype(int) - np.stack(several)).max() <= 1


def test_a_stretch_of_a_video_with_several_windows_is_a_part_of_the_whole():
    engine, frames = make(build('TDAN'), windows=2), video(9)
    whole = list(engine(frames))
    part = list(engine.run(frames[1:8], offset=1, first=3, stop=6, length=9))
    assert np.abs(np.stack(part).astype(int) - np.stack(whole[3:6])).max() <= 1


def test_one_window_after_the_other_where_memory_runs_out(caplog):
    class Few(Repeat):
        def forward(self, x):
            if len(x) > 1:
                raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 3 GiB')
            return super().forward(x)

    net, frames = Few(), video(5)
    with caplog.at_level('WARNING', 'basicsr'):
        results = list(make(net, windows=4, tile='none')(frames))
    assert same(results, [enlarge(frame) for frame in frames])
    assert [record.getMessage() for record in caplog.records] == [
        'memory does not hold 4 windows at once; going on with one']


@pytest.mark.parametrize('side, memory, sees, expected', [
    (16, 10**12, 'window', MOST_WINDOWS), (128, 10**12, 'window', PIXELS_AT_ONCE // 128**2), (400, 10**12, 'window', 1),
    (128, 2 * 3 * 128**2 * 100, 'window', 3), (128, 1000, 'window', 1), (16, 10**12, 'clip', 1)])
def test_windows_by_their_size_and_by_memory(side, memory, sees, expected, monkeypatch):
    monkeypatch.setattr(tile_size, 'bytes_per_pixel', lambda *_: 100)
    monkeypatch.setattr(tile_size, 'free_memory', lambda device: memory)
    engine = make(Repeat(sees), tile='none')
    engine._network.paths = FastPaths(windows=0)  # as on a GPU
    assert engine.layout(FrameFormat(side, side, 3, 8)).windows == expected


def test_tiles_shrink_only_for_windows_that_there_are(monkeypatch):
    monkeypatch.setattr(tile_size, 'bytes_per_pixel', lambda *_: 100)
    monkeypatch.setattr(tile_size, 'free_memory', lambda device: 2 * 128**2 * 100)
    sides = {(sees, windows): make(Repeat(sees), windows=windows).layout(FrameFormat(300, 300, 3, 8)).side
             for sees in ('window', 'clip') for windows in (1, 4)}
    assert sides == {('window', 1): 128, ('window', 4): 64, ('clip', 1): 128, ('clip', 4): 128}


def test_frames_before_a_damaged_one_are_not_lost():
    def damaged():
        yield from video(4)
        raise DataError('frame 4: damaged')

    results = make(Repeat(), windows=4)(damaged())
    assert len([next(results) for _ in range(3)]) == 3
    with pytest.raises(DataError, match='frame 4: damaged'):
        next(results)


def test_half_types_that_a_processor_lacks_are_computed_by_the_layers_themselves(monkeypatch):
    net, frames = build('MSDTGP'), video(3)
    plain = np.stack(list(make(net, fast='none')(frames))).astype(int)
    for dtype in ('float16', 'bfloat16'):
        monkeypatch.setattr(fused, '_can_pack', lambda dtype: dtype == torch.float32)
        low = np.stack(list(make(net, dtype=dtype)(frames))).astype(int)
        assert abs(low - plain).max() > 0 and abs(low - plain).mean() < 0.5


def test_no_windows_are_refused():
    with pytest.raises(OptionError, match='windows: 0'):
        make(Repeat(), windows=0)


@pytest.mark.parametrize('name', ['MSDTGP', 'TDAN', 'SOFVSR', 'EDVR', 'BasicVSR'])
def test_fast_and_plain_results_are_a_grey_level_apart_at_most(name):
    net, frames = build(name), video(4)
    plain, fast = (np.stack(list(make(net, fast=fast)(frames))).astype(int) for fast in ('none', 'auto'))
    assert abs(plain - fast).max() <= 1 and (plain != fast).mean() < 0.01


def test_a_compiled_network_is_probed_uncompiled(monkeypatch):
    sizes = []

    def compiled(method, **_):
        def call(*arguments):
            sizes.append(tuple(arguments[0].shape[-2:]))
            return method(*arguments)
        return call

    monkeypatch.setattr(torch, 'compile', compiled)
    net, frames = build('MSDTGP'), video(3, 40, 44)
    results = list(make(net, fast=('channels_last', 'compiled'), tile=32)(frames))
    assert set(sizes) == {(32, 32)}
    plain = list(make(net, fast='none', tile=32)(frames))
    assert np.abs(np.stack(results).astype(int) - np.stack(plain)).max() <= 1


def test_layouts_say_how_many_windows():
    assert make(Repeat(), windows=5).layout(FrameFormat(16, 20, 3, 8)) == Layout(None, 0, True, 5)


@pytest.mark.parametrize('flag, phrase', [
    (['--fast', 'quick'], 'quick is not known; choose auto or none'), (['--fast', 'graphs'], 'need a CUDA GPU'),
    (['--windows', '0'], '0 windows give no result'), (['--windows', 'two'], 'two is not a whole number')])
def test_wrong_flags(flag, phrase, tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in' / '0.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SystemExit) as stopped:
        main(['infer', '-i', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--device', 'cpu', *flag])
    assert stopped.value.code == 2
    assert phrase in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
