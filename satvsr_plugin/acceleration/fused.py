"""Convolutions on a CPU with weights that are packed once, and with PReLUs and sums computed in passing.

They call oneDNN's fused operators, which torch's own compiler uses, without a compiler: nothing has to be built first.
A layer here holds the parameters of the layer that it stands for, and gives the same but for rounding; under autocast
it computes in autocast's type. There are no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.archs.blocks import ConvBlock, DeconvBlock, PartsConv2d, ResBlock

_ONEDNN = torch.ops.mkldnn
_PICTURE_BANDS = 4  # a layer with at most as many maps gives a picture, or offsets
_NO_ACTIVATION: tuple[str, list[Any], str] = ('none', [], '')


class _Packed(nn.Module):
    """What both kinds of convolution share.

    Args:
        conv: the layer to stand for.
        slope: of the leaky ReLU after it; None for none.
    """

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, slope: float | None = None) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.slope = slope
        self._geometry = [list(pair) for pair in (conv.padding, conv.stride, conv.dilation)]
        self._groups = conv.groups
        self._weights: dict[Any, tuple[Tensor, Tensor | None]] = {}

    @property
    def _activation(self) -> tuple[str, list[Any], str]:
        return _NO_ACTIVATION if self.slope is None else ('leaky_relu', [self.slope], '')

    def _dtype(self, x: Tensor) -> torch.dtype:
        """Autocast's type; not for pictures, since bfloat16 tells values near 1 apart by 1/256 only: a grey level."""
        if not torch.is_autocast_enabled('cpu'):
            return x.dtype
        return torch.float32 if self.weight.shape[0] <= _PICTURE_BANDS else torch.get_autocast_dtype('cpu')

    def _packed(self, key: Any, pack: Callable[[Tensor], Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Weight and bias, converted at the first call."""
        if (key, dtype) not in self._weights:
            with torch.autocast('cpu', enabled=False):
                bias = None if self.bias is None else self.bias.detach().to(dtype)
                self._weights[key, dtype] = pack(self.weight.detach().to(dtype)), bias
        return self._weights[key, dtype]


class FusedConv(_Packed):
    """A convolution and a leaky ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        x = _innermost(x, self._dtype(x))
        weight, bias = self._part(0, x)
        return _ONEDNN._convolution_pointwise(x, weight, bias, *self._geometry, self._groups, *self._activation)

    def of_part(self, part: Tensor, first: int, total: Tensor | None = None) -> Tensor:
        """As :meth:`PartsConv2d.of_part`; writes into ``total``; no activation."""
        x = _innermost(part, self._dtype(part))
        weight, bias = self._part(first, x)
        if total is None:
            return _ONEDNN._convolution_pointwise(x, weight, bias, *self._geometry, self._groups, *_NO_ACTIVATION)
        return _ONEDNN._convolution_pointwise_.binary(
            total, x, weight, bias, *self._geometry, self._groups, 'add', 1.0, None, [], None)

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """Convolve x and add ``other``, which has the shape of the result; no activation."""
        dtype = self._dtype(x)
        x, other = _innermost(x, dtype), _innermost(other, dtype)
        weight, bias = self._part(0, x)
        return _ONEDNN._convolution_pointwise.binary(
            x, other, weight, bias, *self._geometry, self._groups, 'add', 1.0, None, [], None)

    def _part(self, first: int, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The weights that the channels of x from number ``first`` on meet; the bias belongs to the first ones."""
        count = x.shape[1] // self._groups

        def pack(weight: Tensor) -> Tensor:
            reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
            part = weight[:, first:first + count].contiguous()
            return reorder(part.to_mkldnn(), *self._geometry, self._groups, None)

        weight, bias = self._packed((first, count), pack, x.dtype)
        return weight, bias if first == 0 else None


class FusedDeconv(_Packed):
    """A transposed convolution and a leaky ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        padding, stride, dilation = self._geometry
        shape = (padding, [0, 0], stride, dilation, self._groups)

        def pack(weight: Tensor) -> Tensor:
            return _ONEDNN._reorder_convolution_transpose_weight(weight.contiguous(), *shape, None)

        x = _innermost(x, self._dtype(x))
        weight, bias = self._packed(None, pack, x.dtype)
        return _ONEDNN._convolution_transpose_pointwise(x, weight, bias, *shape, *self._activation)


class FusedResBlock(nn.Module):
    """A :class:`ResBlock` whose first PReLU and whose sum are computed in passing."""

    def __init__(self, block: ResBlock) -> None:
        super().__init__()
        self.slope = block.act.weight.item()
        self.conv1, self.conv2 = FusedConv(block.conv1, self.slope), FusedConv(block.conv2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(self.conv2.plus(self.conv1(x), x), self.slope)


def fuse(net: nn.Module) -> None:
    """Put fused layers in the place of a network's own, which may be used elsewhere and stay as they are."""
    for name, layer in net.named_children():
        stand_in = _fused(layer)
        if stand_in is None:
            fuse(layer)
        else:
            setattr(net, name, stand_in)


def fused_fault() -> str | None:
    """Why the operators cannot be used with this torch; None when they can and give right values."""
    x = torch.linspace(-1, 1, 2 * 8 * 5 * 3).view(2, 8, 5, 3)
    layers = nn.Sequential(ResBlock(8), DeconvBlock(8, 8, 8, 4, 2), ConvBlock(8, 8, act=False))
    fused: Any = deepcopy(layers)
    try:
        with torch.inference_mode(), torch.autocast('cpu', enabled=False):
            fuse(fused)
            hr = layers[:2](x)
            in_parts = fused[2].of_part(hr[:, 3:], 3, fused[2].of_part(hr[:, :3], 0))
            if all(torch.allclose(result, layers[2](hr), atol=1e-4) for result in (fused(x), in_parts)):
                return None
            fault = 'they give wrong values'
    except (RuntimeError, NotImplementedError, AttributeError, TypeError) as error:
        fault = (str(error).splitlines() or [type(error).__name__])[0]
    return f"oneDNN's fused operators cannot be used with torch {torch.__version__}: {fault}"


def _fused(layer: nn.Module) -> nn.Module | None:
    """The layer's stand-in; None where there is none, or where somebody listens to the layer or changes its weights."""
    if layer._forward_pre_hooks or layer._forward_hooks:
        return None
    if type(layer) is ResBlock:
        return FusedResBlock(layer)
    if type(layer) is ConvBlock:
        return FusedConv(layer.conv, layer.act.weight.item() if isinstance(layer.act, nn.PReLU) else None)
    if type(layer) is DeconvBlock:
        return FusedDeconv(layer.deconv, layer.act.weight.item())
    if isinstance(layer, nn.Conv2d) and type(layer) in (nn.Conv2d, PartsConv2d):
        plain = layer.padding_mode == 'zeros' and not isinstance(layer.padding, str)
        return FusedConv(layer) if plain else None
    return None


def _innermost(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype).contiguous(memory_format=torch.channels_last)
