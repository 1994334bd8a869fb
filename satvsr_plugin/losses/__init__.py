"""Losses; importing this package registers them in the toolbox's ``LOSS_REGISTRY``.

Besides the toolbox's kind, ``forward(pred, target, weight=None)``, there are losses of a network's own, which read
what ``forward(x, with_extras=True)`` of the network returns besides the result::

    forward(extras: dict[str, Tensor], lq: Tensor, gt: Tensor) -> Tensor

``lq`` is (b, t, c, h, w) in [0, 1], ``gt`` (b, c, H, W) or, for all frames, (b, t, c, H, W). The class attribute
``needs`` names the extras; ``needs_all_gt`` is True where GT of all frames is needed.
"""

from satvsr_plugin.losses.alignment_loss import AlignmentLoss
from satvsr_plugin.losses.flow_loss import FlowLoss
from satvsr_plugin.losses.luma_loss import LumaMSELoss

__all__ = ['AlignmentLoss', 'FlowLoss', 'LumaMSELoss']
