"""The benchmark of inference: its arithmetic, what it does about failures and time, and one run of the script."""

from __future__ import annotations

import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from basicsr.utils import get_root_logger
from torch import nn

from satvsr_plugin.acceleration.allocator import can_keep_freed_memory
from satvsr_plugin.acceleration.paths import FastPaths
from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks import inference, inference_run, variants
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.ceilings import Ceilings, measure_ceilings
from satvsr_plugin.benchmarks.inference import Row, Settings, SpeedTable, Subject, compare, measure_speed
from satvsr_plugin.benchmarks.inference_report import Report
from satvsr_plugin.benchmarks.networks import FULL, Network, choose_networks, macs_a_pixel, spec_of
from satvsr_plugin.benchmarks.quality import Pairs, Quality, drawn_pairs, measure_quality, read_pairs
from satvsr_plugin.benchmarks.scaling import Growth, Step, measure_lengths, measure_sides
from satvsr_plugin.benchmarks.variants import PLAIN, Runner, Variant
from satvsr_plugin.benchmarks.where import (
    CONVOLUTION,
    COPIES,
    DEFORMABLE,
    ELEMENTWISE,
    REST,
    TRANSPOSED,
    kind_of,
    measure_shares,
)
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError, OptionError

SCRIPT = Path(__file__).parents[2] / 'scripts/benchmark_inference.py'
CPU = torch.device('cpu')
TINY = Network('tiny', {'type': 'MSDTGP', 'num_feat': 8, 'num_base_feat': 8, 'num_extract_block': 1, 'num_stage': 1,
                        'num_reconstruct_block': 1, 'init': 'gentle'})
SPEC = InputSpec(4, num_frame=5, bands=3)
MACS = 1000.0  # for each LR pixel, a figure to reckon with
TINY_AT_16 = Subject(TINY, SPEC, MACS, 16)
CEILINGS = Ceilings({'float32': 2.0, 'bfloat16': 8.0}, {'float32': 4.0, 'bfloat16': 5.0}, 10.0)
LAST = Variant('channels_last', paths=FastPaths(channels_last=True))
QUICK = Settings(CPU, 0.001, 1)


def reach(monkeypatch: pytest.MonkeyPatch, rates: dict[str, float]) -> None:
    """Let variants reach given numbers of calls a second."""
    monkeypatch.setattr(inference, '_rate', lambda tried, _: rates[tried.variant.name])


def plenty() -> Budget:
    return Budget(3600)


def test_figures_follow_from_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Variant('pairs', torch.bfloat16, FastPaths(windows=2))
    reach(monkeypatch, {PLAIN: 1000, LAST.name: 1500, pair.name: 1250})
    table = measure_speed(TINY_AT_16, [Variant(PLAIN), LAST, pair], QUICK, CEILINGS, plenty())
    plain, last, pairs = table.rows
    gflop = 2 * 1000 * 16**2 / 1e9
    assert (plain.milliseconds, plain.frames_a_second, plain.times_plain) == (1, 1000, 1)
    assert plain.gflops == pytest.approx(1000 * gflop)
    assert (last.times_plain, last.gflops) == (1.5, pytest.approx(1.5 * 1000 * gflop))
    assert last.share_of_matmul == pytest.approx(1500 * gflop / 2)
    assert last.share_of_best == pytest.approx(1500 * gflop / 4)  # the convolution is the faster one
    assert (pairs.frames_a_second, pairs.times_plain) == (2500, 2.5)  # two windows a call
    assert pairs.milliseconds == pytest.approx(0.4)
    assert pairs.share_of_best == pairs.share_of_matmul == pytest.approx(2500 * gflop / 8)
    assert (plain.difference, plain.psnr) == (0, None)
    assert 0 < pairs.difference < 0.5 and 20 < pairs.psnr < 90
    assert last.difference < 1e-4 and (last.psnr is None or last.psnr > 100)
    assert all(row.peak_memory > 0 and not row.note for row in table.rows)
    assert table.fastest() is pairs


