"""Convolutions on a CPU with weights that are packed once, and with PReLUs and sums computed in passing.

They call oneDNN's fused operators, which torch's own compiler uses, without a compiler: nothing has to be built first.
A layer here holds the parameters of the layer that it stands for, and gives the same but for rounding; under autocast
it computes in autocast's type. There are no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satvsr_plugin.archs.blocks import ConvBlock, DeconvBlock, PartsConv2d, ResBlock

_ONEDNN = torch.ops.mkldnn
_PICTURE_BANDS = 4  # a layer with at most as many maps gives a picture, or offsets
_NO_ACTIVATION: tuple[str, list[Any], str] = ('none', [], '')
_Packing = Callable[[Tensor], Tensor]


class _Packed:
    """What both kinds of convolution share; what oneDNN cannot do they compute as the layer itself would."""

    weight: Tensor
    bias: Tensor | None
    in_channels: int
    out_channels: int
    slope: float | None
    _weights: dict[Any, tuple[Tensor, Tensor | None]]

    def _stand_for(self, conv: nn.Module, slope: float | None) -> None:
        """Take over a layer's parameters and attributes; ``slope`` is that of the leaky ReLU after it, if any."""
        self.__dict__.update(conv.__dict__)
        self.__dict__['_parameters'] = dict(conv._parameters)
        self.slope = slope
        self._weights = {}

    @property
    def _activation(self) -> tuple[str, list[Any], str]:
        return _NO_ACTIVATION if self.slope is None else ('leaky_relu', [self.slope], '')

    def _dtype(self, x: Tensor) -> torch.dtype:
        """Autocast's type; not for pictures, since bfloat16 tells values near 1 apart by 1/256 only: a grey level."""
        if not torch.is_autocast_enabled('cpu'):
            return x.dtype
        return torch.float32 if self.out_channels <= _PICTURE_BANDS else torch.get_autocast_dtype('cpu')

    def _ready(self, x: Tensor, channels: int) -> Tensor | None:
        """The input as oneDNN takes it; None where it cannot."""
        dtype = self._dtype(x)
        suits = x.dim() == 4 and x.shape[1] == channels and _can_pack(dtype)
        return _innermost(x, dtype) if suits else None

    def _activated(self, x: Tensor) -> Tensor:
        return x if self.slope is None else F.leaky_relu_(x, self.slope)

    def _packed(self, key: Any, pack: _Packing, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Weight and bias, converted at the first call."""
        if (key, dtype) not in self._weights:
            with torch.autocast('cpu', enabled=False):
                bias = None if self.bias is None else self.bias.detach().to(dtype)
                self._weights[key, dtype] = pack(self.weight.detach().to(dtype)), bias
        return self._weights[key, dtype]


class FusedConv(_Packed, PartsConv2d):
    """A convolution and a leaky ReLU."""

    def __init__(self, conv: nn.Conv2d, slope: float | None = None) -> None:
        nn.Module.__init__(self)
        self._stand_for(conv, slope)

    def forward(self, x: Tensor) -> Tensor:
        ready = self._ready(x, self.in_channels)
        if ready is None:
            return self._activated(super().forward(x))
        weight, bias = self._part(0, ready)
        return _ONEDNN._convolution_pointwise(ready, weight, bias, *self._geometry, *self._activation)

    def of_part(self, part: Tensor, first: int, total: Tensor | None = None) -> Tensor:
        """As :meth:`PartsConv2d.of_part`; writes into ``total``; no activation."""
        ready = self._ready(part, part.shape[1])
        if ready is None:
            return super().of_part(part, first, total)
        weight, bias = self._part(first, ready)
        if total is None:
            return _ONEDNN._convolution_pointwise(ready, weight, bias, *self._geometry, *_NO_ACTIVATION)
        return _ONEDNN._convolution_pointwise_.binary(
            total, ready, weight, bias, *self._geometry, 'add', 1.0, None, [], None)

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """Convolve x and add ``other``, which has the shape of the result; no activation."""
        ready = self._ready(x, self.in_channels)
        if ready is None:
            return super().forward(x) + other
        weight, bias = self._part(0, ready)
        return _ONEDNN._convolution_pointwise.binary(
            ready, _innermost(other, ready.dtype), weight, bias, *self._geometry, 'add', 1.0, None, [], None)

    @property
    def _geometry(self) -> tuple[list[int], list[int], list[int], int]:
        padding, stride, dilation = (list(pair) for pair in (self.padding, self.stride, self.dilation))
        return padding, stride, dilation, self.groups  # type: ignore[return-value]  # padding is no name here

    def _part(self, first: int, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The weights that the channels of x from number ``first`` on meet; the bias belongs to the first ones."""
        count = x.shape[1] // self.groups

        def pack(weight: Tensor) -> Tensor:
            reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
            part = weight[:, first:first + count].contiguous()
            return reorder(part.to_mkldnn(), *self._geometry, None)

        weight, bias = self._packed((first, count), pack, x.dtype)
        return weight, bias if first == 0 else None


class FusedDeconv(_Packed, nn.ConvTranspose2d):
    """A transposed convolution and a leaky ReLU."""

    def __init__(self, deconv: nn.ConvTranspose2d, slope: float | None = None) -> None:
        nn.Module.__init__(self)
        self._stand_for(deconv, slope)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        ready = self._ready(x, self.in_channels)
        if output_size is not None or ready is None:
            return self._activated(super().forward(x, output_size))
        padding, extra, stride, dilation = (
            list(pair) for pair in (self.padding, self.output_padding, self.stride, self.dilation))
        shape = (padding, extra, stride, dilation, self.groups)

        def pack(weight: Tensor) -> Tensor:
            return _ONEDNN._reorder_convolution_transpose_weight(weight.contiguous(), *shape, None)

        weight, bias = self._packed(None, pack, ready.dtype)
        return _ONEDNN._convolution_transpose_pointwise(ready, weight, bias, *shape, *self._activation)


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


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether oneDNN has this type on this processor: float32 on all, bfloat16 from AVX-512 on."""
    if dtype != torch.bfloat16:
        return dtype == torch.float32
    weight, x = torch.ones(8, 8, 3, 3, dtype=dtype), torch.ones(1, 8, 4, 4, dtype=dtype)
    reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
    geometry = ([1, 1], [1, 1], [1, 1], 1)
    try:
        with torch.autocast('cpu', enabled=False):
            packed = reorder(weight.to_mkldnn(), *geometry, None)
            _ONEDNN._convolution_pointwise(x, packed, None, *geometry, *_NO_ACTIVATION)
    except RuntimeError:
        return False
    return True


def _fused(layer: nn.Module) -> nn.Module | None:
    """The layer's stand-in; None where there is none, or where somebody listens to the layer or changes its weights."""
    if any(part._forward_pre_hooks or part._forward_hooks for part in layer.modules()):
        return None
    kinds = {type(part) for part in layer.children()}
    if type(layer) is ResBlock and kinds <= {nn.Conv2d, nn.PReLU}:
        return FusedResBlock(layer)
    if type(layer) is ConvBlock and kinds <= {PartsConv2d, nn.PReLU, nn.Identity}:
        return FusedConv(layer.conv, layer.act.weight.item() if isinstance(layer.act, nn.PReLU) else None)
    if type(layer) is DeconvBlock and kinds <= {nn.ConvTranspose2d, nn.PReLU}:
        return FusedDeconv(layer.deconv, layer.act.weight.item())
    if isinstance(layer, nn.Conv2d) and type(layer) in (nn.Conv2d, PartsConv2d):
        plain = layer.padding_mode == 'zeros' and not isinstance(layer.padding, str)
        return FusedConv(layer) if plain else None
    return None


def _innermost(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype).contiguous(memory_format=torch.channels_last)
