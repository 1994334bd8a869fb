"""Results as GeoTIFF: what the input says about its place, its bands and its nodata, scaled."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from satvsr_plugin.data.video import Frame
from satvsr_plugin.data.video.extras import load_extra
from satvsr_plugin.data.video.raster import page_place
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.nodata import blacken, enlarge_valid, put_nodata

TIFF_SUFFIXES = ('.tif', '.tiff')
LAYOUT = {'compress': 'deflate', 'predictor': 2, 'tiled': True, 'interleave': 'pixel', 'BIGTIFF': 'IF_SAFER'}
# GDAL's own descriptions of a file: they are made anew for the new one.
OWN_NAMESPACES = ('IMAGE_STRUCTURE', 'DERIVED_SUBDATASETS', 'SUBDATASETS', 'RPC')


class _Band(NamedTuple):
    """What a file says about a band."""

    description: str | None
    colour: Any
    unit: str | None
    scale: float
    offset: float
    tags: dict[str, str]


class _Header(NamedTuple):
    """What a file says about its picture.

    Attributes:
        place: CRS, geotransform, ground control points and RPC, as rasterio's ``open`` takes them.
        nodata: a grey level, None where none is declared.
        tags: by namespace.
        bands: of the picture; empty where the picture's channels are not bands of the file, as of palettes.
    """

    place: dict[str, Any]
    nodata: int | None
    tags: dict[str | None, dict[str, str]]
    bands: list[_Band]


def encode_geotiff(image: np.ndarray, frame: Frame, scale: int) -> bytes:
    """The bytes of a TIFF file, losslessly compressed.

    Pixels become ``scale`` times smaller on the ground and the upper left corner stays; ground control points and the
    RPC model are scaled alike. CRS, band names, colour interpretation, units, tags and nodata value are the input's.
    Where the input has no data there is none: as the input has it, by nodata value, alpha or mask.

    Args:
        image: (scale * h, scale * w, c) uint8 or uint16.
        frame: what was super-resolved; its image is not looked at.
        scale: how many times larger the result is.

    Raises:
        DataError: rasterio is not installed, or the input cannot be read.
    """
    rasterio = load_extra('rasterio', f'{frame.name}: TIFF files')
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.MemoryFile() as memory:
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        header = _read_header(rasterio, frame, image, scale)
        valid = None if frame.valid is None else enlarge_valid(frame.valid, scale)
        pixels, mask = _mark(rasterio, image, valid, header)
        height, width, count = image.shape
        with memory.open(driver='GTiff', height=height, width=width, count=count, dtype=image.dtype.name,
                         nodata=header.nodata, **header.place, **_colour_model(rasterio, header, count),
                         **LAYOUT) as dataset:
            _describe(dataset, header)
            dataset.write(pixels.transpose(2, 0, 1))
            if mask is not None:
                dataset.write_mask(mask)
        return memory.read()


def _read_header(rasterio: ModuleType, frame: Frame, image: np.ndarray, scale: int) -> _Header:
    if frame.path is None or frame.path.suffix.lower() not in TIFF_SUFFIXES:
        return _Header({}, None, {}, [])
    try:
        with rasterio.open(page_place(frame.path, frame.offset)) as dataset:
            numbers = frame.bands or range(1, dataset.count + 1)
            bands = [_read_band(dataset, number) for number in numbers] if len(numbers) == image.shape[2] else []
            spaces = [None, *(space for space in dataset.tag_namespaces()
                              if space not in OWN_NAMESPACES and not space.startswith('xml:'))]
            tags = {space: dataset.tags(ns=space) for space in spaces}
            place = _scaled_place(rasterio, dataset, scale)
            return _Header(place, _grey_level(dataset.nodata, image.dtype), tags, bands)
    except rasterio.errors.RasterioError as error:
        why = error.__cause__ or error
        raise DataError(f'{frame.name}: cannot be read any more ({why}); restore the file') from error


def _read_band(dataset: Any, number: int) -> _Band:
    at = number - 1
    # statistics are of the input's pixels
    tags = {key: value for key, value in dataset.tags(number).items() if not key.startswith('STATISTICS_')}
    return _Band(dataset.descriptions[at], dataset.colorinterp[at], dataset.units[at], dataset.scales[at],
                 dataset.offsets[at], tags)


def _grey_level(nodata: float | None, dtype: np.dtype) -> int | None:
    """A nodata value that pixels can have: others, such as -9999, mark nothing in files of whole positive numbers."""
    if nodata is None or not 0 <= nodata <= np.iinfo(dtype).max or nodata != int(nodata):
        return None
    return int(nodata)


def _scaled_place(rasterio: ModuleType, dataset: Any, scale: int) -> dict[str, Any]:
    place: dict[str, Any] = {}
    points, crs = dataset.gcps
    if points:
        control = rasterio.control.GroundControlPoint
        place['gcps'] = [control(point.row * scale, point.col * scale, point.x, point.y, point.z, point.id, point.info)
                         for point in points]
        place['crs'] = crs
    elif dataset.crs or not dataset.transform.is_identity:
        place['crs'] = dataset.crs
        place['transform'] = dataset.transform @ rasterio.Affine.scale(1 / scale)
    if dataset.rpcs:
        place['rpcs'] = _scaled_rpc(dataset.rpcs, scale)
    return place


def _scaled_rpc(rpc: Any, scale: int) -> Any:
    """An RPC model of larger pictures; its lines and samples count from the middle of the first pixel."""
    fields = {**rpc.to_dict(), 'line_off': (rpc.line_off + 0.5) * scale - 0.5, 'line_scale': rpc.line_scale * scale,
              'samp_off': (rpc.samp_off + 0.5) * scale - 0.5, 'samp_scale': rpc.samp_scale * scale}
    return type(rpc)(**fields)


def _colour_model(rasterio: ModuleType, header: _Header, count: int) -> dict[str, str]:
    meaning = rasterio.enums.ColorInterp
    colours = [band.colour for band in header.bands]
    rgb = colours[:3] == [meaning.red, meaning.green, meaning.blue] or (not colours and count in (3, 4))
    alpha = meaning.alpha in colours or (not colours and count == 4)
    return {'photometric': 'RGB' if rgb else 'MINISBLACK', 'ALPHA': 'UNSPECIFIED' if alpha else 'NO'}


def _mark(rasterio: ModuleType, image: np.ndarray, valid: np.ndarray | None,
          header: _Header) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels, places without data marked in the way of the input, and the mask where it takes one."""
    if header.nodata is not None:
        return put_nodata(image, valid, header.nodata), None
    if valid is None:
        return image, None
    pixels = blacken(image, valid)
    colours = [band.colour for band in header.bands]
    if rasterio.enums.ColorInterp.alpha not in colours:
        return pixels, valid
    pixels[..., colours.index(rasterio.enums.ColorInterp.alpha)] = valid * np.iinfo(image.dtype).max
    return pixels, None


def _describe(dataset: Any, header: _Header) -> None:
    for space, tags in header.tags.items():
        dataset.update_tags(ns=space, **tags)
    if not header.bands:
        return
    dataset.colorinterp = [band.colour for band in header.bands]
    dataset.scales = [band.scale for band in header.bands]
    dataset.offsets = [band.offset for band in header.bands]
    dataset.units = [band.unit or '' for band in header.bands]
    for number, band in enumerate(header.bands, start=1):
        if band.description:
            dataset.set_band_description(number, band.description)
        dataset.update_tags(number, **band.tags)
