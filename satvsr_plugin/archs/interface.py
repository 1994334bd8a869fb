"""What a video network wants to be given: stated by the network, in one record, and carried out here.

Networks take RGB (or any bands) in [0, 1] and give the same; what they do with it inside (TDAN subtracts 0.5, SOFVSR
works on Y) is their own business. In what they see they differ: a window of frames round the one that is wanted, a
whole clip, or a single frame; some need sizes that are a multiple of 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class InputSpec:
    """The attribute ``input_spec`` of a network.

    Attributes:
        scale: enlargement.
        sees: ``window``: (b, t, c, h, w) to the centre frame, (b, c, scale * h, scale * w);
            ``clip``: all frames to all frames, (b, t, c, scale * h, scale * w);
            ``frame``: (b, c, h, w) to (b, c, scale * h, scale * w), as networks for still images.
        num_frame: of a window: its length, None where any will do; of a clip: the least that the network can take.
        bands: number of bands, None where any will do.
        multiple: h and w must be multiples of it.
        smallest: h and w must be at least this.
        takes: names of what ``forward`` takes besides the frames where a sample has it, e.g. ``('flows',)``.
        needs: those of ``takes`` that it cannot do without.
        extras: names of what ``forward(x, with_extras=True)`` returns besides the result, as a dictionary: what
            losses of the network's own need in training.
    """

    scale: int
    sees: Literal['window', 'clip', 'frame'] = 'window'
    num_frame: int | None = None
    bands: int | None = None
    multiple: int = 1
    smallest: int = 1
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    def fit(self, size: int) -> int:
        """The smallest height or width from ``size`` on that the network can take."""
        return max(-(-size // self.multiple) * self.multiple, -(-self.smallest // self.multiple) * self.multiple)


@runtime_checkable
class SharesFeatures(Protocol):
    """A network of windows that first takes every frame by itself, so that neighbouring windows can share that part.

    ``forward`` of a window is ``forward_features`` of its frames and of what ``extract_features`` gives for them.
    """

    def extract_features(self, frames: Tensor) -> Tensor:
        """Args: frames (n, c, h, w) in [0, 1]. Returns: features of each, (n, f, h, w)."""

    def forward_features(self, frames: Tensor, features: Tensor) -> Tensor:
        """Args: frames (b, t, c, h, w), features (b, t, f, h, w). Returns: as ``forward``."""


def run_network(net: nn.Module, spec: InputSpec, x: Tensor, **inputs: Any) -> Any:
    """Call a network on frames of any size and, if it takes clips, any number; what was added is cut off again.

    Args:
        net: the network, bare or wrapped for data parallelism.
        spec: what the bare network wants.
        x: (b, t, c, h, w).
        inputs: further arguments of ``forward``.

    Returns:
        What ``forward`` returns, see :class:`InputSpec`; its frames have the size of ``x`` times ``scale``.
    """
    t, _, h, w = x.shape[1:]
    frames = x[:, t // 2] if spec.sees == 'frame' else _lengthen(x, spec)
    out = net(mirror_to_fit(frames, spec), **inputs)
    result, *extras = out if isinstance(out, tuple) else (out,)
    result = result[..., :h * spec.scale, :w * spec.scale]
    if spec.sees == 'clip':
        result = result[:, :t]
    return (result, *extras) if extras else result


def mirror_to_fit(x: Tensor, spec: InputSpec) -> Tensor:
    """(..., h, w) with the rows and columns that the network needs besides, mirrored at the bottom and on the right."""
    h, w = x.shape[-2:]
    return _mirror(_mirror(x, -2, spec.fit(h)), -1, spec.fit(w))


def _lengthen(x: Tensor, spec: InputSpec) -> Tensor:
    """(b, t, c, h, w) with the frames that a short clip lacks, mirrored in time."""
    return _mirror(x, 1, max(x.shape[1], spec.num_frame or 1)) if spec.sees == 'clip' else x


def _mirror(x: Tensor, dim: int, size: int) -> Tensor:
    """Append mirrored samples along an axis, the outermost one included, up to ``size``; contiguous."""
    have = x.shape[dim]
    if size == have:
        return x.contiguous()
    position = torch.arange(size, device=x.device) % (2 * have)
    return x.index_select(dim, torch.minimum(position, 2 * have - 1 - position))
