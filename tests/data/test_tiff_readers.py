"""TIFF and GeoTIFF as video: every value right, whatever the bands, tiles, pages and masks; faults named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from video_files import RGB, H, W, assert_holds, cut_short, noise, open_one, write_pages, write_tiff

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.video import open_videos
from satvsr_plugin.errors import DataError


@pytest.mark.parametrize('profile', [
    {}, {'photometric': 'RGB'}, {'photometric': 'RGB', 'BIGTIFF': 'YES'}, {'ENDIANNESS': 'BIG'},
    {'tiled': True, 'blockxsize': 16, 'blockysize': 16, 'compress': 'deflate'}, {'interleave': 'pixel'},
])
@pytest.mark.parametrize('bands', [1, 3, 4])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_geotiff_comes_out_exactly(tmp_path: Path, dtype: type, bands: int, profile: dict[str, object]) -> None:
    if bands == 1 and 'photometric' in profile:
        profile = {**profile, 'photometric': 'MINISBLACK'}
    scenes = [noise(H, W, bands, seed=seed, dtype=dtype) for seed in range(2)]
    for index, scene in enumerate(scenes):
        write_tiff(tmp_path / f'{index}.tif', scene, **profile)
    video = open_one(tmp_path)
    assert_holds(video, scenes)
    assert all(frame.valid is None for frame in video.frames())


def test_many_bands_are_chosen_from_or_are_frames(tmp_path: Path) -> None:
    scene = noise(H, W, 8, dtype=np.uint16)
    path = write_tiff(tmp_path / 'a.tif', scene)
    with pytest.raises(DataError, match='a.tif: has 8 bands; say which .*--bands 3 2 1'):
        open_videos([path])
    assert_holds(open_one(path, bands=(5, 3, 2)), [scene[..., [4, 2, 1]]])
    assert_holds(open_one(path, bands='frames'), [scene[..., band] for band in range(8)])
    with pytest.raises(DataError, match='a.tif: there is no band 9; the bands are numbered 1 to 8'):
        open_videos([path], (9,))
    write_image(tmp_path / 'b.png', noise(H, W, 4))
    assert_holds(open_one(tmp_path / 'b.png', bands=(3, 2, 1)), [noise(H, W, 4)[..., [2, 1, 0]]])


def test_nodata_and_masks(tmp_path: Path) -> None:
    import rasterio

    scene = noise(H, W, 3) | 1
    scene[:5, 7:20] = 0
    expected = (scene != 0).any(axis=2)
    with_value = write_tiff(tmp_path / 'a.tif', scene, nodata=0, photometric='RGB')
    with_mask = write_tiff(tmp_path / 'b.tif', scene, photometric='RGB')
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(with_mask, 'r+') as dataset:
        dataset.write_mask(expected)
    with_alpha = write_tiff(tmp_path / 'c.tif', np.dstack([scene, 255 * expected.astype(np.uint8)]), alpha='YES',
                            photometric='RGB')
    beside = write_tiff(tmp_path / 'd.tif', scene, photometric='RGB')
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(beside, 'r+') as dataset:
        dataset.write_mask(expected)
    assert (tmp_path / 'd.tif.msk').exists()
    for path in (with_value, with_mask, with_alpha, beside):
        (frame,) = open_one(path).frames()
        np.testing.assert_array_equal(frame.valid, expected)
        np.testing.assert_array_equal(frame.image[..., :3], scene)


def test_pages_are_frames_but_overviews_are_not(tmp_path: Path) -> None:
    import rasterio

    video = open_one(write_pages(tmp_path / 'pages.tif', RGB))
    assert_holds(video, RGB)
    assert [frame.name for frame in video.frames(2, 3)] == [f'{tmp_path}/pages.tif: page 3']
    single = write_tiff(tmp_path / 'single.tif', RGB[0], photometric='RGB')
    with rasterio.open(single, 'r+') as dataset:
        dataset.build_overviews([2, 4])
    assert_holds(open_one(single), RGB[:1])
    assert_holds(open_one(tmp_path / 'pages.tif', single), [*RGB, RGB[0]])


def test_tiff_files_that_are_no_good(tmp_path: Path) -> None:
    cut_short(write_tiff(tmp_path / 'cut.tif', noise(H, W, 4)), 0.7)
    cut_short(write_tiff(tmp_path / 'head.tif', noise(H, W, 3)), 0.01)
    write_tiff(tmp_path / 'signed.tif', noise(H, W, 3).astype(np.int16))
    write_tiff(tmp_path / 'float.tif', noise(H, W, 1).astype(np.float32))
    (tmp_path / 'text.tif').write_text('no picture')
    ring = bytearray(write_pages(tmp_path / 'ring.tif', RGB[:2]).read_bytes())
    first = struct.unpack_from('<I', ring, 4)[0]
    link = first + 2 + 12 * struct.unpack_from('<H', ring, first)[0]
    struct.pack_into('<I', ring, link, first)
    (tmp_path / 'ring.tif').write_bytes(ring)
    for name, message in (
        ('cut.tif', 'not a readable TIFF picture'), ('head.tif', 'not a readable TIFF file'),
        ('signed.tif', 'pixels are int16; only 8 and 16 bit unsigned'), ('float.tif', 'pixels are float32'),
        ('text.tif', 'not a readable TIFF file'), ('ring.tif', 'not a readable TIFF file'),
    ):
        with pytest.raises(DataError, match=f'{name}: {message}'):
            open_videos([tmp_path / name])
