"""A watch on the offsets of deformable convolutions, which run away when training diverges."""

from __future__ import annotations

from functools import partial

from basicsr.utils import get_root_logger
from torch import Tensor, nn

from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv

OFFSET_LIMIT = 50.0  # pixels; the toolbox's DCN warns at the same mean


class OffsetWatch:
    """Warns when a layer's mean absolute offset passes ``OFFSET_LIMIT`` pixels.

    Reading a value from a GPU stalls it, so the watch looks only while ``active``: the model switches it on for
    one iteration in many, which also keeps the log readable.
    """

    def __init__(self, net: nn.Module) -> None:
        self.active = False
        for name, module in net.named_modules():
            if isinstance(module, GuidedDeformConv):
                module.conv_offset_mask.register_forward_hook(partial(self._look, name, module.num_offset_ch))

    def _look(self, name: str, num_offset_ch: int, _module: nn.Module, _inputs: tuple, offset_mask: Tensor) -> None:
        if not self.active:
            return
        mean = offset_mask.detach()[:, :num_offset_ch].abs().mean().item()
        if mean > OFFSET_LIMIT:
            get_root_logger().warning(
                f'{name}: the mean deformable offset is {mean:.0f} pixels (limit {OFFSET_LIMIT:.0f}); training is '
                'diverging. Lower train.optim_g.lr or train.dcn_offset_lr_mul, or set train.grad_clip_norm.')
