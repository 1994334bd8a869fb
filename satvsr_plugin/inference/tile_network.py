"""A network on one tile of a group of frames: on its device, in its precision, features of frames computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from satvsr_plugin.archs.interface import InputSpec, SharesFeatures, run_network
from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.inference.precision import computing_in
from satvsr_plugin.inference.windows import Group

FeatureCache = dict[tuple[int, Hashable], Tensor]  # by number of the frame, and place


class TileNetwork:
    """Calls a network, and computes again in float32 what was not finite in less.

    Where the network takes each frame by itself first (:class:`SharesFeatures`), a frame's features serve all windows
    that hold it. They are always computed frame by frame, kept or not, so that results do not depend on it.

    Args:
        net: in evaluation mode, on ``device``.
        spec: what it wants to be given.
        device: where it computes.
    """

    def __init__(self, net: nn.Module, spec: InputSpec, device: torch.device) -> None:
        self.net = net
        self.spec = spec
        self.device = device
        self._warned = False

    def __call__(self, group: Group[Tensor], dtype: torch.dtype, cache: FeatureCache | None = None,
                 place: Hashable = None) -> Tensor:
        """Super-resolve a tile.

        Args:
            group: frames (c, h, w) in [0, 1], cut to the tile, of a size that the network can take.
            dtype: in what to compute.
            cache: features of the video's frames, which are taken from there and put there; None to keep none.
            place: what tells the tile and its bands from others of the same frames.

        Returns:
            (n, c, scale * h, scale * w) float32 on the CPU, one for each of ``group.results``.

        Raises:
            SatVSRError: the result is not finite in float32 either.
        """
        def features_of(number: int, frame: Tensor) -> Tensor:
            if cache is None:
                return self._extract(frame)
            if (number, place) not in cache:
                cache[number, place] = self._extract(frame)
            return cache[number, place]

        result = self._compute(group, dtype, features_of)
        if dtype != torch.float32 and not result.isfinite().all():
            if not self._warned:
                get_root_logger().warning(f'frame {group.results[0]}: not finite in {str(dtype)[6:]}; computed again '
                                          'in float32, as all that follow like this')
                self._warned = True
            result = self._compute(group, torch.float32, lambda _number, frame: self._extract(frame))
        finite = result.isfinite().flatten(1).all(1)
        if not finite.all():
            number = group.results[int(finite.logical_not().nonzero()[0, 0])]
            raise SatVSRError(f'frame {number}: the result of {type(self.net).__name__} is not a finite number; its '
                              'weights are damaged, or are not those of this network')
        return result.float().cpu()

    def features_of(self, frame: Tensor, dtype: torch.dtype) -> Tensor:
        """Features (f, h, w) of a frame (c, h, w), of a network that is :class:`SharesFeatures`."""
        with computing_in(dtype, self.device):
            return self._extract(frame.to(self.device))

    def _compute(self, group: Group[Tensor], dtype: torch.dtype,
                 features_of: Callable[[int, Tensor], Tensor]) -> Tensor:
        with computing_in(dtype, self.device):
            frames = torch.stack(group.frames).unsqueeze(0).to(self.device)  # (1, t, c, h, w)
            if self.spec.sees == 'window' and isinstance(self.net, SharesFeatures):
                once = {number: features_of(number, frame) for number, frame in
                        dict(zip(group.numbers, frames[0], strict=True)).items()}
                features = torch.stack([once[number] for number in group.numbers])
                result = self.net.forward_features(frames, features.unsqueeze(0))
            else:
                result = run_network(self.net, self.spec, frames)
            if self.spec.sees == 'clip':
                return result[0, [number - group.numbers[0] for number in group.results]]
            return result

    def _extract(self, frame: Tensor) -> Tensor:
        """(c, h, w) to (f, h, w)."""
        assert isinstance(self.net, SharesFeatures)
        return self.net.extract_features(frame.unsqueeze(0))[0]
