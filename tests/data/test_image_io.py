"""Single images: what is stored is read again, and nothing but our own words about what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
