"""The benchmark of training: its arithmetic, what becomes of failures, and the script from end to end."""

from __future__ import annotations

import importlib.util
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from satvsr_plugin.benchmarks import largest_batch
from satvsr_plugin.benchmarks.budget import Budget
from satvsr_plugin.benchmarks.ceilings import Ceilings
from satvsr_plugin.benchmarks.largest_batch import estimate, estimate_on_cpu, largest_that_fits, search_on_gpu
from satvsr_plugin.benchmarks.networks import Network
from satvsr_plugin.benchmarks.training import Group, Row, SpeedTest
from satvsr_plugin.benchmarks.training_curve import Curves, measure_curves, smooth, write_plot
from satvsr_plugin.benchmarks.training_data import Feed, draw_clips, waiting_share
from satvsr_plugin.benchmarks.training_model import Trainer, as_in_training, forward_flops
from satvsr_plugin.benchmarks.training_recipes import PLAIN, Recipe, fast_recipe, plain_recipe, recipes
from satvsr_plugin.comparison.cost_measures import count_macs
from satvsr_plugin.data.image_io import read_image
from satvsr_plugin.errors import OptionError, TrainingError

CPU, GPU = torch.device('cpu'), torch.device('cuda')
TINY = Network('tiny', dict(type='MSDTGP', num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1,
                            num_stage=1, deformable_groups=2, num_frame=3, scale=4, init='zero_offset'))
CEILINGS = Ceilings({'float32': 50, 'bfloat16': 100}, {'float32': 80, 'bfloat16': 90}, 10)
SCRIPT = Path(__file__).parents[2] / 'scripts' / 'benchmark_training.py'


@pytest.fixture(scope='module')
def clips(tmp_path_factory) -> Path:
    return draw_clips(tmp_path_factory.mktemp('drawn') / 'clips', clips=2, frames=4, size=64)


def measure(chosen: list[Recipe], budget: Budget | None = None) -> list[Row]:
    group = Group(TINY, 8, forward_flops(TINY) * 8**2)
    return SpeedTest(CPU, CEILINGS, rounds=2, seconds=0.02).measure(group, chosen, budget or Budget(9999))


def test_rates_shares_and_ratios_follow_from_samples_a_second():
    row = Row('tiny', 8, 'some', batch=4)
    row.fill(samples_s=20, flops=2e9, ceiling=400, plain=8)
    assert (row.step_ms, row.times_plain) == (200, 2.5)
    assert row.tflops == pytest.approx(0.12)  # 20 samples of three times 2 GFLOP
    assert row.ceiling_share == pytest.approx(0.3)  # of 0.4 TFLOP/s


def test_flops_are_those_of_the_network():
    net = TINY.build()
    assert forward_flops(TINY) * 160**2 == pytest.approx(2 * count_macs(net, net.input_spec))


def test_recipes_that_fail_are_rows_with_their_reason_and_the_others_go_on():
    rows = measure([plain_recipe(CPU),
                    Recipe('not yet', train={'warp_speed': True}),
                    Recipe('wrong', network={'dcn': 'nonsense'}),
                    Recipe('other', network={'num_flux': 3}),
                    fast_recipe(CPU, 2, compiled=False)])
    plain, unknown, wrong, other, fast = rows
    assert unknown.reason == 'there is no option train.warp_speed'
    assert 'nonsense' in wrong.reason
    assert other.reason == 'there is no option network_g.num_flux of MSDTGP'
    assert {row.samples_s for row in (unknown, wrong, other)} == {None}
    assert (plain.times_plain, plain.rounds, fast.rounds) == (1, 2, 2)
    assert fast.times_plain == pytest.approx(fast.samples_s / plain.samples_s)
    assert fast.ceiling_share == pytest.approx(1000 * fast.tflops / 100)  # the better one in bfloat16
    assert plain.ceiling_share == pytest.approx(1000 * plain.tflops / 80)


def test_a_step_that_fails_late_gives_its_reason(monkeypatch):
    step = Trainer.step

    def fail_late(self: Trainer) -> None:
        if self.model.amp_dtype and self.iteration > 3:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')
        step(self)

    monkeypatch.setattr(Trainer, 'step', fail_late)
    plain, fast = measure([plain_recipe(CPU), fast_recipe(CPU, 1, compiled=False)])
    assert (fast.reason, fast.samples_s, fast.peak_gib) == ('out of memory', None, None)
    assert plain.samples_s > 0


def test_all_steps_of_a_gpus_ladder_train():
    """On a CPU, which knows them all but for Triton."""
    ladder = [recipe for recipe in recipes(GPU, [1, 2], with_compile=False) if 'triton' not in recipe.name]
    assert len({recipe.name for recipe in ladder}) == len(ladder) - 1  # the fast one in two sizes
    assert ladder[0].name == PLAIN and {recipe.kind for recipe in ladder} == {'float32', 'tf32', 'bfloat16', 'float16'}
    rows = measure(ladder)
    assert [row.reason for row in rows] == [None] * len(ladder)
    assert rows[-1].recipe.endswith('checkpointing') and rows[-1].batch == 2


