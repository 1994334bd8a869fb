"""Networks that see whole clips, and networks with losses of their own, trained and tested by the model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models.model_options import make_opt
from torch import Tensor

from satvsr_plugin.data import Jilin189TestDataset
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.errors import OptionError
from satvsr_plugin.metrics import satvsr_psnr
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.models.pictures import to_hwc, to_integers
from satvsr_plugin.test_record import read_record

BASICVSR = {'type': 'BasicVSR', 'num_feat': 8, 'num_block': 1}
LENGTHS = {'a': 9, 'b': 4}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips of noise that moves to the right."""
    rng = np.random.default_rng(0)
    for clip, length in LENGTHS.items():
        scene = np.kron(rng.integers(0, 256, (12, 30, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
        for frame in range(length):
            gt = scene[:, 2 * frame:2 * frame + 64]
            write_image(tmp_path / f'data/GT/{clip}/{frame:03d}.png', gt)
            write_image(tmp_path / f'data/LR4x/{clip}/{frame:03d}.png', downsample(gt, 4))
    return tmp_path / 'data'


def open_clips(root: Path, **options) -> Jilin189TestDataset:
    return Jilin189TestDataset(dict(name='clips', type='Jilin189TestDataset', scale=4, dataroot=str(root), num_frame=1,
                                    num_worker_per_gpu=0, **options))


def make_model(folder: Path, network: dict, is_train: bool = False, val: dict | None = None, **train) -> SatVSRModel:
    torch.manual_seed(0)
    model = SatVSRModel(make_opt(folder, is_train, val, **train) | {'network_g': network, 'scale': 4})
    if network['type'] == 'BasicVSR':  # as initialised nearly nothing reaches the result from other frames
        with torch.no_grad():
            for name, parameter in model.net_g.named_parameters():
                parameter.mul_(1 if 'spynet' in name else 1.5)
    return model


def validate(model: SatVSRModel, dataset: Jilin189TestDataset) -> None:
    model.validation(SimpleNamespace(dataset=dataset), 'tiny', None, save_img=True)


def watch_lengths(model: SatVSRModel) -> list[int]:
    """The number of frames of every input of the network."""
    lengths: list[int] = []
    model.net_g.register_forward_pre_hook(lambda _net, inputs: lengths.append(inputs[0].shape[1]))
    return lengths


def whole_clip(model: SatVSRModel, dataset: Jilin189TestDataset, clip: str) -> Tensor:
    """The result for all frames at once, (t, c, h, w)."""
    lq = torch.stack([dataset[i]['lq'][0] for i, (name, _) in enumerate(dataset.frames) if name == clip])
    with torch.no_grad():
        return model.net_g.eval()(lq[None])[0]


def test_whole_clips_go_through_the_network(clips, tmp_path):
    model, dataset = make_model(tmp_path, BASICVSR, val={'fast': 'none'}), open_clips(clips)
    lengths = watch_lengths(model)
    validate(model, dataset)
    assert lengths == [9, 4]
    record = read_record(tmp_path / 'test_clips.json')
    for clip, length in LENGTHS.items():
        expected = whole_clip(model, dataset, clip)
        for frame in range(length):
            picture = read_image(record.picture(tmp_path, clip, f'{frame:03d}'))
            assert np.array_equal(picture, to_integers(to_hwc(expected[frame]), 8))
            gt = read_image(clips / f'GT/{clip}/{frame:03d}.png')
            psnr = satvsr_psnr(to_hwc(expected[frame]), gt, color='rgb')
            assert record.clips[clip].scores['psnr'][frame] == pytest.approx(psnr, abs=1e-3)


def test_segments_stay_within_their_length_and_close_to_the_whole(clips, tmp_path):
    """No more frames at once than allowed, and every shared frame brings the results nearer to those of whole clips."""
    dataset = open_clips(clips)
    whole = whole_clip(make_model(tmp_path, BASICVSR), dataset, 'a')
    differences = []
    for overlap in (0, 1, 3):
        folder = tmp_path / str(overlap)
        model = make_model(folder, BASICVSR, val={'segment_length': 2 * overlap + 2, 'segment_overlap': overlap})
        lengths = watch_lengths(model)
        validate(model, dataset)
        assert max(lengths) <= 2 * overlap + 2
        record = read_record(folder / 'test_clips.json')
        pictures = [read_image(record.picture(folder, 'a', f'{i:03d}')).astype(int) for i in range(9)]
        expected = [to_integers(to_hwc(frame), 8).astype(int) for frame in whole]
        differences.append(max(np.abs(a - b).max() for a, b in zip(pictures, expected, strict=True)))
    assert differences[0] > 2 * differences[1] > 4 * differences[2]
    assert differences[2] <= 4  # of 255; the network of this test forgets slowly


def test_segments_are_halved_where_memory_runs_out(clips, tmp_path):
    dataset = open_clips(clips)
    model = make_model(tmp_path, BASICVSR, val={'segment_overlap': 1})
    lengths: list[int] = []

    def refuse_more_than_five(_net, inputs) -> None:
        lengths.append(inputs[0].shape[1])
        if lengths[-1] > 5:
            raise torch.OutOfMemoryError('CUDA out of memory')

    model.net_g.register_forward_pre_hook(refuse_more_than_five)
    validate(model, dataset)
    assert lengths == [9, 5, 6, 4, 4, 4]  # of clip a 0-4 (and 5), 4-9 refused, so 4-6 and 6-9; of clip b all
    assert read_record(tmp_path / 'test_clips.json').clips['a'].frames == [f'{i:03d}' for i in range(9)]


def test_other_errors_of_the_network_are_not_taken_for_a_lack_of_memory(clips, tmp_path):
    model = make_model(tmp_path, BASICVSR)
    model.net_g.register_forward_pre_hook(lambda _net, _inputs: torch.rand(2) @ torch.rand(3))
    with pytest.raises(RuntimeError, match='size'):
        validate(model, open_clips(clips))


def test_a_list_of_frames_chooses_what_is_scored_not_what_is_seen(clips, tmp_path):
    (tmp_path / 'list.txt').write_text('a/003.png\na/004.png\n')
    model = make_model(tmp_path, BASICVSR)
    lengths = watch_lengths(model)
    validate(model, open_clips(clips, meta_info_file=str(tmp_path / 'list.txt')))
    record = read_record(tmp_path / 'test_clips.json')
    assert lengths == [9] and list(record.clips) == ['a'] and record.clips['a'].frames == ['003', '004']
    expected = whole_clip(model, open_clips(clips), 'a')[3]
    assert np.array_equal(read_image(record.picture(tmp_path, 'a', '003')), to_integers(to_hwc(expected), 8))


def test_a_data_set_without_whole_clips_is_refused(tmp_path):
    dataset = SimpleNamespace(opt={'name': 'x'}, data_info={'folder': ['a'], 'gt_path': []})
    with pytest.raises(OptionError, match='cannot give the whole clips that BasicVSR sees'):
        validate(make_model(tmp_path, BASICVSR), dataset)


def test_segments_must_keep_frames_of_their_own(tmp_path):
    with pytest.raises(ValueError, match='segment_length 6 is not more than twice segment_overlap 3'):
        make_model(tmp_path, BASICVSR, val={'segment_length': 6, 'segment_overlap': 3})


# ------------------------------------------------------------------------------------------------------ training
def batch(frames: int, all_gt: bool) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    gt = torch.rand(2, frames, 3, 32, 32, generator=g)
    lq = torch.nn.functional.avg_pool2d(gt.flatten(0, 1), 4).unflatten(0, (2, frames))
    return {'lq': lq, 'gt': gt if all_gt else gt[:, frames // 2]}


def step(model: SatVSRModel, data: dict[str, Tensor], iteration: int = 1) -> dict[str, float]:
    model.feed_data(data)
    model.optimize_parameters(iteration)
    return model.get_current_log()


def test_all_frames_of_a_clip_are_compared(tmp_path):
    model, data = make_model(tmp_path, BASICVSR, is_train=True), batch(3, all_gt=True)
    expected = (model.net_g(data['lq']) - data['gt']).abs().mean().item()
    assert step(model, data)['l_pix'] == pytest.approx(expected, rel=1e-5)


def test_tdan_learns_from_its_aligned_frames(tmp_path):
    network = {'type': 'TDAN', 'num_feat': 8, 'num_frame': 3, 'num_extract_block': 1, 'num_reconstruct_block': 1,
               'deformable_groups': 2, 'init': 'zero_offset'}
    data = batch(3, all_gt=False)
    model = make_model(tmp_path, network, is_train=True, aux_opt={'type': 'AlignmentLoss', 'loss_weight': 0.5})
    _, extras = model.net_g(data['lq'], with_extras=True)
    expected = 0.5 * (extras['aligned'] - data['lq'][:, 1, None]).square().mean().item()
    assert step(model, data)['l_aux'] == pytest.approx(expected, rel=1e-5)
    assert model.net_g.recon_lr.weight.grad.abs().max() > 0


def test_sofvsr_learns_from_neighbouring_gt_and_is_compared_at_the_centre(tmp_path):
    network = {'type': 'SOFVSR', 'num_feat': 8, 'num_flow_block': 1, 'num_reconstruct_block': 1}
    data = batch(3, all_gt=True)
    model = make_model(tmp_path, network, is_train=True, aux_opt={'type': 'FlowLoss'})
    expected = (model.net_g(data['lq']) - data['gt'][:, 1]).abs().mean().item()
    log = step(model, data)
    assert log['l_pix'] == pytest.approx(expected, rel=1e-5) and log['l_aux'] > 0


def test_flow_learns_slowly_and_not_at_all_at_first(tmp_path):
    model = make_model(tmp_path, BASICVSR, is_train=True, flow_lr_mul=0.125, fix_flow=2)
    assert model.get_current_learning_rate() == pytest.approx([1e-3, 1.25e-4])
    flow, other = model.net_g.spynet.basic_module[5].basic_module[8].bias, model.net_g.conv_last.bias
    before = flow.clone(), other.clone()
    for iteration in (1, 2):
        step(model, batch(2, all_gt=True), iteration)
    assert torch.equal(flow, before[0]) and not torch.equal(other, before[1])
    step(model, batch(2, all_gt=True), 3)
    assert not torch.equal(flow, before[0])


def test_only_edvrs_fusion_learns_at_first(tmp_path):
    network = {'type': 'EDVR', 'num_feat': 8, 'num_frame': 3, 'deformable_groups': 2, 'num_extract_block': 1,
               'num_reconstruct_block': 1}
    model = make_model(tmp_path, network, is_train=True, tsa_iter=1)
    before = {name: parameter.clone() for name, parameter in model.net_g.named_parameters()}
    step(model, batch(3, all_gt=False))
    changed = {name for name, parameter in model.net_g.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed and all(name.startswith('fusion.') for name in changed)
    step(model, batch(3, all_gt=False), 2)
    assert not torch.equal(model.net_g.conv_first.weight, before['conv_first.weight'])


def test_averaged_weights_have_the_statistics_of_batch_normalisation(tmp_path):
    model = make_model(tmp_path, {'type': 'DUF', 'num_layer': 16}, is_train=True, ema_decay=0.9)
    step(model, batch(7, all_gt=False))
    statistics = dict(model.net_g.named_buffers())
    assert statistics['bn3d2.running_mean'].abs().max() > 0
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in model.net_g_ema.named_buffers())
