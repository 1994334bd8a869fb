"""Scores of a finished output where there is ground truth."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import numpy as np

from satvsr_plugin.data.video import open_videos
from satvsr_plugin.errors import DataError
from satvsr_plugin.metrics.psnr_ssim import satvsr_psnr, satvsr_ssim


def compare_with_gt(output: Path, gt: Path) -> str:
    """PSNR and SSIM of every frame of an output, read back from its files, and their means.

    Y of BT.601 for pictures of one or three bands, as in published tables; otherwise all bands.

    Args:
        output: what was written.
        gt: folder, video or pattern of the true frames, as many and in the same order.

    Returns:
        A table to print.

    Raises:
        DataError: the GT cannot be read, or has another number or size of frames.
    """
    (result,), (truth,) = open_videos([output], bands='all'), open_videos([gt], bands='all')
    if result.format != truth.format:
        raise DataError(f'--compare {gt}: frames are {truth.format}, but those of {output} are {result.format}')
    color = 'y' if result.format.channels in (1, 3) else 'rgb'
    scores = []
    for index, (ours, true) in enumerate(zip_longest(result.frames(), truth.frames())):
        if ours is None or true is None:
            short, other = (output, gt) if ours is None else (gt, output)
            raise DataError(f'--compare {gt}: {short} ends after {index} frames, but {other} goes on')
        images = [frame.image[..., ::-1] if frame.image.shape[2] == 3 else frame.image for frame in (ours, true)]
        scores.append((satvsr_psnr(*images, color=color), satvsr_ssim(*images, color=color)))
    lines = [f'{index:5}  {psnr:8.3f}  {ssim:.4f}' for index, (psnr, ssim) in enumerate(scores)]
    mean = np.mean(scores, axis=0)
    what = 'on Y' if color == 'y' else 'on all bands'
    return '\n'.join([f'frame      PSNR    SSIM  ({what})', *lines, f' mean  {mean[0]:8.3f}  {mean[1]:.4f}'])
