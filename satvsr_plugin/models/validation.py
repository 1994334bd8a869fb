"""One pass over a validation or test set: super-resolve, score, save pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from basicsr.metrics import calculate_metric
from basicsr.utils.dist_util import get_dist_info
from basicsr.utils.registry import METRIC_REGISTRY
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError, SatVSRError
from satvsr_plugin.models.scores import Scores

READERS = 2  # processes that decode frames, where num_worker_per_gpu of the data set does not say

if TYPE_CHECKING:
    from satvsr_plugin.models.satvsr_model import SatVSRModel


class Validation:
    """Runs a model over every frame of a data set; processes take contiguous ranges of frames.

    Args:
        model: gives the network (``feed_data``, ``test``) and the options.
        dataset: gives samples as ``Jilin189TestDataset`` does, and their clips in ``data_info['folder']``.
        current_iter: the iteration, or the experiment's name in a test; names the pictures.
        save_img: whether to save pictures.
    """

    def __init__(self, model: SatVSRModel, dataset: Any, current_iter: int | str, save_img: bool) -> None:
        self.model = model
        self.dataset = dataset
        self.name: str = dataset.opt['name']
        self.current_iter = current_iter
        self.save_img = save_img
        self.val_opt = model.val_opt
        self.metrics = self.val_opt.metrics or {}

    def run(self) -> Scores | None:
        """Returns the scores of all frames; None where no metric was asked for or the data set has no GT."""
        rank, world_size = get_dist_info()
        count = len(self.dataset)
        scores = Scores(self.dataset.data_info['folder'], list(self.metrics), self.model.device)
        scoring = bool(self.metrics) and bool(self.dataset.data_info.get('gt_path'))
        frames = range(count * rank // world_size, count * (rank + 1) // world_size)
        show = rank == 0 and self.val_opt.pbar
        samples = tqdm(self._read(frames), total=len(frames), desc=self.name, unit='frame',
                       disable=None if show else True)
        for frame, sample in zip(frames, samples, strict=True):
            result = self._super_resolve(sample['lq'])
            if self.save_img:
                write_image(self._picture_path(sample), to_integers(result, sample.get('bit_depth', 8)))
            if scoring:
                scores.put(frame, [score(result, sample, name, metric) for name, metric in self.metrics.items()])
        if not scoring:
            return None
        scores.gather()
        return scores

    def _read(self, frames: range) -> DataLoader:
        """The samples of these frames, in order, decoded ahead by worker processes while the network is at work.

        The toolbox's loader has no workers for validation, and its order of frames is not ours.
        """
        readers = self.dataset.opt.get('num_worker_per_gpu')
        readers = min(READERS if readers is None else readers, len(frames))
        return DataLoader(Subset(self.dataset, frames), batch_size=None, num_workers=readers,
                          pin_memory=self.model.device.type == 'cuda')

    def _super_resolve(self, lq: Tensor) -> np.ndarray:
        self.model.feed_data({'lq': lq.unsqueeze(0)})
        self.model.test()
        return to_hwc(self.model.output)

    def _picture_path(self, sample: dict[str, Any]) -> Path:
        opt = self.model.opt
        label = self.current_iter if opt['is_train'] else self.val_opt.suffix or opt['name']
        frame = Path(sample['lq_path']).stem
        return Path(opt['path']['visualization'], self.name, sample['folder'], f'{frame}_{label}.png')


def score(result: np.ndarray, sample: dict[str, Any], name: str, metric: dict[str, Any]) -> float:
    """Compare a result with its GT.

    Args:
        result: (h, w, c) floats, RGB.
        sample: gives ``gt``, ``bit_depth`` and ``lq_path``.
        name: what the option file calls the metric.
        metric: its ``type`` and arguments.

    Raises:
        SatVSRError: the metric cannot score these pictures; names it and the frame.
    """
    gt = to_integers(to_hwc(sample['gt']), sample.get('bit_depth', 8))
    # Our metrics take floats and do the rounding; the toolbox's take 8-bit pictures. Both expect BGR.
    images = [result, gt]
    if not getattr(METRIC_REGISTRY.get(metric['type']), 'takes_float', False):
        images = [to_integers(result, 8), gt if gt.dtype == np.uint8 else (gt / 257 + 0.5).astype(np.uint8)]
    img, img2 = (image[..., ::-1] if image.shape[2] == 3 else image for image in images)
    try:
        return float(calculate_metric({'img': img, 'img2': img2}, metric))
    except Exception as error:  # a metric may be anybody's; the toolbox's NIQE raises LinAlgError on small pictures
        kind = type(error) if isinstance(error, SatVSRError) else DataError
        raise kind(f'metric {name} cannot score {sample["lq_path"]}: {error}') from error


def to_hwc(image: Tensor) -> np.ndarray:
    """(1, c, h, w) or (c, h, w) tensor to a float32 (h, w, c) array."""
    return image.reshape(image.shape[-3:]).float().permute(1, 2, 0).cpu().numpy()


def to_integers(image: np.ndarray, bit_depth: int) -> np.ndarray:
    """Floats in [0, 1] to uint8 or uint16, clipped and rounded half up."""
    peak = 2**bit_depth - 1
    return (image.clip(0, 1) * peak + 0.5).astype(np.uint8 if bit_depth == 8 else np.uint16)
