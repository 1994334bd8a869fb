"""Sends every frame of a data set through a network: window by window, or clip by clip for networks that see clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import get_dist_info
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Subset

from satvsr_plugin.data.augment import to_tensor
from satvsr_plugin.data.shared_memory import shared_sample
from satvsr_plugin.errors import OptionError
from satvsr_plugin.models.pictures import to_hwc
from satvsr_plugin.models.segments import Segment, affordable_frames, cut, is_out_of_memory
from satvsr_plugin.stopping import ignore_stop_signals

if TYPE_CHECKING:
    from satvsr_plugin.models.satvsr_model import SatVSRModel

READERS = 2  # processes that decode frames, where num_worker_per_gpu of the data set does not say


class FrameResult(NamedTuple):
    """One frame.

    Attributes:
        number: its index in the data set.
        sample: what the data set gives for it.
        picture: (h, w, c) floats.
    """

    number: int
    sample: dict[str, Any]
    picture: np.ndarray


class FrameResults(ABC):
    """The results of this process's share of a data set's frames, in order; processes take contiguous shares.

    Args:
        model: gives the network (``feed_data``, ``test``) and the options.
        dataset: gives samples as ``Jilin189TestDataset`` does.
    """

    def __init__(self, model: SatVSRModel, dataset: Any) -> None:
        self.model = model
        self.dataset = dataset

    @property
    @abstractmethod
    def frames(self) -> list[int]:
        """Indices of the frames in the data set."""

    @abstractmethod
    def __iter__(self) -> Iterator[FrameResult]: ...

    def __len__(self) -> int:
        return len(self.frames)

    def _samples(self) -> Iterator[dict[str, Any]]:
        """The samples of these frames, decoded ahead by worker processes while the network is at work.

        The toolbox's loader has no workers for validation, and its order of frames is not ours.
        """
        readers = self.dataset.opt.get('num_worker_per_gpu')
        readers = min(READERS if readers is None else readers, len(self.frames))
        return iter(DataLoader(Subset(self.dataset, self.frames), batch_size=None, num_workers=readers,
                               collate_fn=shared_sample,  # type: ignore[arg-type]  # a batch, in torch's stubs
                               pin_memory=self.model.device.type == 'cuda',
                               worker_init_fn=ignore_stop_signals if self.model.is_train else None))

    def _super_resolve(self, sample: dict[str, Any]) -> Tensor:
        """Feed what a network sees to the model; the batch of one is put in front and taken off again."""
        self.model.feed_data({key: value.unsqueeze(0) for key, value in sample.items()})
        self.model.test()
        return self.model.output[0]


class WindowResults(FrameResults):
    """For networks that see the window round a frame."""

    @property
    def frames(self) -> list[int]:
        return list(range(*_share(len(self.dataset))))

    def __iter__(self) -> Iterator[FrameResult]:
        wanted = ('lq', *self.model.spec.takes)
        for index, sample in zip(self.frames, self._samples(), strict=True):
            seen = {key: sample[key] for key in wanted if key in sample}
            yield FrameResult(index, sample, to_hwc(self._super_resolve(seen)))


class ClipResults(FrameResults):
    """For networks that see whole clips, in segments where memory asks for it.

    Raises:
        OptionError: the data set cannot give whole clips.
    """

    def __init__(self, model: SatVSRModel, dataset: Any) -> None:
        super().__init__(model, dataset)
        if not hasattr(dataset, 'pairs'):
            raise OptionError(f'datasets: {type(dataset).__name__} cannot give the whole clips that '
                              f'{model.opt["network_g"]["type"]} sees; use Jilin189TestDataset')
        self.overlap = model.val_opt.segment_overlap
        self.places = {place: index for index, place in enumerate(dataset.frames)}  # of frames that are asked for
        segments = [segment for segment in self._cut_all() if self._asked_for(segment)]
        self.segments = segments[slice(*_share(len(segments)))]

    @property
    def frames(self) -> list[int]:
        return [index for segment in self.segments for index in self._asked_for(segment)]

    def __iter__(self) -> Iterator[FrameResult]:
        samples = self._samples()
        for segment in self.segments:
            for part, pictures in self._run(segment):
                for index in self._asked_for(part):
                    position = self.dataset.frames[index][1] - part.first
                    yield FrameResult(index, next(samples), to_hwc(pictures[position]))

    def _cut_all(self) -> Iterator[Segment]:
        """The segments of all clips: the same in all processes, whose memory may differ."""
        clips = list(dict.fromkeys(clip for clip, _ in self.dataset.frames))
        longest = [self.model.val_opt.segment_length or self._affordable(clips)]
        if distributed.is_initialized():
            distributed.broadcast_object_list(longest, device=self.model.device)
        for clip in clips:
            yield from cut(clip, len(self.dataset.pairs.lq.clips[clip]), longest[0], self.overlap)

    def _affordable(self, clips: list[str]) -> int:
        formats = [self.dataset.pairs.lq.format(clip) for clip in clips]
        largest = max(formats, key=lambda item: item.height * item.width)
        frames = affordable_frames(largest.height, largest.width, self.model.spec.scale, self.model.device)
        return max(frames, 2 * self.overlap + 1)

    def _asked_for(self, segment: Segment) -> list[int]:
        """Indices in the data set of the frames of a segment whose results are kept and that the data set has."""
        places = ((segment.clip, position) for position in range(segment.first, segment.last))
        return [self.places[place] for place in places if place in self.places]

    def _run(self, segment: Segment) -> Iterator[tuple[Segment, Tensor]]:
        """The results that are kept, (t, c, h, w); where memory runs out all the same, of one half after the other."""
        try:
            pictures = self._super_resolve({'lq': self._read(segment)})
            yield segment, pictures[segment.first - segment.start:segment.last - segment.start]
            return
        except RuntimeError as error:
            if not is_out_of_memory(error) or segment.last - segment.first == 1:
                raise
        get_root_logger().warning(
            f'clip {segment.clip}: memory does not hold {segment.stop - segment.start} frames at once; going on with '
            f'half as many. Set val.segment_length to less to be spared the attempt.')
        if self.model.device.type == 'cuda':
            torch.cuda.empty_cache()
        for half in self._halves(segment):
            yield from self._run(half)

    def _halves(self, segment: Segment) -> list[Segment]:
        middle = (segment.first + segment.last) // 2
        return [segment._replace(last=middle, stop=min(segment.stop, middle + self.overlap)),
                segment._replace(first=middle, start=max(segment.start, middle - self.overlap))]

    def _read(self, segment: Segment) -> Tensor:
        frames = [self.dataset.pairs.read_lq(segment.clip, i) for i in range(segment.start, segment.stop)]
        return to_tensor(np.stack(frames).transpose(0, 3, 1, 2))


def _share(count: int) -> tuple[int, int]:
    """The range of this process's share of ``count`` things."""
    rank, world_size = get_dist_info()
    return count * rank // world_size, count * (rank + 1) // world_size