def test_what_fails_is_a_row_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerate = variants.accelerate

    def without_memory(net: nn.Module, paths: FastPaths) -> nn.Module:
        if paths.subpixel:
            raise torch.OutOfMemoryError('Tried to allocate 9 GiB')
        return accelerate(net, paths)

    monkeypatch.setattr(variants, 'accelerate', without_memory)

    def rate(tried: inference.Tried, _: float) -> float:
        if tried.variant is LAST:
            raise RuntimeError('broken later\nmore words')
        return 2.0

    monkeypatch.setattr(inference, '_rate', rate)
    seen: list[str] = []
    ways = [Variant(PLAIN), Variant('large', paths=FastPaths(subpixel=True)), LAST, Variant('GPUs only', triton=True)]
    table = measure_speed(TINY_AT_16, ways, QUICK._replace(rounds=3), CEILINGS, plenty(),
                          lambda _, ready: seen.extend(tried.variant.name for tried in ready))
    assert table.rows[0].times_plain == 1
    assert table.rows[1:3] == [Row('large', 'float32', note='out of memory'),
                               Row('channels_last', 'float32', note='RuntimeError: broken later')]
    assert table.rows[3].note.startswith('dcn: triton was asked for, but ')
    assert seen == [PLAIN]
    assert '| large | not measured: out of memory |' in str(Report({}, speed=[table]))


def test_a_fast_path_that_falls_back_is_not_measured_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(net: nn.Module, paths: FastPaths) -> nn.Module:
        if paths.channels_last:
            get_root_logger().warning('tiny cannot be compiled, and runs as it is')
        return net

    monkeypatch.setattr(variants, 'accelerate', warn)
    table = measure_speed(TINY_AT_16, [Variant(PLAIN), LAST], QUICK, CEILINGS, plenty())
    assert table.rows[1] == Row('channels_last', 'float32', note='tiny cannot be compiled, and runs as it is')
    get_root_logger().warning('after that it is only a warning again')


def test_what_is_not_finite_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 2] * math.nan

    monkeypatch.setattr(variants, 'accelerate', lambda net, paths: Broken() if paths.channels_last else net)
    table = measure_speed(TINY_AT_16, [Variant(PLAIN), LAST], QUICK, CEILINGS, plenty())
    assert table.rows[1].note == 'the result is not a finite number'


def test_differences_are_in_standard_deviations_and_db_of_the_range() -> None:
    plain = torch.tensor([0.0, 2, 4, 6])
    result = plain + torch.tensor([0, 0, 0.2, 0])
    largest, psnr = compare(result, plain)
    assert largest == pytest.approx(0.2 / math.sqrt(20 / 3))
    assert psnr == pytest.approx(10 * math.log10(6**2 / (0.2**2 / 4)))
    assert compare(plain, plain) == (0, None)


def test_the_full_network_takes_what_the_published_one_takes_less_what_is_not_computed_twice() -> None:
    net = Network('full', FULL).build()
    twice = 685_568 + 4 * 9 * 64 * 64  # aligning the centre frame, and the reference's part of what predicts offsets
    assert macs_a_pixel(net, spec_of('full', net)) == pytest.approx(61.76e6 - twice, rel=5e-4)


def test_networks_without_training_are_always_the_same_and_sample_off_the_grid() -> None:
    state = torch.get_rng_state()
    first, second = TINY.build().state_dict(), TINY.build('torchvision').state_dict()
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert first['alignment1.dcnpack.conv_offset_mask.bias'].abs().mean() > 0.5


def test_networks_by_name(tmp_path: Path) -> None:
    full, small, tdan = choose_networks(['full', 'small', 'TDAN', 'full'], None)
    assert (full.name, full.weights, full.takes_dcn) == ('full', None, True)
    assert small.weights and small.build().num_frame == 5
    assert tdan.options == {'type': 'TDAN'}
    assert [network.name for network in choose_networks(['full'], small.weights)] == ['MSDTGP_small_x4', 'full']
    with pytest.raises(OptionError, match='--networks Nothing: there is no such network'):
        choose_networks(['Nothing'], None)
    with pytest.raises(OptionError, match='it is not known what this network wants'):
        spec_of('Conv', nn.Conv2d(1, 1, 1))


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_keeps_a_reserve_and_tells_what_it_cut() -> None:
    clock = Clock()
    budget = Budget(100, clock=clock)
    assert budget.allows(80, 'all') and not budget.allows(81, 'a little more')
    clock.now = 30
    budget.reserve = 50
    assert budget.left() == 20 and budget.holds(16) and not budget.holds(17)
    assert not budget.allows(17, 'the last')
    assert budget.skipped == ['a little more: would take about 81 s, of --budget 100 s were left',
                              'the last: would take about 17 s, of --budget 20 s were left']


