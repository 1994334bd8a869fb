"""A watch on the offsets of deformable convolutions, which run away when training diverges."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv
from satvsr_plugin.ops.plain_deform_conv import DeformConv

OFFSET_LIMIT = 50.0  # pixels; the toolbox's DCN warns at the same mean


class OffsetWatch:
    """Warns when a layer's mean absolute offset passes ``OFFSET_LIMIT`` pixels.

    It looks only while ``active``: the model switches it on for one iteration in many, since reading a value from a
    GPU stalls it, which also keeps the log readable. In a compiled network it always looks, for next to nothing: a
    graph that sometimes does would be two. (The toolbox's layers watch themselves, or bound their offsets, as
    BasicVSR++ does.)
    """

    def __init__(self, net: nn.Module) -> None:
        self.active = False
        self._means: dict[str, Tensor] = {}
        for name, module in net.named_modules():
            if isinstance(module, GuidedDeformConv):
                module.conv_offset_mask.register_forward_hook(partial(self._look_at_output, name, module.num_offset_ch))
            elif isinstance(module, DeformConv):
                module.register_forward_pre_hook(partial(self._look_at_input, name))
            else:
                continue
            self._means[name] = torch.zeros(())  # a compiled network would be compiled again for another set of names

    def _look_at_output(self, name: str, num_offset_ch: int, _module: nn.Module, _inputs: Any, maps: Tensor) -> None:
        self._look(name, maps[:, :num_offset_ch])

    def _look_at_input(self, name: str, _module: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        self._look(name, inputs[1])

    def _look(self, name: str, offset: Tensor) -> None:
        if torch.compiler.is_compiling() or self.active:
            self._means[name] = offset.detach().abs().mean()

    def tell(self) -> None:
        """Warn of what the last forward pass showed, if it was watched."""
        if not self.active:
            return
        for name, mean in self._means.items():
            if (pixels := mean.item()) > OFFSET_LIMIT:
                get_root_logger().warning(
                    f'{name}: the mean deformable offset is {pixels:.0f} pixels (limit {OFFSET_LIMIT:.0f}); training '
                    'is diverging. Lower train.optim_g.lr or train.dcn_offset_lr_mul, or set train.grad_clip_norm.')
