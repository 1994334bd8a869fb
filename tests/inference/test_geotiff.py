"""Results as TIFF: place, bands, tags and nodata of the input, scaled."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_outputs import Frames, enlarged, images, noise, open_one, upscale

from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.sinks import open_sink

rasterio = pytest.importorskip('rasterio')

H, W, SCALE = 20, 30, 4
PLACE = rasterio.Affine(3, 0, 5e5, 0, -3, 4e6)


def write_tiff(path: Path, image: np.ndarray, **profile: Any) -> Path:
    height, width, count = image.shape
    profile = {'transform': PLACE, 'crs': 'EPSG:32651', **profile}
    with rasterio.open(path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=image.dtype,
                       **profile) as dataset:
        dataset.write(image.transpose(2, 0, 1))
    return path


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 5, 8])
def test_any_number_of_bands_at_its_place(tmp_path: Path, bands: int, dtype: type) -> None:
    image = noise(H, W, bands, dtype=dtype)
    path = write_tiff(tmp_path / 'a.tif', image)
    with rasterio.open(path, 'r+') as dataset:
        dataset.descriptions = [f'band {number}' for number in range(bands)]
        dataset.update_tags(SENSOR='JL1', AREA_OR_POINT='Area')
        dataset.update_tags(ns='OURS', key='value')
        dataset.update_tags(1, wavelength='450', STATISTICS_MINIMUM='1')
        dataset.scales, dataset.offsets, dataset.units = [0.5] * bands, [1.0] * bands, ['W'] * bands
    upscale(tmp_path / 'out', open_one(path), SCALE)
    with rasterio.open(tmp_path / 'out' / 'a.tif') as result, rasterio.open(path) as source:
        np.testing.assert_array_equal(result.read().transpose(1, 2, 0), enlarged(image, SCALE), strict=True)
        assert result.transform == rasterio.Affine(0.75, 0, 5e5, 0, -0.75, 4e6)
        assert result.bounds == source.bounds and result.crs == source.crs
        for name in ('descriptions', 'colorinterp', 'nodata', 'scales', 'offsets', 'units', 'dtypes'):
            assert getattr(result, name) == getattr(source, name), name
        assert result.tags() == source.tags() and result.tags(ns='OURS') == {'key': 'value'}
        assert result.tags(1) == {'wavelength': '450'}


def test_pixels_that_are_points_stay_where_they_are(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / 'a.tif', noise(H, W, 3))
    with rasterio.open(path, 'r+') as dataset:
        dataset.update_tags(AREA_OR_POINT='Point')
    upscale(tmp_path / 'b.tif', open_one(path), SCALE)
    with rasterio.open(tmp_path / 'b.tif') as result, rasterio.open(path) as source:
        assert result.tags()['AREA_OR_POINT'] == 'Point'
        assert result.bounds == source.bounds


def test_control_points_and_rpc_are_scaled(tmp_path: Path) -> None:
    corners = [rasterio.control.GroundControlPoint(row, col, 100 + col / 10, 30 - row / 10, 5.0)
               for row in (0, H) for col in (0, W)]
    path = write_tiff(tmp_path / 'gcp.tif', noise(H, W, 1), transform=None, crs='EPSG:4326', gcps=corners)
    upscale(tmp_path / 'gcp', open_one(path), SCALE)
    with rasterio.open(tmp_path / 'gcp' / 'gcp.tif') as result:
        points, crs = result.gcps
        assert crs.to_epsg() == 4326
        assert [(point.row, point.col, point.x, point.y, point.z) for point in points] == [
            (SCALE * point.row, SCALE * point.col, point.x, point.y, point.z) for point in corners]

    terms = [[0.0] * 20 for _ in range(4)]
    terms[0][2] = terms[1][0] = terms[2][1] = terms[3][0] = 1.0  # line = latitude, sample = longitude, normalised
    rpc = rasterio.rpc.RPC(height_off=0, height_scale=100, lat_off=30, lat_scale=0.1, long_off=100, long_scale=0.1,
                           line_off=9.5, line_scale=10, samp_off=14.5, samp_scale=15, line_num_coeff=terms[0],
                           line_den_coeff=terms[1], samp_num_coeff=terms[2], samp_den_coeff=terms[3])
    path = write_tiff(tmp_path / 'rpc.tif', noise(H, W, 1), transform=None, crs=None, rpcs=rpc)
    upscale(tmp_path / 'rpc', open_one(path), SCALE)
    with rasterio.open(tmp_path / 'rpc' / 'rpc.tif') as result, rasterio.open(path) as source:
        where = [rasterio.transform.rowcol(file.rpcs, [99.95, 100.02], [30.03, 29.98], zs=[0, 0], op=float)
                 for file in (source, result)]
        np.testing.assert_allclose(np.array(where[1]), SCALE * np.array(where[0]), atol=1e-6)


def valid_places() -> np.ndarray:
    valid = np.ones((H, W), bool)
    valid[:, :6] = valid[12:15, 20:] = False
    return valid


@pytest.mark.parametrize('nodata', [0, 255])
def test_nodata_value_stays_nodata_and_nothing_else_becomes_it(tmp_path: Path, nodata: int) -> None:
    valid, image = valid_places(), noise(H, W, 3)
    image[~valid] = nodata
    image[0, 10], image[0, 11] = (nodata, 7, 7), (9, 9, 9)  # a band alone at that value is data
    upscale(tmp_path / 'out', open_one(write_tiff(tmp_path / 'a.tif', image, nodata=nodata)), SCALE)
    with rasterio.open(tmp_path / 'out' / 'a.tif') as result:
        pixels, large = result.read().transpose(1, 2, 0), enlarged(valid, SCALE)
        assert result.nodata == nodata
        np.testing.assert_array_equal(result.dataset_mask() > 0, large)
        assert (pixels[~large] == nodata).all() and (pixels[large] != nodata).all()
        assert np.abs(pixels.astype(int) - enlarged(image, SCALE)).max() == 1
        assert tuple(pixels[0, 41]) == ({0: 1, 255: 254}[nodata], 7, 7)


@pytest.mark.parametrize('kind', ['mask', 'mask beside', 'alpha'])
def test_masks_stay_masks(tmp_path: Path, kind: str) -> None:
    valid, image = valid_places(), noise(H, W, 3)
    if kind == 'alpha':
        image = np.dstack([image, valid * np.uint8(255)])
    path = write_tiff(tmp_path / 'a.tif', image, photometric='RGB', **({'alpha': 'YES'} if kind == 'alpha' else {}))
    if kind != 'alpha':
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=kind == 'mask'), rasterio.open(path, 'r+') as dataset:
            dataset.write_mask(valid)
    upscale(tmp_path / 'out', open_one(path), SCALE)
    assert os.listdir(tmp_path / 'out') == ['a.tif']
    with rasterio.open(tmp_path / 'out' / 'a.tif') as result, rasterio.open(path) as source:
        large = enlarged(valid, SCALE)
        assert result.count == source.count and result.colorinterp == source.colorinterp and result.nodata is None
        np.testing.assert_array_equal(result.dataset_mask() > 0, large)
        pixels = result.read().transpose(1, 2, 0)
        np.testing.assert_array_equal(pixels[large], enlarged(image, SCALE)[large])
        assert pixels[~large].max() == 0


def test_pages_and_chosen_bands(tmp_path: Path) -> None:
    scenes = [noise(H, W, 1, seed=seed, dtype=np.uint16) for seed in range(3)]
    import cv2
    assert cv2.imwritemulti(str(tmp_path / 'pages.tif'), scenes)
    upscale(tmp_path / 'pages', open_one(tmp_path / 'pages.tif'), SCALE)
    assert sorted(os.listdir(tmp_path / 'pages')) == [f'pages_00{number}.tif' for number in (1, 2, 3)]
    np.testing.assert_array_equal(images(tmp_path / 'pages'), [enlarged(scene, SCALE) for scene in scenes])
    image = noise(H, W, 5)
    path = write_tiff(tmp_path / 'five.tif', image)
    with rasterio.open(path, 'r+') as dataset:
        dataset.descriptions = ['blue', 'green', 'red', 'edge', 'nir']
    upscale(tmp_path / 'three', open_one(path, bands=(3, 2, 1)), SCALE)
    with rasterio.open(tmp_path / 'three' / 'five.tif') as result:
        assert result.descriptions == ('red', 'green', 'blue')
        np.testing.assert_array_equal(result.read().transpose(1, 2, 0), enlarged(image[..., [2, 1, 0]], SCALE))
    upscale(tmp_path / 'frames', open_one(path, bands='frames'), SCALE)
    with rasterio.open(tmp_path / 'frames' / 'five_005.tif') as result:
        assert result.descriptions == ('nir',) and result.transform.a == 0.75
        np.testing.assert_array_equal(result.read(1), enlarged(image[..., 4], SCALE))


def test_bands_that_png_does_not_hold_become_tiff(tmp_path: Path) -> None:
    image = noise(H, W, 5)
    upscale(tmp_path / 'out', Frames([image]), SCALE)
    np.testing.assert_array_equal(images(tmp_path / 'out' / '000000.tif')[0], enlarged(image, SCALE))


def test_one_picture_to_one_picture(tmp_path: Path) -> None:
    image = noise(H, W, 3)
    write_image(tmp_path / 'a.png', image)
    upscale(tmp_path / 'b.tif', open_one(tmp_path / 'a.png'), SCALE)
    np.testing.assert_array_equal(images(tmp_path / 'b.tif')[0], enlarged(image, SCALE))
    sink = upscale(tmp_path / 'c.png', open_one(write_tiff(tmp_path / 'a.tif', image)), SCALE)
    np.testing.assert_array_equal(images(tmp_path / 'c.png')[0], enlarged(image, SCALE))
    assert 'PNG holds neither georeference' in sink.remarks[0]
    assert sorted(os.listdir(tmp_path)) == ['a.png', 'a.tif', 'b.tif', 'c.png']


def test_rasterio_is_asked_for_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / 'a.tif', noise(H, W, 3))
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    with pytest.raises(DataError, match=r'out: TIFF files need the package rasterio.*satvsr-plugin\[geo\]'):
        open_sink(tmp_path / 'out', open_one(tmp_path / 'a.tif'), SCALE)
    assert os.listdir(tmp_path) == ['a.tif']