def test_without_time_variants_then_networks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    reach(monkeypatch, {PLAIN: 1.0, LAST.name: 1.0})
    compiled = Variant('compiled', paths=FastPaths(compiled=True))
    budget = Budget(40)  # less than compiling is thought to take
    table = measure_speed(TINY_AT_16, [Variant(PLAIN), compiled, LAST], QUICK, CEILINGS, budget)
    assert [row.variant for row in table.rows] == [PLAIN, LAST.name]
    assert [what.partition(':')[0] for what in budget.skipped] == ['tiny, 16x16, compiled']
    huge = TINY_AT_16._replace(macs=1e12)
    assert measure_speed(huge, [Variant(PLAIN), LAST], QUICK, CEILINGS, budget) is None
    assert budget.skipped[1].startswith('tiny, 16x16, all: would take about ') and len(budget.skipped) == 2


def test_rounds_end_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = Clock(), []

    def rate(tried: inference.Tried, _: float) -> float:
        clock.now += 300
        calls.append(tried.variant.name)
        return 1.0

    monkeypatch.setattr(inference, '_rate', rate)
    measure_speed(TINY_AT_16, [Variant(PLAIN), LAST], QUICK._replace(rounds=9), CEILINGS, Budget(1000, clock=clock))
    assert calls == [PLAIN, LAST.name] * 2


def test_json_holds_the_numbers_of_the_tables() -> None:
    rows = [Row(PLAIN, 'float32', 250, 4, 1, 12.5, 0.5, 0.25, 3 * 2**20, 0.0, None),
            Row('fast', 'bfloat16', 100, 10, 2.5, 31.25, 0.4, 0.3, 2**21, 0.0123, 63.21),
            Row('none', 'float32', note='a | b')]
    quality = {'net': [Quality(PLAIN, math.inf, 0.0)]}
    growth = Growth('a video', 'frames', 'frame', [Step(5, 50, 10, 2**20), Step(10, 100, 10, 2**21)])
    report = Report({'cores': '2'}, CEILINGS, [SpeedTable('net', 100, 5e6, 3, rows)], quality, growth=[growth],
                    skipped=['x: y'])
    text, found = str(report), json.loads(report.to_json())
    table = found['speed'][0]
    assert '### net, LR 100x100 (5.00 M multiply-accumulates an LR pixel, 100.0 GFLOP a frame)' in text
    for row in table['rows'][:2]:
        cells = next(line for line in text.splitlines() if line.startswith(f'| {row["variant"]} |')).split(' | ')
        shown = [float(cell.rstrip(' %')) for cell in cells[1:8]]
        held = [row['milliseconds'], row['frames_a_second'], row['times_plain'], row['gflops'],
                100 * row['share_of_matmul'], 100 * row['share_of_best'], row['peak_memory'] / 2**20]
        assert shown == pytest.approx(held, rel=0.01)
    assert '| 1.2e-02 | 63.2 |' in text and '| 0 | the same |' in text
    assert '| none | not measured: a / b |' in text and table['rows'][2]['milliseconds'] is None
    assert found['quality'] == {'net': [{'variant': PLAIN, 'psnr': None, 'from_plain': 0}]}
    assert found['ceilings'] == {'matmul': CEILINGS.matmul, 'convolution': CEILINGS.convolution, 'copy': 10.0}
    assert found['growth'][0]['exponent'] == pytest.approx(1) and found['growth'][0]['memory_growth'] == 2
    assert 'power 1.00 of the number of frames; the last takes 2.00 times the memory of the first' in text
    assert '- x: y' in text and found['skipped'] == ['x: y']


