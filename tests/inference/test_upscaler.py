"""Videos through networks of all kinds: right, in parts as in one, in little memory, and clear about what is wrong."""

from __future__ import annotations

import doctest
import gc
import tracemalloc
import weakref
from collections import deque
from itertools import islice
from typing import get_args

import numpy as np
import pytest
import torch
from basicsr.archs import build_network
from inference.networks import Repeat, build
from inference.small_videos import enlarge, make, same, video
from torch import nn

from satvsr_plugin.archs.interface import InputSpec, run_network
from satvsr_plugin.data.windows import Padding, window_indices
from satvsr_plugin.errors import DataError, OptionError, SatVSRError
from satvsr_plugin.inference import VideoUpscaler, upscaler
from satvsr_plugin.models.pictures import to_hwc, to_integers


def test_the_example():
    result = doctest.testmod(upscaler)
    assert result.attempted >= 5 and result.failed == 0


@pytest.mark.parametrize('name', ['MSDTGP', 'TDAN', 'SOFVSR', 'EDVR'])
@pytest.mark.parametrize('padding', ['center', 'reflection_circle'])
def test_windows_give_what_the_network_gives(name, padding):
    net, frames = build(name), video(6, 9, 14, dtype=np.uint16)
    results = list(make(net, padding=padding)(frames))
    x = torch.from_numpy(np.stack(frames).transpose(0, 3, 1, 2).astype(np.float32) / 65535)
    spec = upscaler.input_spec(net)
    for centre, result in enumerate(results):
        window = x[window_indices(centre, 6, spec.num_frame, padding)]
        with torch.no_grad():
            expected = to_integers(to_hwc(run_network(net, spec, window[None])), 16)
        assert result.dtype == np.uint16 and result.shape == (36, 56, 3)
        assert abs(result.astype(int) - expected).max() <= 2  # features of frames one by one, not as a batch
    assert len(results) == 6 and results[2].std() > 3000


