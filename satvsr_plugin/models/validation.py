"""One pass over a validation or test set: super-resolve, score, save pictures, write down what was tested."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from basicsr.utils.dist_util import get_dist_info
from tqdm import tqdm

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.models.frame_results import ClipResults, FrameResult, WindowResults
from satvsr_plugin.models.pictures import score, to_hwc, to_integers
from satvsr_plugin.models.recording import FrameFacts, gather, make_record
from satvsr_plugin.models.scores import Scores
from satvsr_plugin.test_record import write_record

if TYPE_CHECKING:
    from satvsr_plugin.models.satvsr_model import SatVSRModel


class Validation:
    """Runs a model over every frame of a data set; processes take contiguous shares of it.

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
        self._facts: dict[int, FrameFacts] = {}
        # of data sets that are not ours it is not known where their frames come from
        self._records = not model.is_train and hasattr(dataset, 'pairs')

    def run(self) -> Scores | None:
        """Returns the scores of all frames; None where no metric was asked for or the data set has no GT."""
        scoring = bool(self.metrics) and bool(self.dataset.data_info.get('gt_path'))
        scores = Scores(self.dataset.data_info['folder'], list(self.metrics), self.model.device) if scoring else None
        kind = ClipResults if self.model.spec.sees == 'clip' else WindowResults
        results = kind(self.model, self.dataset)
        show = get_dist_info()[0] == 0 and self.val_opt.pbar
        for result in tqdm(results, desc=self.name, unit='frame', disable=None if show else True):
            self._take(result, scores)
            if self.model.is_train and not self.model.opt['dist']:  # processes have unequal numbers of frames
                self.model.leave_if_asked()
        if scores is not None:
            scores.gather()
        if self._records:
            self._write_record(scores)
        return scores

    def _take(self, result: FrameResult, scores: Scores | None) -> None:
        """Save, score and note one frame."""
        index, sample, picture = result
        bit_depth, frame = sample.get('bit_depth', 8), sample['lq_path']
        gt = to_integers(to_hwc(sample['gt']), bit_depth) if 'gt' in sample else None
        if self.save_img:
            write_image(self.picture_path(sample['folder'], Path(frame).stem), to_integers(picture, bit_depth))
        if scores is not None:
            assert gt is not None  # only data sets that have GT are scored
            scores.put(index, [score(picture, gt, frame, name, metric) for name, metric in self.metrics.items()])
        if self._records:
            centre = to_integers(to_hwc(sample['lq'][sample['lq'].shape[0] // 2]), bit_depth)
            self._facts[index] = FrameFacts.of(picture, centre, gt, bit_depth)

    def picture_path(self, clip: str, frame: str) -> Path:
        """Where the picture of a frame is saved."""
        opt = self.model.opt
        label = self.current_iter if opt['is_train'] else self.val_opt.suffix or opt['name']
        return Path(opt['path']['visualization'], self.name, clip, f'{frame}_{label}.png')

    def _write_record(self, scores: Scores | None) -> None:
        facts = gather(self._facts)
        if get_dist_info()[0] == 0:
            write_record(self.model.opt['path']['log'], make_record(self, facts, scores))