def test_ceilings_are_of_work_that_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from satvsr_plugin.benchmarks import ceilings

    monkeypatch.setattr(ceilings, 'calls_a_second', lambda call, seconds: call(0) or 10.0)
    monkeypatch.setattr(ceilings, '_SIDE', {'cpu': 100})
    monkeypatch.setattr(ceilings, '_CONVOLUTION', {'cpu': (2, 16, 20)})
    monkeypatch.setattr(ceilings, '_COPIED', {'cpu': 2 * 10**6})
    found = measure_ceilings(CPU, 0.001)
    assert found.matmul == pytest.approx({'float32': 0.02, 'bfloat16': 0.02})
    assert found.convolution == pytest.approx(dict.fromkeys(('float32', 'bfloat16'), 10 * 2 * 9 * 16**2 * 800 / 1e9))
    assert found.copy == pytest.approx(0.04)
    assert CEILINGS.best(torch.float32) == 4 and CEILINGS.best('bfloat16') == 8
    assert '| float32 | 2 | 4 |' in str(CEILINGS)


@pytest.mark.parametrize(('name', 'kind'), [
    ('aten::mkldnn_convolution', CONVOLUTION), ('mkldnn::_convolution_transpose_pointwise', TRANSPOSED),
    ('aten::conv_transpose2d', TRANSPOSED), ('satvsr::modulated_deform_conv2d', DEFORMABLE), ('aten::cat', COPIES),
    ('aten::copy_', COPIES), ('aten::_prelu_kernel', ELEMENTWISE), ('aten::add_', ELEMENTWISE),
    ('aten::addmm_', CONVOLUTION), ('aten::view', REST),
    ('sm90_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc_tilesize128x128x64', CONVOLUTION),
    ('sm80_xmma_dgrad_implicit_gemm_indexed_f16f16_f16f32_f32_nhwckrsc_nhwc', TRANSPOSED),
    ('void modulated_deformable_im2col_gpu_kernel<float>(int, float const*)', DEFORMABLE),
    ('void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::Half>>', ELEMENTWISE),
    ('triton_poi_fused_add_leaky_relu_3', ELEMENTWISE), ('void cudnn::ops::nchwToNhwcKernel<__half>', COPIES),
    ('Memcpy DtoD (Device -> Device)', COPIES)])
def test_kinds_by_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize('paths', [FastPaths(), FastPaths(channels_last=True, fused=True)])
def test_where_the_time_goes(paths: FastPaths) -> None:
    variant = Variant('any', paths=paths)
    runner = Runner(TINY, SPEC, variant, CPU)
    frames = torch.rand(1, 5, 3, 32, 32)
    runner(frames)
    found = measure_shares(variant, runner.net, lambda: runner(frames), CPU)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert all(found.shares[kind] > 0 for kind in (CONVOLUTION, TRANSPOSED, DEFORMABLE, ELEMENTWISE))
    assert found.milliseconds > 0
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in runner.net.modules())


def test_a_transposed_convolution_alone() -> None:
    net = nn.ConvTranspose2d(32, 32, 8, 4, 2)
    x = torch.rand(1, 32, 64, 64)
    with torch.inference_mode():
        found = measure_shares(Variant('one'), net, lambda: net(x), CPU)
    assert found.shares[TRANSPOSED] > 0.5


class Shifted:
    """Stands for a runner: the middle frame, each pixel four times each way, brighter by ``error`` grey levels."""

    def __init__(self, name: str, error: float) -> None:
        self.variant = Variant(name)
        self._error = error

    def batches(self, windows: torch.Tensor) -> torch.Tensor:
        middle = windows[:, 2].repeat_interleave(4, 2).repeat_interleave(4, 3)
        return middle + self._error / 255


