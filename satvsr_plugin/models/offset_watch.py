"""A watch on the offsets of deformable convolutions, which run away when training diverges."""

from __future__ import annotations

from functools import partial
from typing import Any

from basicsr.utils import get_root_logger
from torch import Tensor, nn

from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv
from satvsr_plugin.ops.plain_deform_conv import DeformConv

OFFSET_LIMIT = 50.0  # pixels; the toolbox's DCN warns at the same mean


class OffsetWatch:
    """Warns when a layer's mean absolute offset passes ``OFFSET_LIMIT`` pixels.

    Reading a value from a GPU stalls it, so the watch looks only while ``active``: the model switches it on for
    one iteration in many, which also keeps the log readable. (The toolbox's layers watch themselves, or bound their
    offsets, as BasicVSR++ does.)
    """

    def __init__(self, net: nn.Module) -> None:
        self.active = False
        for name, module in net.named_modules():
            if isinstance(module, GuidedDeformConv):
                module.conv_offset_mask.register_forward_hook(partial(self._look_at_output, name, module.num_offset_ch))
            elif isinstance(module, DeformConv):
                module.register_forward_pre_hook(partial(self._look_at_input, name))

    def _look_at_output(self, name: str, num_offset_ch: int, _module: nn.Module, _inputs: Any, maps: Tensor) -> None:
        self._look(name, maps[:, :num_offset_ch])

    def _look_at_input(self, name: str, _module: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        self._look(name, inputs[1])

    def _look(self, name: str, offset: Tensor) -> None:
        if not self.active:
            return
        mean = offset.detach().abs().mean().item()
        if mean > OFFSET_LIMIT:
            get_root_logger().warning(
                f'{name}: the mean deformable offset is {mean:.0f} pixels (limit {OFFSET_LIMIT:.0f}); training is '
                'diverging. Lower train.optim_g.lr or train.dcn_offset_lr_mul, or set train.grad_clip_norm.')
