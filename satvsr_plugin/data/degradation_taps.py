"""Separable resampling of frames in float64: which input samples make an output sample, and the sums over them.

A frame is resampled by two matrices, one from the left and one from the right. Both are zero except near their
diagonals, so they are cut into small blocks, and only those are multiplied.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 8  # output samples of a block: fewer zeros in smaller blocks, less overhead in larger ones
STRIP = 4  # blocks of rows in work at a time, so that all of it stays in the processor's cache


class Taps(NamedTuple):
    """What the output samples along one axis are made of."""

    indices: np.ndarray  # (size_out, taps) int, in [0, size_in - 1]; the same index may come several times
    weights: np.ndarray  # (size_out, taps) float64, each row sums to 1


class Block(NamedTuple):
    """A piece of a matrix of weights."""

    first_out: int
    first_in: int
    weights: np.ndarray  # (outputs, inputs) float64


def gaussian_taps(size: int, sigma: float, step: int = 1) -> Taps:
    """A Gaussian blur at the samples 0, step, 2 * step, ...; the border is mirrored without repeating its sample.

    The kernel reaches four standard deviations, rounded to whole samples: 13 taps for the 1.6 of VSR-DUF.

    Args:
        size: number of input samples.
        sigma: standard deviation in samples; 0 leaves them as they are.
        step: distance of the samples that are kept.
    """
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2) if radius else np.ones(1)
    period = max(2 * size - 2, 1)
    position = (np.arange(0, size, step)[:, None] + offsets) % period
    indices = np.minimum(position, period - position) if size > 1 else position
    return Taps(indices, np.broadcast_to(kernel / kernel.sum(), indices.shape))


def chained(first: Taps, then: Taps) -> Taps:
    """One step that does both, without rounding or storing what lies between."""
    size_out = len(then.indices)
    weights = then.weights[:, :, None] * first.weights[then.indices]
    return Taps(first.indices[then.indices].reshape(size_out, -1), weights.reshape(size_out, -1))


def as_blocks(taps: Taps) -> list[Block]:
    """The matrix of weights along its diagonal, ``BLOCK`` outputs at a time."""
    blocks = []
    for start in range(0, len(taps.indices), BLOCK):
        indices, weights = (part[start : start + BLOCK] for part in taps)
        first, last = indices.min(), indices.max()
        matrix = np.zeros((len(indices), last - first + 1))
        np.add.at(matrix, (np.arange(len(indices))[:, None], indices - first), weights)
        blocks.append(Block(start, int(first), matrix))
    return blocks


def resample(
    image: np.ndarray, rows: list[Block], columns: list[Block], dtype: np.dtype | type = np.float64
) -> np.ndarray:
    """Resample both axes of a frame.

    Args:
        image: (h, w, c), any type.
        rows: from h to h' samples.
        columns: from w to w' samples.
        dtype: of the result.

    Returns:
        (h', w', c): float64, neither rounded nor clipped, or an integer type, see :func:`rounded`.
    """
    _, width, channels = image.shape
    height_out, width_out = (blocks[-1].first_out + len(blocks[-1].weights) for blocks in (rows, columns))
    result = np.empty((height_out, width_out, channels), dtype)
    for start in range(0, len(rows), STRIP):
        lines = _multiply(rows[start : start + STRIP], image).reshape(-1, width, channels)  # (n, w, c)
        turned = _multiply(columns, lines.transpose(1, 0, 2)).reshape(width_out, -1, channels)  # (w', n, c)
        first = rows[start].first_out
        result[first : first + len(lines)] = rounded(turned, dtype).transpose(1, 0, 2)
    return result


def rounded(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Round float64 half up and clip to an integer type; for float64 the values as they are."""
    if not np.issubdtype(dtype, np.integer):
        return values
    whole = np.floor(values + 0.5)  # np.round would take halves to the even number
    return np.clip(whole, 0, np.iinfo(dtype).max, out=whole).astype(dtype)


def _multiply(blocks: list[Block], samples: np.ndarray) -> np.ndarray:
    """Weighted sums along the first axis of (size_in, n, c): (outputs of the blocks, n * c)."""
    first = min(block.first_in for block in blocks)
    end = max(block.first_in + block.weights.shape[1] for block in blocks)
    flat = np.ascontiguousarray(samples[first:end], float).reshape(end - first, -1)
    return np.concatenate([
        block.weights @ flat[block.first_in - first : block.first_in - first + block.weights.shape[1]]
        for block in blocks
    ])