def test_quality_is_psnr_against_gt_and_its_difference_from_plain() -> None:
    lq = [np.full((12, 12, 3), 20 * number, np.uint8) for number in range(9)]
    pairs = Pairs(lq, [frame.repeat(4, 0).repeat(4, 1) for frame in lq])
    plain, worse = measure_quality([Shifted('plain', 2), Shifted('worse', 4)], SPEC, pairs)
    y = (24.966 + 128.553 + 65.481) / 255  # of a grey level
    assert plain.psnr == pytest.approx(20 * math.log10(255 / (2 * y)), abs=1e-6) and plain.from_plain == 0
    assert worse.from_plain == pytest.approx(-20 * math.log10(2), abs=1e-6)
    clip = InputSpec(4, sees='clip', num_frame=2)

    class Whole(Shifted):
        def batches(self, windows: torch.Tensor) -> torch.Tensor:
            assert windows.shape == (1, 9, 3, 12, 12)
            return windows.repeat_interleave(4, 3).repeat_interleave(4, 4) + self._error / 255

    assert measure_quality([Whole('clip', 2)], clip, pairs)[0].psnr == pytest.approx(plain.psnr)


def test_batches_of_several_windows_give_what_single_ones_give() -> None:
    windows = torch.rand(5, 5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    results = [Runner(TINY, SPEC, Variant('any', paths=FastPaths(windows=count)), CPU).batches(windows)
               for count in (1, 3)]
    assert results[0].shape == (5, 3, 32, 32)
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)


def test_pairs_from_folders(tmp_path: Path) -> None:
    drawn = drawn_pairs(16, 4)
    assert drawn.gt[0].shape == (64, 64, 3) and np.array_equal(drawn.gt[3], drawn_pairs(16, 4).gt[3])
    for number, (lq, gt) in enumerate(zip(*drawn, strict=True)):
        write_image(tmp_path / f'LR/a/{number}.png', lq)
        write_image(tmp_path / f'GT/a/{number}.png', gt)
    found = read_pairs(tmp_path / 'GT', tmp_path / 'LR', 4)
    assert all(np.array_equal(*pair) for pair in zip(found.gt + found.lq, drawn.gt + drawn.lq, strict=True))
    part = found.cut(8, 4)
    assert np.array_equal(part.lq[2], drawn.lq[2][4:12, 4:12]) and np.array_equal(part.gt[2], drawn.gt[2][16:48, 16:48])
    with pytest.raises(DataError, match='frames are not 2 times as large as those in'):
        read_pairs(tmp_path / 'GT', tmp_path / 'LR', 2)
    (tmp_path / 'LR/a/0.png').unlink()
    with pytest.raises(DataError, match='give as many frames in both'):
        read_pairs(tmp_path / 'GT', tmp_path / 'LR', 4)
    (tmp_path / 'LR/a').rename(tmp_path / 'LR/b')
    with pytest.raises(DataError, match='has no clip a, which'):
        read_pairs(tmp_path / 'GT', tmp_path / 'LR', 4)


@pytest.mark.parametrize('power', [1, 1.5])
def test_the_exponent_is_that_of_the_power_law(power: float) -> None:
    steps = [Step(side, 3 * (side**2)**power, 3 * (side**2)**(power - 1), side) for side in (32, 48, 96)]
    growth = Growth('one frame', 'LR side', 'LR pixel', steps)
    assert growth.exponent == pytest.approx(power) and growth.memory_growth == 3
    assert Growth('', '', '', steps[:1]).exponent is None


def test_growth_is_measured_until_time_is_up_or_something_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = measure_sides(TINY, SPEC, Variant(PLAIN), QUICK, plenty(), (8, 16))
    assert [step.amount for step in sides.steps] == [8, 16]
    assert sides.steps[1].each == pytest.approx(sides.steps[1].milliseconds / 256)
    video = measure_lengths(TINY, 8, True, QUICK, plenty(), (1, 3))
    assert [step.amount for step in video.steps] == [1, 3]
    assert video.steps[1].each == pytest.approx(video.steps[1].milliseconds / 3) and video.steps[1].milliseconds > 0
    budget = Budget(0)
    assert measure_sides(TINY, SPEC, Variant(PLAIN), QUICK, budget, (8, 16)).steps == []
    assert budget.skipped[0].startswith('tiny, plain float32: one frame of growing size, LR side 8 and more: ')
    failed = measure_sides(TINY, SPEC, Variant('GPUs only', triton=True), QUICK, plenty(), (8,))
    assert failed.steps == [] and failed.note.startswith('dcn: triton was asked for')


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """The script with few variants; returns what its JSON file holds."""
    found = inference_run.variants
    monkeypatch.setattr(inference_run, 'variants', lambda *arguments, **named: [
        way for way in found(*arguments, **named) if way.name in (PLAIN, 'fused, bfloat16')])

    def run(tmp_path: Path, *arguments: str) -> dict:
        runpy.run_path(str(SCRIPT))['main']([*arguments, '--json', str(tmp_path / 'o.json'), '--device', 'cpu',
                                             '--markdown', str(tmp_path / 'o.md'), '--seconds', '0.02'])
        return json.loads((tmp_path / 'o.json').read_text())
    return run


