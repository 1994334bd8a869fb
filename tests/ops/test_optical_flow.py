"""Flow estimators: known motion, tiny frames, the real clip, and SPyNet against the toolbox."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from basicsr.archs.arch_util import flow_warp
from basicsr.archs.spynet_arch import SpyNet

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.errors import WeightsError
from satvsr_plugin.ops.optical_flow import ESTIMATORS, SpyNetFlow, dis_flow, farneback_flow, zero_flow

MOTIONS = [(0.7, -0.4), (-0.3, 0.2), (0.05, 0.6)]


def moved_scene(height: int, width: int, u: float, v: float, bands: int = 3) -> torch.Tensor:
    """(bands, h, w) texture in [0, 1] that moved right by u and down by v pixels: exact, since it is a sum of waves."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:height, :width].astype(float)
    waves = rng.uniform((-0.9, -0.9, 0), (0.9, 0.9, 6.28), (40, 3))
    grey = sum(np.cos(kx * (x - u) + ky * (y - v) + phase) for kx, ky, phase in waves)
    return torch.from_numpy((0.5 + grey / 30).clip(0, 1)).float().expand(bands, -1, -1)


def window(height: int, width: int, motions: list[tuple[float, float]], bands: int = 3) -> tuple[torch.Tensor, ...]:
    """The scene as it stands, (1, bands, h, w), and as it moved, (1, n, bands, h, w)."""
    return (moved_scene(height, width, 0, 0, bands)[None],
            torch.stack([moved_scene(height, width, *motion, bands) for motion in motions])[None])


def error(flows: torch.Tensor, motions: list[tuple[float, float]]) -> float:
    """The largest error in pixels of the mean over the inner part of each flow."""
    h, w = flows.shape[-2:]
    inner = flows[0, :, :, h // 4:h - h // 4, w // 4:w - w // 4].mean((2, 3))
    return (inner - torch.tensor(motions)).abs().max().item()


@pytest.mark.parametrize('estimate', [dis_flow, farneback_flow])
@pytest.mark.parametrize('bands', [1, 3, 4])
def test_known_motion_in_pixels_with_its_sign_and_order(estimate, bands):
    flows = estimate(*window(48, 64, MOTIONS, bands))
    assert flows.shape == (1, 3, 2, 48, 64)
    assert error(flows, MOTIONS) < 0.1


@pytest.mark.parametrize('estimate', [dis_flow, farneback_flow])
def test_dark_frames_keep_their_motion(estimate):
    centre, neighbours = (frames * 4095 / 65535 for frames in window(48, 64, MOTIONS))  # 12 bit in 16
    assert error(estimate(centre, neighbours), MOTIONS) < 0.1


@pytest.mark.parametrize('size', [(31, 31), (16, 16), (12, 31), (12, 12)])
@pytest.mark.parametrize('estimate', [dis_flow, farneback_flow])
def test_small_training_patches(estimate, size):
    assert error(estimate(*window(*size, MOTIONS)), MOTIONS) < 0.15


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (5, 3), (8, 8), (8, 100), (11, 13), (24, 100), (100, 20), (31, 900)])
@pytest.mark.parametrize('estimate', [dis_flow, farneback_flow])
def test_sizes_at_which_opencv_fails_or_crashes(estimate, size):
    flows = estimate(*window(*size, MOTIONS))
    assert flows.shape[-2:] == size and flows.isfinite().all()
    if min(size) >= 11:  # with less to see the motion is a guess
        assert error(flows, MOTIONS) < 0.35


def test_samples_and_neighbours_do_not_mix():
    centre, neighbours = window(32, 32, MOTIONS)
    reordered = dis_flow(centre.expand(2, -1, -1, -1), torch.cat([neighbours, neighbours.flip(1)]))
    assert torch.equal(reordered[1], reordered[0].flip(0))
    assert torch.equal(reordered[:1], dis_flow(centre, neighbours))


@pytest.mark.parametrize('estimate', ESTIMATORS.values())
@pytest.mark.parametrize('dtype', [torch.float64, torch.float16])
def test_type_and_gradient(estimate, dtype):
    centre, neighbours = (frames.to(dtype).requires_grad_() for frames in window(16, 16, MOTIONS))
    flows = estimate(centre, neighbours)
    assert flows.dtype == dtype and not flows.requires_grad


