"""RGB and YCbCr in torch, with the coefficients of SOF-VSR (ITU-R BT.601, limited range, three decimals).

Values are in [0, 1] on all sides: Y in [16/255, 235/255], Cb and Cr in [16/255, 240/255]. Rounded as they are, the two
directions undo one another to 0.003 only. The metrics have their own, exact coefficients (``metrics.pixels``).
"""

from __future__ import annotations

from torch import Tensor, stack

from satvsr_plugin.errors import OptionError

BLACK = 16 / 255
NEUTRAL = 128 / 255


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """Args: rgb (..., 3, h, w) in [0, 1]. Returns: Y, Cb, Cr, of the same shape."""
    r, g, b = rgb.unbind(-3)
    y = 0.257 * r + 0.504 * g + 0.098 * b + BLACK
    cb = -0.148 * r - 0.291 * g + 0.439 * b + NEUTRAL
    cr = 0.439 * r - 0.368 * g - 0.071 * b + NEUTRAL
    return stack([y, cb, cr], -3)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """Args: ycbcr (..., 3, h, w). Returns: R, G, B, of the same shape; not clipped."""
    y, cb, cr = ycbcr.unbind(-3)
    y, cb, cr = 1.164 * (y - BLACK), cb - NEUTRAL, cr - NEUTRAL
    return stack([y + 1.596 * cr, y - 0.392 * cb - 0.813 * cr, y + 2.017 * cb], -3)


def luma(picture: Tensor) -> Tensor:
    """Y of RGB; a picture of one band is its own Y.

    Args:
        picture: (..., 3 or 1, h, w) in [0, 1].

    Returns:
        (..., 1, h, w).

    Raises:
        OptionError: another number of bands.
    """
    bands = picture.shape[-3]
    if bands == 1:
        return picture
    if bands != 3:
        raise OptionError(f'Y exists for pictures of 3 bands (RGB) or 1, these have {bands}; '
                          'use a network and losses that work on all bands')
    return rgb_to_ycbcr(picture)[..., :1, :, :]
