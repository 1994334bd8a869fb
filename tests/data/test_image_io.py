"""Single images: what is stored is read again, and nothing but our own words about what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.image_check import check_image
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.errors import DataError


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('bands', [1, 3, 4])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_images_come_back_as_they_were_without_a_word(tmp_path: Path, capfd, suffix: str, bands: int,
                                                      dtype: type) -> None:
    image = np.random.default_rng(0).integers(np.iinfo(dtype).max + 1, size=(5, 7, bands), dtype=dtype)
    write_image(tmp_path / f'image{suffix}', image)
    found = read_image(tmp_path / f'image{suffix}')
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)
    assert capfd.readouterr().err == ''  # OpenCV warns of its own TIFF files with four bands


@pytest.mark.parametrize('bands', [2, 5])
def test_bands_that_no_format_takes(tmp_path: Path, bands: int) -> None:
    with pytest.raises(DataError, match=rf'x.png: cannot encode .*\(4, 4, {bands}\).* take 1, 3 or 4 bands'):
        write_image(tmp_path / 'x.png', np.zeros((4, 4, bands), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings('ignore:Dataset has no geotransform')
@pytest.mark.parametrize('options', [{}, {'photometric': 'RGB'}, {'photometric': 'MINISBLACK'},
                                     {'photometric': 'RGB', 'ALPHA': 'NO'}, {'photometric': 'RGB', 'ALPHA': 'YES'}])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 5])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_geotiff_is_read_right_or_refused(tmp_path: Path, bands: int, dtype: type, options: dict[str, str]) -> None:
    """As GDAL writes it; OpenCV 5 reads many of these wrongly without a word."""
    rasterio = pytest.importorskip('rasterio', reason='needs rasterio')
    image = np.random.default_rng(0).integers(np.iinfo(dtype).max + 1, size=(8, 9, bands), dtype=dtype)
    path = tmp_path / 'x.tif'
    with rasterio.open(path, 'w', driver='GTiff', height=8, width=9, count=bands, dtype=dtype, **options) as file:
        file.write(image.transpose(2, 0, 1))
    usual = bands == 1 or (bands == 3 and (options.get('photometric') == 'RGB' or (dtype == np.uint8 and not options)))
    try:
        np.testing.assert_array_equal(read_image(path), image)
        assert check_image(path.read_bytes(), 'x') == (8, 9, bands, 8 * np.dtype(dtype).itemsize)
    except DataError as error:
        assert not usual
        assert ('would read the bands of this TIFF wrongly' if bands < 5 else 'x.tif: ') in str(error)
