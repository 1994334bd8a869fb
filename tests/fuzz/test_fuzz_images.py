"""Damaged image files: each is refused, or it is read the same way by all that read it."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzing import damaged, fuzz, outcome
from hypothesis import example, given
from hypothesis import strategies as st

from satvsr_plugin.data import Jilin189Dataset
from satvsr_plugin.data.frame_format import FrameFormat
from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import decode_image, encode_image, write_image
from satvsr_plugin.data.png import SIGNATURE, first_rows
from satvsr_plugin.errors import DataError, SatVSRError

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
KINDS = {
    '.png': encode_image('.png', IMAGE, 'png'),
    '.png 16': encode_image('.png', IMAGE.astype(np.uint16) * 257, 'png'),
    '.png smooth': encode_image('.png', np.zeros((64, 64, 1), np.uint8), 'png'),
    '.tif': encode_image('.tif', IMAGE, 'tif'),
    '.tif plain': encode_image('.tif', IMAGE, 'tif', [cv2.IMWRITE_TIFF_COMPRESSION, 1]),
    '.bmp': encode_image('.bmp', IMAGE, 'bmp'),
    '.jpg': encode_image('.jpg', IMAGE, 'jpg'),
}
FORM = FrameFormat.of(IMAGE)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def header(width: int = 20, height: int = 16, depth: int = 8, colour: int = 2, *rest: int) -> bytes:
    return chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, *(*rest, 0, 0, 0)[:3]))


ROWS = zlib.compress(b''.join(b'\0' + row.tobytes() for row in IMAGE))
CHUNKS = [header(), chunk(b'IDAT', ROWS[:300]), chunk(b'IDAT', ROWS[300:]), chunk(b'IEND', b'')]

sizes = st.sampled_from([0, 1, 15, 16, 17, 20, 2**15, 2**16, 2**20, 2**24, 2**31 - 1, 2**31, 2**32 - 1])
odd_chunks = st.one_of(
    st.builds(header, sizes, sizes, st.sampled_from([0, 1, 2, 4, 8, 16, 32, 255]), st.integers(0, 8),
              st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.builds(chunk, st.sampled_from([b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'gAMA', b'iCCP', b'zTXt', b'eXIf', b'acTL',
                                      b'fcTL', b'fdAT', b'IEND', b'aaaa', b'\0\0\0\0']),
              st.binary(max_size=40) | st.sampled_from([ROWS, zlib.compress(bytes(10**6)), ROWS[2:], bytes(1024)])),
    st.sampled_from(CHUNKS))


@st.composite
def odd_pngs(draw: st.DrawFn) -> bytes:
    """PNGs of sound chunks, right checksums included, that need not make a picture."""
    parts = list(CHUNKS)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(parts) - 1, 0)))
        match draw(st.sampled_from(['replace', 'insert', 'delete', 'swap'])):
            case 'replace' if parts:
                parts[place] = draw(odd_chunks)
            case 'insert':
                parts.insert(place, draw(odd_chunks))
            case 'delete' if parts:
                del parts[place]
            case 'swap' if parts:
                parts[place], parts[0] = parts[0], parts[place]
    return SIGNATURE + b''.join(parts)


def judge(content: bytes) -> None:
    """All readers end well, and where two of them take the file, they agree."""
    image = outcome(lambda: decode_image(content, 'a frame'), names='a frame')
    form = outcome(lambda: check_image(content, 'a frame'), names='a frame')
    decoded = isinstance(image, np.ndarray)
    if decoded:
        assert image.ndim == 3 and image.dtype in (np.uint8, np.uint16) and image.size
        if isinstance(form, FrameFormat):
            assert form == FrameFormat.of(image)
    for rows in (1, 9, 16):
        shortened = outcome(lambda rows=rows: first_rows(content, rows, FORM))
        top = None if shortened is None else outcome(lambda shortened=shortened: decode_image(shortened, 'a frame'))
        if isinstance(top, np.ndarray):
            assert top.shape == (rows, 20, 3)
            if decoded and isinstance(form, FrameFormat):
                np.testing.assert_array_equal(top, image[:rows])


@fuzz(100)
@given(data=st.data())
def test_damaged_images(data: st.DataObject) -> None:
    judge(data.draw(damaged(data.draw(st.sampled_from(list(KINDS.values()))))))


@fuzz(100)
@given(content=odd_pngs())
@example(SIGNATURE + b''.join([header(), chunk(b'IDAT', bytes(100)), chunk(b'IEND', b'')]))
@example(SIGNATURE + b''.join([header(), chunk(b'IHDR', b''), *CHUNKS[1:]]))
def test_odd_pngs(content: bytes) -> None:
    judge(content)


STARTS = [b'', SIGNATURE, b'II*\0', b'MM\0*', b'II+\0', b'BM', b'\xff\xd8\xff', b'RIFF', b'GIF89a', b'P6\n',
          b'#?RADIANCE\n', b'v/1\1', b'\0\0\0\x0cjP  ']  # of formats that OpenCV knows


@fuzz(40)
@given(content=st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=60)))
def test_other_bytes(content: bytes) -> None:
    judge(content)


@pytest.mark.parametrize('pixels', [bytes(100), ROWS[2:], zlib.compress(bytes([5]) * 61 * 16)])
def test_pixels_that_no_decoder_takes_are_refused(pixels: bytes) -> None:
    content = SIGNATURE + header() + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    with pytest.raises(DataError, match='a frame: not a readable image .*not compressed'):
        check_image(content, 'a frame')


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of three frames of noise, LR and GT."""
    folder = tmp_path_factory.mktemp('clips')
    for clip in ('000', '001'):
        for frame in range(3):
            write_image(folder / 'LR4x' / clip / f'{frame}.png', IMAGE)
            write_image(folder / 'GT' / clip / f'{frame}.png', IMAGE.repeat(4, 0).repeat(4, 1))
    return folder


@fuzz(40)
@given(data=st.data())
def test_items_of_a_data_set(clips: Path, data: st.DataObject) -> None:
    """A sample has the right size and pixels of the file, or the frame is named."""
    random.seed(0)
    file = clips / data.draw(st.sampled_from(['LR4x', 'GT'])) / '000' / data.draw(st.sampled_from(['0.png', '1.png']))
    sound = file.read_bytes()
    file.write_bytes(data.draw(odd_pngs() | damaged(sound) | st.sampled_from(list(KINDS.values()))))
    try:
        options = {'name': 'fuzz', 'type': 'Jilin189Dataset', 'phase': 'train', 'scale': 4, 'dataroot': str(clips),
                   'gt_size': 32, 'num_frame': 3}
        dataset = outcome(lambda: Jilin189Dataset(options), names=f'000/{file.name}')
        if isinstance(dataset, SatVSRError):
            return
        for index in range(3):
            sample = outcome(lambda index=index: dataset[index], names=f'000/{file.name}')
            if not isinstance(sample, SatVSRError):
                assert sample['lq'].shape == (3, 3, 8, 8) and sample['gt'].shape == (3, 32, 32)
                assert sample['lq'].min() >= 0 and sample['lq'].max() <= 1
    finally:
        file.write_bytes(sound)
