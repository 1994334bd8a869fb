"""Super-resolves a user's video: from what was asked for to the finished output."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

import satvsr_plugin
from satvsr_plugin.acceleration.paths import FastOption
from satvsr_plugin.data.video import Video, open_videos
from satvsr_plugin.data.windows import Padding
from satvsr_plugin.errors import OptionError
from satvsr_plugin.inference.compare import compare_with_gt
from satvsr_plugin.inference.excerpt import Excerpt
from satvsr_plugin.inference.feed import Feed
from satvsr_plugin.inference.loading import LoadedNetwork, load_network
from satvsr_plugin.inference.precision import DtypeName
from satvsr_plugin.inference.preview import write_preview
from satvsr_plugin.inference.processes import Processes, joined_processes
from satvsr_plugin.inference.progress import Progress
from satvsr_plugin.inference.sinks import Sink, open_sink
from satvsr_plugin.inference.upscaler import VideoUpscaler
from satvsr_plugin.weights import crc32_of


@dataclass(frozen=True)
class InferOptions:
    """What the user asked for; see ``basicsr infer --help``."""

    input: Sequence[str]
    output: Path
    weights: Path | None = None
    opt: Path | None = None
    force_yml: Sequence[str] = ()
    bands: Any = None
    start: int = 0
    end: int | None = None
    padding: Padding = 'center'
    tile: Any = 'auto'
    overlap: int | None = None
    device: str = 'auto'
    dtype: DtypeName = 'auto'
    fast: FastOption = 'auto'
    windows: int | None = None
    quality: int = 90
    preview: int = 0
    compare: Path | None = None
    overwrite: bool = False


def run(options: InferOptions) -> int:
    """Super-resolve a video; progress and remarks go to stderr.

    Raises:
        SatVSRError: anything that the user can mend; what is finished stays, and the same command goes on there.
    """
    with joined_processes() as processes:
        say = _say if processes.is_first else _say_nothing
        video = _open_video(options)
        loaded = load_network(options.weights, options.opt, options.force_yml)
        upscaler = _make_upscaler(options, loaded, video, processes)
        for remark in (*video.remarks, loaded.remark, f'fast paths: {upscaler.paths}',
                       upscaler.describe(video.format.channels)):
            say(remark)
        length = processes.share(video.count() if processes.is_first else None)
        with open_sink(options.output, video, upscaler.scale, quality=options.quality, overwrite=options.overwrite,
                       plan=_plan(options, loaded, video), shared=not processes.is_first, length=length) as sink:
            for remark in sink.remarks:
                say(remark)
            if options.preview and processes.is_first:
                say(f'before and after: {write_preview(options.output, video, upscaler, options.preview)}')
            _upscale_missing(video, upscaler, sink, processes)
            if processes.is_first:
                sink.finish()
        if options.compare and processes.is_first:
            print(compare_with_gt(options.output, options.compare))
    return 0


def _make_upscaler(options: InferOptions, loaded: LoadedNetwork, video: Video, processes: Processes) -> VideoUpscaler:
    """The same tiles in all processes, which the first one chooses: results do not depend on who makes them."""
    device = _device(options.device, processes)
    make = partial(VideoUpscaler, loaded.net, padding=options.padding, device=device, dtype=options.dtype,
                   fast=options.fast, windows=options.windows)
    upscaler = make(tile=options.tile, overlap=options.overlap)
    if processes.count == 1:
        return upscaler
    layout = processes.share(upscaler.layout(video.format) if processes.is_first else None)
    return make(tile=layout.side or 'none', overlap=layout.overlap if layout.side else None)


def _upscale_missing(video: Video, upscaler: VideoUpscaler, sink: Sink, processes: Processes) -> None:
    parts = processes.share(sink.missing() if processes.is_first else None)
    mine = processes.take(parts)
    try:
        with Progress(sum(map(len, mine)), already=sink.length - sum(map(len, parts)), total=sink.length,
                      shown=processes.is_first) as progress:
            for stretch in _joined(mine):
                feed = Feed(video, stretch.start, stretch.stop, upscaler.reach)
                results = upscaler.run(feed.images(), offset=feed.offset, first=stretch.start, stop=stretch.stop,
                                       length=sink.length)
                for index, result in zip(stretch, results, strict=True):
                    sink.write(index, result, feed.take(index))
                    progress.step()
    except KeyboardInterrupt:
        if processes.is_first:
            _say(sink.interrupt())
        raise
    processes.wait()


def _joined(parts: Sequence[range]) -> Iterator[range]:
    """Parts that follow one another as one stretch, whose frames are then read only once."""
    stretch: range | None = None
    for part in parts:
        if stretch is not None and part.start == stretch.stop:
            stretch = range(stretch.start, part.stop)
            continue
        if stretch is not None:
            yield stretch
        stretch = part
    if stretch is not None:
        yield stretch


def _open_video(options: InferOptions) -> Video:
    """The one video that the inputs are, or a stretch of it."""
    videos = open_videos(options.input, bands=_bands(options.bands))
    if len(videos) > 1:
        raise OptionError(f'--input: {", ".join(video.name for video in videos[:3])} are {len(videos)} videos; '
                          'super-resolve one at a time')
    video = videos[0]
    return Excerpt(video, options.start, options.end) if options.start or options.end is not None else video


def _bands(chosen: Sequence[int | str] | None) -> Any:
    if not chosen:
        return 'all'
    if 'frames' in chosen:
        if len(chosen) > 1:
            raise OptionError('--bands: either numbers, or "frames" alone')
        return 'frames'
    return tuple(chosen)


def _device(name: str, processes: Processes) -> str:
    """Each process on a computer takes a GPU of its own."""
    if processes.count > 1 and name in ('auto', 'cuda') and torch.cuda.is_available():
        return f'cuda:{processes.local_rank % torch.cuda.device_count()}'
    return name


def _plan(options: InferOptions, loaded: LoadedNetwork, video: Video) -> dict[str, Any]:
    """All that decides what the output looks like: a run with another plan does not go on where this one stopped.

    Tiles and number formats are left out: they change nothing that could be seen, and a run that ran out of memory
    must be able to go on with smaller ones.
    """
    return {
        'input': [str(Path(name).resolve()) for name in options.input], 'bands': options.bands,
        'format': list(video.format), 'start': options.start, 'end': options.end, 'padding': options.padding,
        'network': loaded.description, 'weights': loaded.weights and crc32_of(loaded.weights),
        'version': satvsr_plugin.__version__,
    }


def _say(remark: str | Path | None) -> None:
    if remark:
        print(remark, file=sys.stderr)


def _say_nothing(_: str | Path | None) -> None:
    """What the first process says, the others need not repeat."""
