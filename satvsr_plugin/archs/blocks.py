"""Blocks that several networks share: convolutions with PReLU, and back-projection (DBPN).

Back-projection: Haris et al., Deep Back-Projection Networks for Super-Resolution, CVPR 2018. Attribute names
follow the published MSDTGP and RBPN checkpoints, so their state dicts load as they are.
"""

from __future__ import annotations

from torch import Tensor, nn

SCALES = (2, 3, 4, 8)  # of the networks that are built of these blocks


class PartsConv2d(nn.Conv2d):
    """A convolution that can also take the channels of its input part by part, and be rid of each before the next."""

    def of_part(self, part: Tensor, first: int, total: Tensor | None = None) -> Tensor:
        """What some channels of the input contribute; over all channels, but for rounding, the convolution.

        Args:
            part: (b, c, h, w), the channels from number ``first`` on.
            first: see above; the bias comes with channel 0.
            total: what other parts gave, to be added to; it must not be used afterwards.

        Returns:
            (b, out_channels, h_out, w_out).
        """
        weight = self.weight[:, first:first + part.shape[1]]
        result = self._conv_forward(part, weight, self.bias if first == 0 else None)
        return result if total is None else total + result


class ConvBlock(nn.Module):
    """Convolution and, unless ``act`` is off, a PReLU with one shared slope.

    (b, in_ch, h, w) to (b, out_ch, h, w), or to (b, out_ch, h / stride, w / stride) with :func:`scale_geometry`.
    """

    def __init__(self, in_ch: int, out_ch: int, kernel_size: int = 3, stride: int = 1, padding: int | None = None,
                 act: bool = True) -> None:
        super().__init__()
        self.conv = PartsConv2d(in_ch, out_ch, kernel_size, stride, kernel_size // 2 if padding is None else padding)
        self.act = nn.PReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))

    def of_part(self, part: Tensor, first: int, total: Tensor | None = None) -> Tensor:
        """As :meth:`PartsConv2d.of_part`; only for blocks without activation."""
        return self.conv.of_part(part, first, total)


class DeconvBlock(nn.Module):
    """Transposed convolution and a PReLU with one shared slope.

    (b, in_ch, h, w) to (b, out_ch, stride * h, stride * w) with :func:`scale_geometry`.
    """

    def __init__(self, in_ch: int, out_ch: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(in_ch, out_ch, kernel_size, stride, padding)
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.deconv(x))


class ResBlock(nn.Module):
    """conv - PReLU - conv, plus the input, through the same PReLU again; keeps (b, num_feat, h, w)."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.conv2 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.conv2(self.act(self.conv1(x))))


def res_blocks(num_feat: int, num_block: int) -> list[nn.Module]:
    """``num_block`` residual blocks, to be put into an ``nn.Sequential``."""
    return [ResBlock(num_feat) for _ in range(num_block)]


def scale_geometry(scale: int) -> tuple[int, int, int]:
    """Kernel, stride and padding of every layer that changes the size by ``scale`` (6,2,2; 7,3,2; 8,4,2; 12,8,2)."""
    return scale + 4, scale, 2


class UpUnit(nn.Module):
    """Up-projection: enlarge, shrink back, and enlarge the error. (b, c, h, w) to (b, c, s*h, s*w)."""

    def __init__(self, num_feat: int, scale: int) -> None:
        super().__init__()
        geometry = scale_geometry(scale)
        self.up_conv1 = DeconvBlock(num_feat, num_feat, *geometry)
        self.up_conv2 = ConvBlock(num_feat, num_feat, *geometry)
        self.up_conv3 = DeconvBlock(num_feat, num_feat, *geometry)

    def forward(self, x: Tensor) -> Tensor:
        hr = self.up_conv1(x)
        error = self.up_conv2(hr) - x
        return self.up_conv3(error) + hr


class DownUnit(nn.Module):
    """Down-projection: shrink, enlarge back, and shrink the error. (b, c, s*h, s*w) to (b, c, h, w)."""

    def __init__(self, num_feat: int, scale: int) -> None:
        super().__init__()
        geometry = scale_geometry(scale)
        self.down_conv1 = ConvBlock(num_feat, num_feat, *geometry)
        self.down_conv2 = DeconvBlock(num_feat, num_feat, *geometry)
        self.down_conv3 = ConvBlock(num_feat, num_feat, *geometry)

    def forward(self, x: Tensor) -> Tensor:
        lr = self.down_conv1(x)
        error = self.down_conv2(lr) - x
        return self.down_conv3(error) + lr


class BackProjection(nn.Module):
    """Enlarges an LR feature by alternating up- and down-projection units (DBPN) and joins all HR features.

    Args:
        in_ch: channels of the LR feature.
        num_feat: channels inside and of the HR feature.
        num_stage: number of up-projection units.
        scale: enlargement.
    """

    def __init__(self, in_ch: int, num_feat: int, num_stage: int, scale: int) -> None:
        super().__init__()
        self.num_stage = num_stage
        self.feat1 = ConvBlock(in_ch, num_feat, 1)
        for stage in range(1, num_stage + 1):
            self.add_module(f'up{stage}', UpUnit(num_feat, scale))
            if stage < num_stage:
                self.add_module(f'down{stage}', DownUnit(num_feat, scale))
        self.output = ConvBlock(num_stage * num_feat, num_feat, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (b, in_ch, h, w). Returns: (b, num_feat, s*h, s*w)."""
        lr = self.feat1(x)
        joined = None
        for stage in range(1, self.num_stage + 1):
            hr = self.get_submodule(f'up{stage}')(lr)
            # the latest first, as the checkpoint expects
            joined = self.output.of_part(hr, (self.num_stage - stage) * hr.shape[1], joined)
            if stage < self.num_stage:
                lr = self.get_submodule(f'down{stage}')(hr)
        assert joined is not None
        return joined


def he_initialise(net: nn.Module) -> None:
    """He initialisation of every (transposed) convolution, fan-in, gain sqrt(2); biases 0."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
