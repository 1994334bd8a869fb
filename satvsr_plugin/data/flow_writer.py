"""Folders of LR clips into the files of their optical flow, see :mod:`~satvsr_plugin.data.flow_files`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from satvsr_plugin.atomic import put_in_place, resumable, written_beside
from satvsr_plugin.data.clip_source import unlike_its_clip
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.flow_files import flow_file
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_io import read_image, stat_file
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.data.windows import window_indices
from satvsr_plugin.disk import require_space
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.ops.opencv_flow import METHODS, opencv_flow, to_grey
from satvsr_plugin.parallel import ordered_map

GO_ON = 'Mend this and run the same command again: it goes on where it stopped'


class Summary(NamedTuple):
    """What was written."""

    clips: int
    frames: int
    taken_up: int  # frames of these that a run before had finished
    seconds: float


class Window(NamedTuple):
    """A frame, and all frames of the window round it."""

    clip: str
    frames: tuple[str, ...]  # the frame itself in the middle
    format: FrameFormat

    def __str__(self) -> str:
        return f'{self.clip}/{self.frames[len(self.frames) // 2]}'

    @property
    def target(self) -> Path:
        """The flow file, below its folder."""
        return Path(self.clip) / flow_file(self.frames[len(self.frames) // 2])


@dataclass(frozen=True)
class FlowMaker:
    """Makes the flow file of one frame; what worker processes do."""

    root: Path  # of the LR clips
    folder: Path  # of the flow files
    method: str

    def __call__(self, window: Window) -> str | None:
        """Write the file.

        Returns:
            What is wrong with the frames: one of them is damaged or unlike the others of its clip.

        Raises:
            DataError: the file cannot be written.
        """
        try:
            frames = {frame: self._read(window, frame) for frame in set(window.frames)}
        except DataError as error:
            return str(error)
        grey = to_grey(np.stack([frames[frame] for frame in window.frames]))
        flows = opencv_flow(grey, len(grey) // 2, self.method).astype(np.float16)
        path = self.folder / window.target
        try:
            content = BytesIO()
            np.save(content, flows)  # into a file it would not notice a full disk
            with written_beside(path) as partial:
                partial.write_bytes(content.getbuffer())
        except OSError as error:
            raise DataError(f'{path}: cannot write: {error.strerror}') from error
        return None

    def _read(self, window: Window, frame: str) -> np.ndarray:
        """(c, h, w) float32 in [0, 1]."""
        name = f'{self.root}: {window.clip}/{frame}'
        image = read_image(self.root / window.clip / frame, name)
        found = FrameFormat.of(image)
        if found != window.format:
            raise DataError(unlike_its_clip(name, found, window.format))
        return image.transpose(2, 0, 1).astype(np.float32) / (2**found.bit_depth - 1)


def write_flows(lq: ClipFolder, output: Path, method: str, num_frame: int, processes: int = 1) -> Summary:
    """Write ``output/<clip>/<frame>.npy`` for every frame of every clip.

    The folder appears when all of it is made. A run that is stopped, by whatever, leaves a hidden folder beside it, and
    the next run with the same arguments goes on there. Progress goes to stderr.

    Args:
        lq: the LR clips.
        output: the folder to make.
        method: ``dis`` or ``farneback``.
        num_frame: length of the window, odd and at least 3.
        processes: how many work at the same time.

    Raises:
        OptionError: a method or window that there is not.
        DataError: damaged or unequal frames, something lies at ``output``, another run is at work, a full disk.
    """
    start = time.monotonic()
    _check(lq, output, method, num_frame)
    windows = list(_list_windows(lq, num_frame))
    require_space(output, sum(_size(window) for window in windows))
    sources = [stat_file(lq.root / clip / frame) for clip, frames in lq.clips.items() for frame in frames]
    plan = [str(lq.root.resolve()), method, num_frame, [(status.st_size, status.st_mtime_ns) for status in sources],
            [str(window) for window in windows]]
    staging = output.with_name(f'.{output.name}.estimating')
    try:
        with resumable(staging, plan):
            maker = FlowMaker(lq.root, staging / 'new', method)
            taken_up, problems = _make(maker, windows, processes)
            if not problems:
                put_in_place(maker.folder, output)
    except OSError as error:
        raise DataError(f'{output}: cannot write there: {error.strerror}. {GO_ON}') from error
    raise_problems(str(lq.root), problems)
    return Summary(len(lq.clips), len(windows), taken_up, time.monotonic() - start)


def _check(lq: ClipFolder, output: Path, method: str, num_frame: int) -> None:
    if method not in METHODS:
        raise OptionError(f'method: {method} is none of {", ".join(METHODS)}')
    if num_frame < 3 or num_frame % 2 == 0:
        raise OptionError(f'num_frame: {num_frame} is not an odd number of at least 3')
    place, source = output.resolve(), lq.root.resolve()
    if source in (place, *place.parents):
        raise DataError(f'{output}: lies in the folder of the LR clips; choose another output folder')
    if os.path.lexists(output) and not (output.is_dir() and not any(output.iterdir())):
        raise DataError(f'{output}: is there already; remove it, or choose another output folder')


def _list_windows(lq: ClipFolder, num_frame: int) -> Iterator[Window]:
    for clip, frames in lq.clips.items():
        for centre in range(len(frames)):
            indices = window_indices(centre, len(frames), num_frame)
            yield Window(clip, tuple(frames[index] for index in indices), lq.format(clip))


def _size(window: Window) -> int:
    """Bytes of a flow file."""
    return 128 + (len(window.frames) - 1) * 2 * window.format.height * window.format.width * 2


def _make(maker: FlowMaker, windows: list[Window], processes: int) -> tuple[int, list[str]]:
    """Make the files that are missing; returns how many were there, and what is wrong with frames."""
    missing = [window for window in windows if not (maker.folder / window.target).exists()]
    taken_up = len(windows) - len(missing)
    if taken_up:
        print(f'{taken_up} of {len(windows)} frames were finished by an earlier run', file=sys.stderr)
    problems: dict[str, None] = {}  # a damaged frame is in several windows, but told once
    with (closing(ordered_map(maker, missing, processes)) as results,
          tqdm(total=len(windows), initial=taken_up, unit='frame', desc='estimating flow') as progress):
        for _, result in results:
            if isinstance(result, DataError):
                raise DataError(f'{result}. {GO_ON}')
            if result:
                problems[result] = None
            progress.update()
    return taken_up, list(problems)