def test_compilation_comes_after_the_fast_recipe_or_last():
    """It takes longest, and what comes last may fall victim to the budget."""
    ladder = recipes(GPU, [1, 32], with_compile=True)
    first, second = (number for number, recipe in enumerate(ladder) if recipe.compiled)
    assert ladder[first - 1] == fast_recipe(GPU, 1, compiled=False) and second == len(ladder) - 1
    assert (ladder[first].batch, ladder[second].batch) == (16, 1)
    assert [recipe.batch for recipe in recipes(CPU, [1], with_compile=True) if recipe.compiled] == [1]


def test_what_there_is_no_time_for_is_named():
    budget = Budget(0.5)
    assert measure([plain_recipe(CPU)], budget) == []
    assert len(budget.skipped) == 1 and 'tiny, 8x8, plain float32, batch 1' in budget.skipped[0]


def test_switches_of_torch_are_put_back():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark
    with as_in_training(tf32=not before[0]):
        assert torch.backends.cudnn.allow_tf32 is not before[0] and torch.backends.cudnn.benchmark
    assert before == (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32,
                      torch.backends.cudnn.benchmark)


# -------------------------------------------------------------------------------------------- the largest batch
@pytest.mark.parametrize('start', [1, 16])
@pytest.mark.parametrize('limit', [0, 1, 2, 15, 16, 17, 100, 1000])
def test_search_finds_the_limit(limit, start):
    tried: list[int] = []

    def fits(number: int) -> bool:
        tried.append(number)
        return number <= limit

    assert largest_that_fits(fits, start) == (limit, limit + 1)
    assert len(tried) == len(set(tried)) <= 20


def test_search_may_be_coarse_or_stopped_and_knows_its_end():
    low, high = largest_that_fits(lambda number: number <= 1000, precision=1 / 16)
    assert low <= 1000 < high <= low * 17 / 16
    assert largest_that_fits(lambda number: True, most=50) == (50, None)
    turns = iter([True, True, True, False])
    assert largest_that_fits(lambda number: number <= 1000, may_go_on=lambda: next(turns)) == (4, None)


def test_search_trains_until_memory_is_short(monkeypatch):
    step = Trainer.timed_step

    def limited(self: Trainer) -> float:
        if len(self.batch['lq']) > 5:
            raise torch.OutOfMemoryError('CUDA out of memory')
        return step(self)

    monkeypatch.setattr(Trainer, 'timed_step', limited)
    found = search_on_gpu(TINY, plain_recipe(CPU), 8, CPU, Budget(9999))
    assert (found.batch, found.too_large, found.estimated, found.reason) == (5, 6, False, 'out of memory')
    assert search_on_gpu(TINY, Recipe('wrong', network={'dcn': 'no'}), 8, CPU, Budget(9999)).batch is None


def test_a_cpus_limit_is_worked_out():
    assert estimate({1: 300, 4: 600}, memory=1000) == 8  # 200 and 100 a sample
    assert estimate({1: 300, 4: 600}, memory=250) == 0


def test_a_cpus_limit_is_that_of_the_memory_taken(monkeypatch):
    def take(trainer, batch, before_last) -> None:
        before_last()
        torch.ones(batch * 2**25, dtype=torch.uint8)  # 32 MiB a sample

    monkeypatch.setattr(largest_batch, '_train_briefly', take)
    found = estimate_on_cpu(TINY, plain_recipe(CPU), 8, memory=2**30)
    assert found.estimated and abs(found.batch - 32) <= 2


# ------------------------------------------------------------------------------------------------ data and curves
class SlowSamples(Dataset):
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> dict[str, int]:
        time.sleep(0.03)
        return {'index': index}


def test_share_of_waiting_is_that_of_a_slow_data_set():
    batches = iter(DataLoader(SlowSamples()))
    share, rate = waiting_share(lambda: next(batches), lambda _: time.sleep(0.01), lambda: None, 0.6, warm_up=1)
    assert share == pytest.approx(0.75, abs=0.12)
    assert 10 < rate < 25.5  # 40 ms a step


def test_a_feed_gives_the_same_batches_anew_and_over_the_ends_of_epochs(clips):
    model = Trainer(TINY.options, plain_recipe(CPU), 8, CPU).model
    feeds = [Feed(clips, model, 8, batch=2, workers=workers, samples=4) for workers in (0, 1)]
    first, second = ([feed() for _ in range(6)] for feed in feeds)  # an epoch has four batches
    assert [batch['lq'].shape for batch in first] == [(2, 3, 3, 8, 8)] * 6
    assert [batch['gt'].shape for batch in first] == [(2, 3, 32, 32)] * 6
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one['lq'], other['lq']) and torch.equal(one['gt'], other['gt'])
    assert not torch.equal(first[0]['lq'], first[4]['lq'])


