"""A model that trains on one prepared batch, driven as the toolbox's training loop drives it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import torch

from satvsr_plugin.archs.interface import InputSpec
from satvsr_plugin.benchmarks.measuring import synchronize
from satvsr_plugin.benchmarks.networks import Network, macs_a_pixel, spec_of
from satvsr_plugin.benchmarks.training_recipes import SCALE, Options, Recipe, make_opt
from satvsr_plugin.models import SatVSRModel

FRAMES = 5  # of a sample, for networks that take any number


class Trainer:
    """A model with a batch that is on its device already, as a prefetcher would have brought it there.

    Args:
        network: ``network_g`` of the plain recipe.
        recipe: how to train.
        patch: height and width of LR.
        device: to train on.
    """

    def __init__(self, network: Options, recipe: Recipe, patch: int, device: torch.device) -> None:
        torch.manual_seed(0)
        self.model = SatVSRModel(make_opt(network, recipe, device))
        self.tf32, self.patch, self.iteration = recipe.tf32, patch, 0
        self.take(recipe.batch)

    def take(self, batch: int) -> None:
        """Train on batches of this size from now on."""
        self.batch = random_batch(self.model.spec, batch, self.patch, self.model.device)

    def step(self, _call: int = 0) -> None:
        """One training step; a GPU may still be at it when this returns."""
        self.iteration += 1
        self.model.feed_data(self.batch)
        self.model.optimize_parameters(self.iteration)

    def timed_step(self) -> float:
        """Seconds that a step takes."""
        start = time.perf_counter()
        with as_in_training(self.tf32):
            self.step()
            synchronize(self.model.device)
        return time.perf_counter() - start


def random_batch(spec: InputSpec, batch: int, patch: int, device: torch.device) -> dict[str, Any]:
    """A batch as a network takes it: ``lq`` (b, t, c, h, w), and ``gt`` of the centre frame or of all frames."""
    bands, count, size = spec.bands or 3, frames_of(spec), SCALE * patch
    frames = (count,) if spec.sees == 'clip' else ()
    sample = {'lq': torch.rand(batch, count, bands, patch, patch, device=device),
              'gt': torch.rand(batch, *frames, bands, size, size, device=device)}
    if 'flows' in spec.takes:
        sample['flows'] = torch.zeros(batch, count - 1, 2, patch, patch, device=device)
    return sample


def frames_of(spec: InputSpec) -> int:
    """Frames of a sample."""
    return max(spec.num_frame or FRAMES, FRAMES if spec.sees == 'clip' else 1)


def forward_flops(network: Network) -> float:
    """Floating point operations of a forward pass of one sample, by LR pixel; two a multiply-accumulate.

    Raises:
        OptionError: the network cannot be measured.
    """
    net = network.build()
    spec = spec_of(network.name, net)
    return 2 * macs_a_pixel(net, spec) * (frames_of(spec) if spec.sees == 'clip' else 1)


@contextlib.contextmanager
def as_in_training(tf32: bool) -> Iterator[None]:
    """The switches of torch as the toolbox's training loop sets them, and whether float32 may be multiplied as TF32."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = tf32
        cudnn.benchmark = True
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