def test_networks_of_clips_get_whole_short_videos():
    net, frames = build('BasicVSR'), video(7)
    x = torch.from_numpy(np.stack(frames).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    with torch.no_grad():
        expected = [to_integers(to_hwc(frame), 8) for frame in net(x[None])[0]]
    assert same(make(net)(frames), expected)


def test_networks_of_still_images():
    net, frames = build('MSRResNet'), video(2)
    for frame, result in zip(frames, make(net)(frames), strict=True):
        x = torch.from_numpy(frame.transpose(2, 0, 1).astype(np.float32) / 255)
        with torch.no_grad():
            expected = to_integers(to_hwc(net(x[None])), 8)
        assert np.array_equal(result, expected)


@pytest.mark.parametrize('sees', ['window', 'clip', 'frame'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_every_value_comes_back(sees, dtype):
    """All values of 8 and 16 bit, in tiles too, of more frames than a segment has."""
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    frames = [np.roll(values, shift).reshape(-1, 64 if dtype == np.uint16 else 8, 1) for shift in range(33)]
    results = make(Repeat(sees), tile=40, overlap=9)(frames)
    assert same(results, [enlarge(frame) for frame in frames])


@pytest.mark.parametrize('padding', get_args(Padding))
def test_a_part_gives_to_the_last_bit_what_the_whole_gives(padding):
    frames = video(9, 24, 30)
    engine = make(build('TDAN'), padding=padding, tile=20, overlap=6)
    whole = list(engine(frames))
    for first, stop, length in ((0, 9, 9), (0, 1, None), (1, 4, 9), (4, 6, None), (6, 9, 9), (7, 20, None)):
        offset = max(0, first - engine.reach)
        part = engine.run(frames[offset:stop + engine.reach], offset=offset, first=first, stop=stop, length=length)
        assert same(part, whole[first:stop])


class MeanOfClip(nn.Module):
    """Every result is the mean of all frames that the network was given, so that it tells which these were."""

    def __init__(self) -> None:
        super().__init__()
        self.input_spec = InputSpec(1, sees='clip')

    def forward(self, x):
        return x.mean(1, keepdim=True).expand_as(x)


def test_a_part_of_a_clip_gives_what_the_whole_gives():
    frames = video(70, 6, 8)
    engine = make(MeanOfClip())
    whole = list(engine(frames))
    assert len({frame.tobytes() for frame in whole}) == 4  # segments
    for first, stop in ((0, 5), (19, 21), (23, 70), (45, 46)):
        offset = max(0, first - engine.reach)
        part = engine.run(frames[offset:stop + engine.reach], offset=offset, first=first, stop=stop, length=70)
        assert same(part, whole[first:stop])


@pytest.mark.parametrize('name, tiles', [('MSDTGP', 1), ('TDAN', 6)])
def test_features_of_a_frame_are_computed_once(name, tiles, monkeypatch):
    net = build(name)
    calls = []
    extract = net.extract_features
    monkeypatch.setattr(net, 'extract_features', lambda x: calls.append(len(x)) or extract(x))
    engine = make(net, tile=16 if tiles > 1 else 'none', overlap=4)
    list(engine(video(8, 24, 36)))
    of_probe = 1
    assert sum(calls) == tiles * 8 + of_probe


def test_features_that_memory_does_not_hold_are_computed_anew_with_the_same_result(monkeypatch):
    net, frames = build('MSDTGP'), video(5)
    expected = list(make(net, tile=12, overlap=4)(frames))
    monkeypatch.setattr('satvsr_plugin.inference.tile_size.free_memory', lambda device: 0)
    assert same(make(net, tile=12, overlap=4)(frames), expected)


def test_two_videos_at_once_do_not_mix():
    engine = make(build('TDAN'))
    one, two = video(4), video(8)[4:]
    mixed = list(zip(engine(one), engine(two), strict=True))
    assert same(engine(one), [a for a, _ in mixed])
    assert same(engine(two), [b for _, b in mixed])


@pytest.mark.parametrize('sees, seen', [('window', 3), ('clip', 30)])
def test_memory_does_not_grow_with_the_number_of_frames(sees, seen):
    alive: weakref.WeakSet = weakref.WeakSet()
    held = []

    def stream(length):
        for number in range(length):
            frame = np.full((48, 48, 3), number % 256, np.uint8).view(Tracked)
            alive.add(frame)
            held.append(len(alive))
            yield frame
            del frame

    def peak(length):
        net = Repeat(sees)
        net.sizes = deque(maxlen=1)
        gc.collect()
        tracemalloc.start()
        assert sum(1 for _ in make(net, tile='none')(stream(length))) == length
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    few = 10 if sees == 'window' else 60  # more than a segment
    peak(few)  # what is set up once
    short, long = peak(few), peak(1000)
    assert max(held) == seen
    assert long - short < 3 * 96 * 96 * 3  # three results, of 940 and more


class Tracked(np.ndarray):
    """An array that weak references can be made to, by its identity."""

    __hash__ = object.__hash__


@pytest.mark.parametrize('error', [None, MemoryError(), RuntimeError('[enforce fail] not enough memory: you tried')])
def test_smaller_tiles_where_memory_runs_out(error, caplog):
    """No frame is lost, and the attempt is made once."""
    net = Repeat(most=40 * 40, error=error)
    frames = video(3, 60, 90)
    with caplog.at_level('WARNING', 'basicsr'):
        results = list(make(net, tile=80, overlap=8)(frames))
    assert same(results, [enlarge(frame) for frame in frames])
    assert [size for size in net.sizes if size[0] * size[1] > 40 * 40] == [(60, 80), (53, 53)]
    assert sum('going on with' in record.getMessage() for record in caplog.records) == 2


@pytest.mark.parametrize('tile, most, phrase', [('none', 100, 'use --tile auto'), (64, 100, 'a tile of 42x42')])
def test_memory_that_holds_nothing(tile, most, phrase):
    with pytest.raises(DataError, match=phrase):
        list(make(Repeat(most=most), tile=tile, overlap=8)(video(1, 70, 70)))


def test_other_faults_are_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match='shapes differ'):
        list(make(Repeat(most=1, error=RuntimeError('shapes differ')), tile='none')(video(1)))


class Overflow(nn.Module):
    """Twice as large, infinite in less than float32 where a frame begins with 255, and where it is 0 not a number."""

    def __init__(self) -> None:
        super().__init__()
        self.input_spec = InputSpec(1)
        self.dtypes: list[torch.dtype | None] = []

    def forward(self, x):
        low = torch.is_autocast_enabled('cpu')
        self.dtypes.append(torch.get_autocast_dtype('cpu') if low else torch.float32)
        out = x[:, 0].clone()
        return out / 0 if (low and x.flatten()[0] == 1) or x.max() == 0 else out


@pytest.mark.parametrize('name', ['bfloat16', 'float16'])
def test_results_that_overflow_are_computed_again(name, caplog):
    net, frames = Overflow(), [np.full((4, 4, 1), value, np.uint8) for value in (9, 255, 7, 255)]
    with caplog.at_level('WARNING', 'basicsr'):
        results = list(make(net, dtype=name, tile='none')(frames))
    assert same(results, frames)
    low = getattr(torch, name)
    assert net.dtypes == [low, low, torch.float32, low, low, torch.float32]
    assert [record.getMessage() for record in caplog.records] == [
        f'frame 1: not finite in {name}; computed again in float32, as all that follow like this']


@pytest.mark.parametrize('name', ['bfloat16', 'float32'])
def test_results_that_are_no_numbers_are_named(name):
    frames = [np.full((4, 4, 1), value, np.uint8) for value in (9, 9, 0)]
    results = make(Overflow(), dtype=name, tile='none').run(frames, offset=20, first=20, stop=23, length=30)
    assert len(list(islice(results, 2))) == 2
    with pytest.raises(SatVSRError, match='frame 22: the result of Overflow is not a finite number; its weights'):
        next(results)


def test_low_precision_stays_close():
    net, frames = build('MSDTGP'), video(3)
    exact = np.stack(list(make(net, dtype='float32')(frames))).astype(int)
    low = np.stack(list(make(net, dtype='bfloat16')(frames))).astype(int)
    assert abs(exact - low).max() > 0 and abs(exact - low).mean() < 2


@pytest.mark.parametrize('bands, channels', [(3, 1), (3, 2), (3, 4), (3, 8), (1, 3), (3, 3), (None, 5)])
def test_any_number_of_bands(bands, channels):
    frames = video(3, bands=channels)
    engine = make(Repeat(bands=bands), tile=12, overlap=4)
    results = list(engine(frames))
    assert same(results, [enlarge(frame) for frame in frames])
    assert (engine.describe(channels) is None) == (bands in (None, channels))


@pytest.mark.parametrize('name, arguments', [
    ('MSRResNet', dict(num_feat=8, num_block=1)),
    ('RRDBNet', dict(num_in_ch=3, num_out_ch=3, num_feat=8, num_block=1, num_grow_ch=4)),
    ('RRDBNet', dict(num_in_ch=3, num_out_ch=3, scale=2, num_feat=8, num_block=1, num_grow_ch=4)),
    ('SRVGGNetCompact', dict(num_feat=8, num_conv=1)),
    ('SwinIR', dict(upscale=4, upsampler='pixelshuffledirect', img_size=16, window_size=8, depths=[1], num_heads=[2],
                    embed_dim=8))])
def test_grey_through_networks_of_the_toolbox(name, arguments):
    result, = make(build_network({'type': name, **arguments}))(video(1, bands=1))
    assert result.shape == (16 * arguments.get('scale', 4), 20 * arguments.get('scale', 4), 1)


@pytest.mark.parametrize('frames, phrase', [
    ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)], 'frame 1: is 9x8, 3 channels, 8 bit, but the fir'),
    ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint16)], 'frame 1: is 8x8, 3 channels, 16 bit'),
    ([np.zeros((8, 8, 3), np.float32)], 'frame 0: is float32'),
    ([np.zeros((8, 8), np.uint8)], r'frame 0: is uint8 of shape \(8, 8\)'),
    ([np.zeros((8, 8, 4), np.uint8)], 'have 4 bands, but the network takes 5')])
