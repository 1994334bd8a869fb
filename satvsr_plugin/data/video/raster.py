"""Pages of TIFF files through GDAL (rasterio): any number of bands, tiles, nodata areas and masks."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from satvsr_plugin.data.video.extras import load_extra
from satvsr_plugin.data.video.source import BandNumbers, check_bands
from satvsr_plugin.errors import DataError

PICTURE_BANDS = (1, 3, 4)  # what PNG can hold


def read_raster(
    path: Path, offset: int | None, bands: BandNumbers | None, name: str, any_number: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a page of a TIFF file.

    Args:
        path: the file.
        offset: of the page's directory in the file; None for the only page, with its overviews and masks.
        bands: which bands, from 1; None for all.
        name: how errors name the page.
        any_number: whether all bands make the picture, however many there are, where ``bands`` does not choose.

    Returns:
        (h, w, c) uint8 or uint16, values as stored, bands in the order of the file or of ``bands``; and (h, w) bool,
        false where the file declares no data (nodata value, mask, full transparency), None where it declares nothing.

    Raises:
        DataError: rasterio is not installed; the file is damaged; its values are not 8 or 16 bit unsigned; there is
            no such band, or there are 2 or more than 4 and neither ``bands`` nor ``any_number`` chooses.
    """
    rasterio = load_extra('rasterio', f'{name}: TIFF files of several pages, with nodata areas or of unusual bands')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(page_place(path, offset)) as dataset:
                chosen = _choose(dataset.count, bands, name, any_number)
                _check_type({dataset.dtypes[band - 1] for band in chosen}, path, name)
                return dataset.read(chosen).transpose(1, 2, 0), _valid(dataset, rasterio)
    except rasterio.errors.RasterioError as error:
        why = error.__cause__ or error
        raise DataError(f'{name}: not a readable TIFF picture ({why}); restore the file') from error


def page_place(path: Path, offset: int | None) -> str:
    """GDAL's name of a page of a TIFF file; ``offset`` of its directory, None for the only page."""
    return str(path) if offset is None else f'GTIFF_DIR:off:{offset}:{path}'


def _choose(count: int, bands: BandNumbers | None, name: str, any_number: bool) -> list[int]:
    if bands is not None:
        check_bands(bands, count, name)
        return list(bands)
    if count not in PICTURE_BANDS and not any_number:
        raise DataError(f'{name}: has {count} bands; say which make the picture, e.g. --bands 3 2 1, or with '
                        '--bands frames that each band is a frame')
    return list(range(1, count + 1))


def _check_type(found: set[str], path: Path, name: str) -> None:
    for kind in sorted(found - {'uint8', 'uint16'}):
        raise DataError(f'{name}: pixels are {kind}; only 8 and 16 bit unsigned integers are supported. Convert it, '
                        f'e.g. gdal_translate -ot UInt16 -scale LOW HIGH 0 65535 {path.name} new.tif')


def _valid(dataset: Any, rasterio: ModuleType) -> np.ndarray | None:
    everywhere = rasterio.enums.MaskFlags.all_valid
    if all(everywhere in flags for flags in dataset.mask_flag_enums):
        return None
    mask = dataset.dataset_mask()
    # GDAL calls the last of four 8-bit bands alpha where nobody says otherwise; near infrared has values in between
    return mask > 0 if np.isin(mask, (0, 255)).all() else None
