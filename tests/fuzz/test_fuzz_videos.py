"""Damaged videos: frames of the right size up to the damage, or an error that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzzing import damaged, fuzz, outcome
from hypothesis import given
from hypothesis import strategies as st

from satvsr_plugin.data.video import open_videos
from satvsr_plugin.errors import SatVSRError

av = pytest.importorskip('av')
FRAMES = 6
SIZE = (32, 48, 3)
KINDS = {'.mp4': ('libx264', 'yuv420p'), '.avi': ('mpeg4', 'yuv420p'), '.mkv': ('ffv1', 'bgr0')}


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp('videos')
    return {suffix: write(folder / f'sound{suffix}', *kind) for suffix, kind in KINDS.items()}


def write(path: Path, codec: str, form: str) -> bytes:
    rng = np.random.default_rng(0)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = SIZE[0], SIZE[1], form
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rng.integers(0, 256, SIZE, np.uint8), 'rgb24')))
        container.mux(stream.encode())
    return path.read_bytes()


def read_all(path: Path) -> None:
    opened = outcome(lambda: open_videos([path]), names=path)
    if isinstance(opened, SatVSRError):
        return
    video, = opened
    shapes = []
    ended = outcome(lambda: shapes.extend(frame.image.shape for frame in video.frames()), names=path)
    assert len(set(shapes)) <= 1
    length = outcome(video.count, names=path)
    if ended is None and not isinstance(length, SatVSRError):
        assert len(shapes) == length > 0


@pytest.mark.parametrize('suffix', sorted(KINDS))
def test_sound_videos(videos: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    (tmp_path / f'sound{suffix}').write_bytes(videos[suffix])
    video, = open_videos([tmp_path / f'sound{suffix}'])
    assert [frame.image.shape for frame in video.frames()] == FRAMES * [SIZE]


@fuzz(45)
@given(data=st.data())
def test_damaged_videos(videos: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(sorted(KINDS)))
    content = videos[suffix]
    path = tmp_path / f'damaged{suffix}'
    path.write_bytes(data.draw(damaged(content) | st.integers(0, len(content)).map(lambda length: content[:length])))
    read_all(path)


@fuzz(15)
@given(data=st.data())
def test_videos_of_another_name(videos: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    """A container under the suffix of another one, and files that are no videos at all."""
    path = tmp_path / f'other{data.draw(st.sampled_from([*KINDS, ".y4m", ".ts", ".mpg", ".wmv"]))}'
    path.write_bytes(data.draw(st.sampled_from(sorted(videos.values())) | st.binary(max_size=200)))
    read_all(path)