def test_frames_that_do_not_fit_are_named(frames, phrase):
    with pytest.raises(DataError, match=phrase):
        list(make(Repeat(bands=3 if frames[0].shape[-1] != 4 else 5))(frames))


@pytest.mark.parametrize('options, phrase', [
    ({'tile': 0}, 'tile: 0'), ({'tile': 'all'}, 'tile: all'), ({'tile': 32, 'overlap': 32}, 'overlap: 32 is not less'),
    ({'overlap': -1}, 'overlap: -1'), ({'dtype': 'int8'}, 'dtype: int8'), ({'device': 'tpu'}, 'device: tpu'),
    ({'padding': 'zero'}, 'padding: zero')])
def test_wrong_options_are_named(options, phrase):
    with pytest.raises(OptionError, match=phrase):
        VideoUpscaler(Repeat(), **options)


def test_networks_that_cannot_work_on_frames_alone_are_refused():
    with pytest.raises(OptionError, match='Linear: it is not known what'):
        VideoUpscaler(nn.Linear(1, 1))
    net = Repeat()
    net.input_spec = InputSpec(2, takes=('flows',), needs=('flows',))
    with pytest.raises(OptionError, match='Repeat: needs flows besides'):
        VideoUpscaler(net)


def test_no_frames_no_results():
    assert list(make(Repeat())([])) == []