def test_the_script(few: Callable[..., dict], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    found = few(tmp_path, '--networks', 'small', '--sizes', '16', '--rounds', '1', '--budget', '200')
    text = capsys.readouterr().out
    assert (tmp_path / 'o.md').read_text() == text
    assert found['machine']['threads'] == str(torch.get_num_threads()) and found['skipped'] == []
    plain, fast = found['speed'][0]['rows']
    assert (plain['times_plain'], plain['difference']) == (1, 0) and fast['variant'] == 'fused, bfloat16'
    assert fast['times_plain'] == pytest.approx(fast['frames_a_second'] / plain['frames_a_second'])
    assert fast['share_of_best'] == pytest.approx(fast['gflops'] / max(
        found['ceilings'][kind]['bfloat16'] for kind in ('matmul', 'convolution')))
    quality = found['quality']['small, 16x16']
    assert 25 < quality[0]['psnr'] < 45 and abs(quality[1]['from_plain']) < 0.5
    assert quality[1]['psnr'] - quality[0]['psnr'] == pytest.approx(quality[1]['from_plain'])
    assert [sum(row['shares'].values()) for row in found['where']['small, 16x16']] == pytest.approx(
        [1] * len(found['where']['small, 16x16']))
    assert '### small, LR 16x16 (1.90 M' in text and '### Ceilings' in text
    assert [table['network'] for table in found['speed'][1:]] == (
        ['small, freed memory kept'] if can_keep_freed_memory() else [])


def test_the_script_names_what_a_small_budget_cut(few: Callable[..., dict], tmp_path: Path) -> None:
    found = few(tmp_path, '--networks', 'small', '--sizes', '16', '1024', '--rounds', '1', '--budget', '1', '--scaling')
    assert any(what.startswith('small, 1024x1024, all: would take about ') for what in found['skipped'])
    assert any('and more: would take about ' in what for what in found['skipped'])


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--rounds', '0'], '--rounds 0'), (['--budget', '0'], '--budget 0'), (['--threads', '0'], '--threads 0'),
    (['--sizes', '4'], '--sizes 4'), (['--gt', 'x'], 'give both'), (['--networks', 'Nope'], 'there is no such network'),
    (['--device', 'nowhere'], 'device: nowhere cannot be used here')])
def test_wrong_options_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        runpy.run_path(str(SCRIPT))['main'](arguments)


@pytest.mark.gpu
def test_on_a_gpu(tmp_path: Path) -> None:
    runpy.run_path(str(SCRIPT))['main']([
        '--device', 'cuda', '--networks', 'small', '--sizes', '64', '--no-compile', '--seconds', '0.05', '--scaling',
        '--json', str(tmp_path / 'o.json')])
    found = json.loads((tmp_path / 'o.json').read_text())
    rows = {row['variant']: row for row in found['speed'][0]['rows']}
    for name in (PLAIN, 'TF32', 'float16, channels_last', 'bfloat16, channels_last',
                 'float16, channels_last, 8 windows'):
        assert not rows[name]['note'] and rows[name]['peak_memory'] > 0 and rows[name]['difference'] < 1, name
    assert 'GPU' in found['machine'] and set(found['ceilings']['matmul']) == {'float32', 'tf32', 'bfloat16', 'float16'}
    assert all(abs(row['from_plain']) < 0.5 for row in found['quality']['small, 64x64'])
    assert found['where']['small, 64x64'][0]['shares'][CONVOLUTION] > 0.1
    assert [len(growth['steps']) for growth in found['growth']][:2] == [4, 4]
