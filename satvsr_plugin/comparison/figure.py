"""Draws one frame as several systems show it: the whole frame, and beside it the same crop of each, enlarged."""

from __future__ import annotations

import math

import cv2
import numpy as np

from satvsr_plugin.comparison.crop import Crop
from satvsr_plugin.comparison.scene import Scene
from satvsr_plugin.metrics import satvsr_psnr

_TILE = 320  # enlarged crops are about as large, in pixels
_GAP = 12
_LINE = 24  # height of a line of text
_FONT = cv2.FONT_HERSHEY_DUPLEX
_FONT_SCALE = 0.6
_WHITE, _BLACK, _RED = (255, 255, 255), (0, 0, 0), (230, 30, 30)


def draw_figure(scene: Scene, crop: Crop) -> np.ndarray:
    """Lay out the figure.

    Args:
        scene: the pictures, and the ground truth if there is one; else the last picture is shown as a whole.
        crop: the part to enlarge, without interpolation.

    Returns:
        (h, w, 3) uint8 RGB: the whole frame with the crop's frame in red, and one enlarged crop a system, with its
        name and the PSNR of the whole frame, in one or two rows.
    """
    images = dict(scene.pictures) if scene.gt is None else {**scene.pictures, 'GT': scene.gt}
    whole = list(images.values())[-1]
    peak = 255 if whole.dtype == np.uint8 else int(whole.max())  # 16 bit files often hold 10 to 12 bit data
    tiles = [
        _with_caption(_enlarge(_displayable(crop.of(image), peak)), [name, _psnr(scene, name)])
        for name, image in images.items()
    ]
    grid = _grid(tiles, rows=1 if len(tiles) <= 3 else 2)
    title = [f'clip {scene.clip}, frame {scene.frame}',
             '' if scene.gt is None else f'dB: PSNR ({_color(scene.gt)}) of the whole frame']
    overview = _overview(_displayable(whole, peak), crop, grid.shape[0] - len(title) * _LINE)
    figure = np.hstack([_with_caption(overview, title), _blank(grid.shape[0], _GAP), grid])
    return cv2.copyMakeBorder(figure, _GAP, _GAP, _GAP, _GAP, cv2.BORDER_CONSTANT, value=_WHITE)


def _psnr(scene: Scene, name: str) -> str:
    if scene.gt is None or name not in scene.pictures:
        return ''
    picture, gt = scene.pictures[name], scene.gt
    if gt.shape[2] == 3:
        picture, gt = picture[..., ::-1], gt[..., ::-1]  # the metric expects BGR
    return f'{satvsr_psnr(picture, gt, color="y" if _color(gt) == "Y" else "rgb"):.2f} dB'


def _color(gt: np.ndarray) -> str:
    """What the PSNR is of: Y, as published, where the bands have one."""
    return 'Y' if gt.shape[2] in (1, 3) else 'all bands'


def _displayable(image: np.ndarray, peak: int) -> np.ndarray:
    """(h, w, bands) of any depth to (h, w, 3) uint8: the first three bands, or the first alone as grey."""
    bands = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    return np.ascontiguousarray(np.clip(bands / max(peak, 1) * 255 + 0.5, 0, 255).astype(np.uint8))


def _enlarge(crop: np.ndarray) -> np.ndarray:
    """By the whole factor that comes closest to the size of a tile; every pixel stays a square."""
    factor = max(1, round(_TILE / crop.shape[0]))
    return crop.repeat(factor, axis=0).repeat(factor, axis=1)


def _overview(whole: np.ndarray, crop: Crop, height: int) -> np.ndarray:
    """The whole frame, resized to a height, with the crop's outline."""
    scale = height / whole.shape[0]
    size = (max(1, round(whole.shape[1] * scale)), height)
    resized = cv2.resize(whole, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    corners = [(math.floor(x * scale), math.floor(y * scale)) for x, y in _corners(crop)]
    return cv2.rectangle(resized, *corners, color=_RED, thickness=2)


def _corners(crop: Crop) -> list[tuple[int, int]]:
    return [(crop.x, crop.y), (crop.x + crop.size - 1, crop.y + crop.size - 1)]


def _with_caption(image: np.ndarray, lines: list[str]) -> np.ndarray:
    """Put centred lines of text under an image."""
    caption = _blank(len(lines) * _LINE, image.shape[1])
    for number, line in enumerate(lines):
        width = cv2.getTextSize(line, _FONT, _FONT_SCALE, 1)[0][0]
        scale = _FONT_SCALE * min(1.0, image.shape[1] / max(width, 1))  # a long name becomes smaller
        width = cv2.getTextSize(line, _FONT, scale, 1)[0][0]
        origin = (max(0, (image.shape[1] - width) // 2), (number + 1) * _LINE - 6)
        cv2.putText(caption, line, origin, _FONT, scale, _BLACK, 1, cv2.LINE_AA)
    return np.vstack([image, caption])


def _grid(tiles: list[np.ndarray], rows: int) -> np.ndarray:
    """Lay tiles of one size in rows, left to right; the last row may be shorter."""
    columns = math.ceil(len(tiles) / rows)
    height, width = tiles[0].shape[:2]
    canvas = _blank(rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP)
    for number, tile in enumerate(tiles):
        y, x = (number // columns) * (height + _GAP), (number % columns) * (width + _GAP)
        canvas[y : y + height, x : x + width] = tile
    return canvas


def _blank(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), _WHITE, np.uint8)
