"""A network on one tile of the frames it sees: on its device, in its precision, features of frames computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from satvsr_plugin.acceleration.network import accelerate
from satvsr_plugin.acceleration.paths import FastPaths
from satvsr_plugin.archs.interface import InputSpec, SharesFeatures, run_network
from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.inference.precision import computing_in
from satvsr_plugin.inference.windows import Group

FeatureCache = dict[tuple[int, Hashable], Tensor]  # by number of the frame, and place
PLAIN = FastPaths()


class TileNetwork:
    """Calls a network, and computes again in float32 what was not finite in less.

    Where the network takes each frame by itself first (:class:`SharesFeatures`), a frame's features serve all windows
    that hold it. They are always computed frame by frame, kept or not, so that results do not depend on it.

    Args:
        net: in evaluation mode, on ``device``.
        spec: what it wants to be given.
        device: where it computes.
        paths: the fast paths that it takes; what is computed again takes none.
    """

    def __init__(self, net: nn.Module, spec: InputSpec, device: torch.device, paths: FastPaths = PLAIN) -> None:
        self.net = net
        self.spec = spec
        self.device = device
        self.paths = paths
        self._warned = False

    @cached_property
    def uncompiled(self) -> TileNetwork:
        """The same where little is computed, of sizes that do not come again."""
        if not self.paths.compiled:
            return self
        return TileNetwork(self.net, self.spec, self.device, self.paths._replace(compiled=False, graphs=False))

    @cached_property
    def _fast(self) -> nn.Module:
        return accelerate(self.net, self.paths)

    def __call__(self, groups: Sequence[Group[Tensor]], dtype: torch.dtype, cache: FeatureCache | None = None,
                 place: Hashable = None) -> Tensor:
        """Super-resolve a tile.

        Args:
            groups: frames (c, h, w) in [0, 1], cut to the tile, of a size that the network can take; one group, or
                several windows of as many frames.
            dtype: in what to compute.
            cache: features of the video's frames, which are taken from there and put there; None to keep none.
            place: what tells the tile and its bands from others of the same frames.

        Returns:
            (n, c, scale * h, scale * w) float32 on the device, one for each of the groups' results.

        Raises:
            SatVSRError: the result is not finite in float32 either.
        """
        features: FeatureCache = {} if cache is None else cache

        def features_of(number: int, frame: Tensor) -> Tensor:
            if (number, place) not in features:
                features[number, place] = self._extract(self._fast, frame)
            return features[number, place]

        numbers = [number for group in groups for number in group.results]
        result = self._compute(self._fast, groups, dtype, features_of)
        if dtype != torch.float32 and not result.isfinite().all():
            if not self._warned:
                get_root_logger().warning(f'frame {numbers[0]}: not finite in {str(dtype)[6:]}; computed again in '
                                          'float32, as all that follow like this')
                self._warned = True
            result = self._compute(self.net, groups, torch.float32,
                                   lambda _number, frame: self._extract(self.net, frame))
        finite = result.isfinite().flatten(1).all(1)
        if not finite.all():
            number = numbers[int(finite.logical_not().nonzero()[0, 0])]
            raise SatVSRError(f'frame {number}: the result of {type(self.net).__name__} is not a finite number; its '
                              'weights are damaged, or are not those of this network')
        return result.float()

    def features_of(self, frame: Tensor, dtype: torch.dtype) -> Tensor:
        """Features (f, h, w) of a frame (c, h, w), of a network that is :class:`SharesFeatures`."""
        with computing_in(dtype, self.device):
            return self._extract(self._fast, frame.to(self.device))

    def _compute(self, net: nn.Module, groups: Sequence[Group[Tensor]], dtype: torch.dtype,
                 features_of: Callable[[int, Tensor], Tensor]) -> Tensor:
        with computing_in(dtype, self.device):
            once = {number: frame.to(self.device) for group in groups
                    for number, frame in zip(group.numbers, group.frames, strict=True)}
            frames = self._stack(groups, once)  # (b, t, c, h, w)
            if self.spec.sees == 'window' and isinstance(net, SharesFeatures):
                features = {number: features_of(number, frame) for number, frame in once.items()}
                return net.forward_features(frames, self._stack(groups, features))
            result = run_network(net, self.spec, frames)
            if self.spec.sees == 'clip':
                return result[0, [number - groups[0].numbers[0] for number in groups[0].results]]
            return result

    @staticmethod
    def _stack(groups: Sequence[Group[Tensor]], once: dict[int, Tensor]) -> Tensor:
        """(b, t, ...) of what there is for each frame."""
        return torch.stack([torch.stack([once[number] for number in group.numbers]) for group in groups])

    @staticmethod
    def _extract(net: nn.Module, frame: Tensor) -> Tensor:
        """(c, h, w) to (f, h, w)."""
        assert isinstance(net, SharesFeatures)
        return net.extract_features(frame.unsqueeze(0))[0]
