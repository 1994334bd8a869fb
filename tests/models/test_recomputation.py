"""Activation checkpointing: the same gradients to the last bit, out of less than half the memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from models.model_options import NETWORK, make_opt
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from satvsr_plugin.archs import MSDTGP, RBPN, SOFVSR, TDAN
from satvsr_plugin.errors import OptionError
from satvsr_plugin.models import SatVSRModel
from satvsr_plugin.models.recomputation import recompute_blocks

NETWORKS = {
    'MSDTGP': (lambda: MSDTGP(num_feat=16, num_base_feat=32, num_extract_block=3, num_reconstruct_block=5,
                              init='gentle'), 5, 2.4),
    'RBPN': (lambda: RBPN(num_feat=16, num_base_feat=32, num_frame=3, flow='zero'), 3, 3),
    'SOFVSR': (lambda: SOFVSR(num_frame=3), 3, 1.7),
    'TDAN': (lambda: TDAN(init='zero_offset'), 5, 1.2),  # most of it are its offsets, which are no residual blocks
}


def forward_and_backward(net: nn.Module, x: torch.Tensor) -> tuple[int, list[torch.Tensor]]:
    """Bytes that are kept from the forward pass to the backward pass, besides the weights; and the gradients."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    kept: dict[int, torch.Tensor] = {}  # tensors, so that no memory is given away and counted once for two

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    net.zero_grad()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        out = net(x)
    size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    out.square().sum().backward()
    return size, [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


@pytest.mark.parametrize('name', NETWORKS)
def test_gradients_are_the_same_out_of_less_memory(name: str) -> None:
    make, num_frame, times = NETWORKS[name]
    torch.manual_seed(0)
    net = make()
    x = torch.rand(1, num_frame, 3, 16, 16)
    before, expected = forward_and_backward(net, x)
    names = list(net.state_dict())
    recompute_blocks(net)
    after, gradients = forward_and_backward(net, x)
    assert before > times * after
    assert all(map(torch.equal, gradients, expected)) and len(gradients) == len(expected)
    assert list(net.state_dict()) == names


@pytest.mark.parametrize('amp', ['none', 'bf16'])
def test_training_is_the_same_to_the_last_bit(tmp_path: Path, amp: str) -> None:
    """Also in mixed precision, in which the second run of a block has to compute as the first one did."""
    weights = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = SatVSRModel(make_opt(tmp_path, checkpointing=checkpointing, amp=amp, ema_decay=0.9))
        for iteration in range(1, 5):
            generator = torch.Generator().manual_seed(iteration)
            model.feed_data({'lq': torch.rand(2, 3, 3, 6, 6, generator=generator),
                             'gt': torch.rand(2, 3, 12, 12, generator=generator)})
            model.optimize_parameters(iteration)
        weights.append([*model.net_g.parameters(), *model.net_g_ema.parameters()])
    assert all(map(torch.equal, *weights))


def test_a_network_without_such_blocks_is_refused(tmp_path: Path) -> None:
    opt = make_opt(tmp_path, checkpointing=True)
    opt['network_g'] = {'type': 'DUF', 'scale': 2, 'num_layer': 16, 'adapt_official_weights': False}
    with pytest.raises(OptionError, match=r'train\.checkpointing: DUF has no blocks that could be computed again'):
        SatVSRModel(opt)


def test_copies_of_the_network_on_several_gpus_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would all compute with the blocks, or the compiled code, of the first one."""
    monkeypatch.setattr(SatVSRModel, 'model_to_device', lambda self, net: nn.DataParallel(net))
    for option in ('checkpointing', 'compile'):
        with pytest.raises(OptionError, match='several GPUs need a process each; start with torchrun'):
            SatVSRModel(make_opt(tmp_path, **{option: True}) | {'network_g': dict(NETWORK)})