def test_equal_recipes_have_equal_curves_and_others_do_not(clips, tmp_path):
    plain = plain_recipe(CPU, batch=2)
    slow = replace(plain, name='slow', train={'optim_g': {'type': 'Adam', 'lr': 1e-5}})
    same = measure_curves(TINY, (plain, replace(plain, name='again')), 8, 20, clips, CPU)
    other = measure_curves(TINY, (plain, slow), 8, 20, clips, CPU)
    assert same.difference == 0 and same.losses['again'] == other.losses[plain.name]
    assert other.difference > 0.001
    write_plot(other, tmp_path / 'curve.png')
    assert read_image(tmp_path / 'curve.png').std() > 10


def test_difference_is_of_smoothed_curves_in_the_second_half():
    first = [1.0] * 20 + [2.0] * 20  # smoothed over two steps
    second = [9.0] * 20 + [2.2, 2.2] * 10
    # the first one of the second half is the mean of two: 1.5 beside 5.6
    expected = (4.1 / 1.5 + 19 * 0.1) / 20
    assert Curves('tiny', 8, 2, {'a': first, 'b': second}).difference == pytest.approx(expected)
    np.testing.assert_allclose(smooth([1.0, 3.0, 5.0] + [5.0] * 37)[:4], [1, 2, 4, 5])


def test_a_curve_of_a_recipe_that_does_not_exist_is_refused(clips):
    with pytest.raises(TrainingError, match=r'future: there is no option train\.warp_speed'):
        measure_curves(TINY, (Recipe('future', train={'warp_speed': 1}), plain_recipe(CPU)), 8, 10, clips, CPU)


# ------------------------------------------------------------------------------------------------------ the script
@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location('benchmark_training', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_measures_and_writes_the_same_figures_twice(script, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('satvsr_plugin.benchmarks.training_plan.measure_ceilings', lambda device, seconds: CEILINGS)
    script.main(['--device', 'cpu', '--networks', 'small', '--patches', '8', '4', '--batches', '1', '2', '--rounds',
                 '1', '--seconds', '0.01', '--budget', '9999', '--workers', '0', '--largest-batch', '--memory', '1',
                 '--work', str(tmp_path), '--json', str(tmp_path / 'a.json'), '--markdown', str(tmp_path / 'a.md')])
    printed = capsys.readouterr().out
    assert printed == (tmp_path / 'a.md').read_text()
    found = json.loads((tmp_path / 'a.json').read_text())
    assert torch.__version__.startswith(found['machine']['torch']) and found['not_measured'] == []
    assert [(row['patch'], row['batch']) for row in found['speed'] if row['recipe'] == PLAIN] == [(8, 1), (4, 1)]
    for row in found['speed']:
        assert row['reason'] is None
        assert row['step_ms'] == pytest.approx(1000 * row['batch'] / row['samples_s'])
        assert f'{row["samples_s"]:,.4g} | {row["times_plain"]:.2f}' in printed
    assert [one['estimated'] for one in found['largest_batch']] == [True] * 6
    assert [one['workers'] for one in found['waiting']] == [0] and 0 <= found['waiting'][0]['share'] <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.json', 'a.md']  # the clips are gone


@pytest.mark.gpu
def test_script_measures_on_a_gpu(script, tmp_path):
    script.main(['--device', 'cuda', '--networks', 'small', '--patches', '16', '--batches', '1', '4', '--rounds', '1',
                 '--seconds', '0.05', '--workers', '0', '2', '--budget', '200', '--json', str(tmp_path / 'a.json')])
    found = json.loads((tmp_path / 'a.json').read_text())
    rows = {row['recipe']: row for row in found['speed']}
    assert [row['reason'] for name, row in rows.items() if 'dcn: ' not in name] == [None] * (len(rows) - 3)
    assert all(0 < row['host_share'] <= 1 and row['peak_gib'] > 0 for row in rows.values() if row['reason'] is None)
    assert found['largest_batch'][0]['batch'] > 4
    assert [one['reason'] for one in found['waiting']] == [None, None]


def test_script_compares_curves(script, tmp_path, capsys):
    script.main(['--device', 'cpu', '--networks', 'small', '--curve', '10', '--patches', '8', '--batches', '2',
                 '--plot', str(tmp_path / 'curve.png'), '--json', str(tmp_path / 'a.json')])
    curve = json.loads((tmp_path / 'a.json').read_text())['curve']
    assert [len(losses) for losses in curve['losses'].values()] == [10, 10]
    assert f'second half: {curve["difference"]:.2%}' in capsys.readouterr().out
    assert (tmp_path / 'curve.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('arguments, message', [
    (['--networks', 'MSDTPG'], '--networks MSDTPG'),
    (['--budget', '0'], '--budget 0'),
    (['--workers', '-1'], '--workers'),
    (['--curve', '2'], '--curve 2'),
])
def test_script_refuses(script, arguments, message):
    with pytest.raises(OptionError, match=message):
        script.main(arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_script_misses_a_gpu(script):
    with pytest.raises(OptionError, match='--device cuda'):
        script.main(['--device', 'cuda'])
