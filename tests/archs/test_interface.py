"""What networks are given: sizes and numbers of frames that they can take, and nothing of it in the result."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from satvsr_plugin.archs.interface import InputSpec, run_network


class Nearest(nn.Module):
    """Enlarges every frame that it gets to double size, and keeps what it got."""

    def forward(self, x: Tensor) -> Tensor:
        self.got = x
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Centre(Nearest):
    def forward(self, x: Tensor, with_extras: bool = False) -> Tensor | tuple[Tensor, dict]:
        out = super().forward(x)[:, x.shape[1] // 2]
        return (out, {'frames': x.shape[1]}) if with_extras else out


@pytest.mark.parametrize('size, expected', [(1, 64), (64, 64), (65, 68), (160, 160)])
def test_size_that_a_network_can_take(size, expected):
    assert InputSpec(4, multiple=4, smallest=64).fit(size) == expected
    assert InputSpec(4).fit(size) == size


def test_window_is_mirrored_to_the_multiple_and_the_result_cut():
    net, x = Centre(), torch.rand(2, 3, 1, 5, 8)
    out = run_network(net, InputSpec(2, num_frame=3, multiple=4), x)
    assert torch.equal(out, x[:, 1].repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert net.got.shape == (2, 3, 1, 8, 8) and net.got.is_contiguous()
    assert torch.equal(net.got[..., 5:, :], x[..., [4, 3, 2], :])


def test_short_clip_is_mirrored_in_time_and_cut():
    net, x = Nearest(), torch.rand(1, 2, 1, 3, 3)
    out = run_network(net, InputSpec(2, sees='clip', num_frame=5), x)
    assert out.shape == (1, 2, 1, 6, 6)
    assert torch.equal(net.got, x[:, [0, 1, 1, 0, 0]])


def test_frames_beyond_one_mirror_image_come_from_the_next():
    net, x = Nearest(), torch.rand(1, 1, 1, 2, 3)
    run_network(net, InputSpec(2, sees='clip', smallest=7), x)
    assert torch.equal(net.got[..., 0], x[..., [0, 1, 1, 0, 0, 1, 1], 0])


def test_network_for_still_images_gets_the_centre_frame():
    net, x = Nearest(), torch.rand(2, 5, 3, 4, 4)
    out = run_network(net, InputSpec(2, sees='frame'), x)
    assert torch.equal(net.got, x[:, 2]) and out.shape == (2, 3, 8, 8)


def test_extras_pass_through():
    out, extras = run_network(Centre(), InputSpec(2, multiple=4), torch.rand(1, 3, 1, 5, 5), with_extras=True)
    assert out.shape == (1, 1, 10, 10) and extras == {'frames': 3}