def test_a_frame_does_not_move_against_itself():
    centre = torch.rand(1, 3, 40, 40)
    for estimate in ESTIMATORS.values():
        assert not estimate(centre, centre.unsqueeze(1)).any()
    assert not zero_flow(centre, torch.rand(1, 4, 3, 40, 40)).any()


def test_opencv_operator_is_well_formed():
    centre, neighbours = window(16, 20, MOTIONS)
    torch.library.opcheck(torch.ops.satvsr.opencv_flow.default, (centre, neighbours, 'dis'))


# Photometric error (grey levels of 255) and mean length of the flow (pixels), measured independently of this code.
@pytest.mark.parametrize(('name', 'difference', 'length'), [
    ('zero', 1.240, 0.0), ('dis', 1.254, 0.020), ('farneback', 1.279, 0.030)])
def test_real_clip(shared_dir: Path, name, difference, length):
    clips = ClipFolder(shared_dir / 'data' / 'jilin1_clip' / 'LR4x')
    frames = torch.from_numpy(np.stack([clips.read('000', frame) for frame in clips.clips['000']]))
    frames = frames.permute(0, 3, 1, 2).float() / 255
    centre, neighbours = frames[3], frames[[0, 1, 2, 4, 5, 6]]
    flows = ESTIMATORS[name](centre[None], neighbours[None])[0]
    warped = flow_warp(neighbours, flows.permute(0, 2, 3, 1), padding_mode='border')
    assert 255 * (warped - centre).abs().mean().item() == pytest.approx(difference, abs=0.01)
    assert flows.norm(dim=1).mean().item() == pytest.approx(length, abs=0.003)


# --- SPyNet


def constant_spynet(path: Path, u: float, v: float) -> Path:
    """A checkpoint, as published ones are, of a SPyNet that says (u, v) everywhere on its finest level."""
    net = SpyNet()
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    net.basic_module[5].basic_module[8].bias.data.copy_(torch.tensor([u, v]))
    torch.save({'params': {key: value for key, value in net.state_dict().items() if key not in ('mean', 'std')}}, path)
    return path


@pytest.mark.parametrize(('size', 'inside'), [
    ((64, 64), (64, 64)), ((96, 40), (96, 64)), ((32, 64), (64, 64)), ((20, 7), (64, 64))])
def test_spynet_takes_any_size_in_pixels_of_the_frames(tmp_path: Path, size, inside):
    estimate = SpyNetFlow(constant_spynet(tmp_path / 'spynet.pth', u=1.5, v=-0.5))
    flows = estimate(*window(*size, MOTIONS))
    assert flows.shape == (1, 3, 2, *size)
    expected = torch.tensor([1.5 * size[1] / inside[1], -0.5 * size[0] / inside[0]])  # it works at another size
    torch.testing.assert_close(flows, expected[:, None, None].expand_as(flows))


def test_spynet_equals_the_toolboxs(tmp_path: Path):
    torch.manual_seed(0)
    theirs = SpyNet()
    torch.save(theirs.state_dict(), tmp_path / 'spynet.pth')
    ours = SpyNetFlow(tmp_path / 'spynet.pth')
    centre, neighbours = window(40, 70, MOTIONS)
    with torch.no_grad():
        expected = torch.stack([theirs(centre, neighbour) for neighbour in neighbours.unbind(1)], 1)
    torch.testing.assert_close(ours(centre, neighbours), expected)
    grey = ours(centre[:, :1], neighbours[:, :, :1])  # the scene's bands are equal
    torch.testing.assert_close(grey, expected)
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_spynet_without_weights_is_refused(tmp_path: Path):
    net = SpyNetFlow()
    with pytest.raises(WeightsError, match='spynet_path'):
        net(*window(33, 33, MOTIONS))
    net.load_state_dict({'mean': net.mean}, strict=False)
    with pytest.raises(WeightsError, match='spynet_path'):
        net(*window(33, 33, MOTIONS))
    net.load_state_dict(SpyNetFlow(constant_spynet(tmp_path / 'spynet.pth', 1, 0)).state_dict())
    assert net(*window(64, 64, MOTIONS))[0, 0, 0, 0, 0] == 1
    torch.save({'params': {'conv.weight': torch.zeros(1)}}, tmp_path / 'other.pth')
    with pytest.raises(WeightsError, match='other.pth.*SpyNetFlow'):
        SpyNetFlow(tmp_path / 'other.pth')
