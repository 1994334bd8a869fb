"""Chooses the frames that the page shows, and packs their pictures into it without loss."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from satvsr_plugin.comparison.figures.gallery import Gallery
from satvsr_plugin.comparison.figures.pixels import displayable
from satvsr_plugin.comparison.figures.scene import GT
from satvsr_plugin.data.degradation import upsample
from satvsr_plugin.data.image_io import encode_image
from satvsr_plugin.parallel import available_processes

LIMIT = 60_000_000  # characters of pictures in a page: browsers of phones open it still
LOW, BICUBIC = 'LR (nearest)', 'Bicubic of LR'
_WEBP_SIZE = 16383  # WebP takes no larger height or width


@dataclass(frozen=True)
class PackedFrame:
    """One frame: a data URI of every source, in the order of :attr:`Packed.sources`."""

    clip: str
    frame: str
    width: int
    height: int
    uris: list[str]


@dataclass(frozen=True)
class Packed:
    """The pictures of a page.

    Attributes:
        sources: what can be looked at: the systems, then GT, bicubic and LR where they can be had.
        kinds: ``system``, ``gt``, ``bicubic`` or ``lr``, one a source.
        frames: clip by clip, in order.
        notes: what was left out, and why.
    """

    sources: list[str]
    kinds: list[str]
    frames: list[PackedFrame]
    notes: list[str]


def pack(gallery: Gallery, frames: int, bicubic: bool, limit: int = LIMIT) -> Packed:
    """Pack some frames of every clip.

    Args:
        gallery: the pictures.
        frames: how many of a clip, evenly spread; of three: the first, the middle one and the last.
        bicubic: whether to add the bicubic enlargement of LR, because no system is one.
        limit: how many characters the pictures may take. Before a clip is left out, all clips are cut down to
            their middle frame.

    Raises:
        DataError: a picture is missing or unreadable, or shapes or types differ.
    """
    listed = [(name, 'system') for name in gallery.systems] + [(GT, 'gt')] * (gallery.gt is not None)
    if gallery.lq is not None:
        listed += [(BICUBIC, 'bicubic')] * bicubic + [(LOW, 'lr')]
    sources, kinds = [name for name, _ in listed], [kind for _, kind in listed]
    wanted = list(by_importance(gallery.clips, frames))
    packed: list[PackedFrame] = []
    size = 0
    for clip, frame in wanted:
        candidate = _pack_frame(gallery, clip, frame, bicubic)
        size += sum(map(len, candidate.uris))
        if size > limit and packed:
            break
        packed.append(candidate)
    return Packed(sources, kinds, _in_order(packed, gallery.clips), _left_out(packed, wanted, limit))


def spread(count: int, frames: int) -> list[int]:
    """The numbers of ``frames`` of ``count`` frames, evenly spread, the most important first: the middle, the ends."""
    if frames == 1:
        return [count // 2]
    chosen = list(dict.fromkeys((2 * i * (count - 1) + frames - 1) // (2 * (frames - 1)) for i in range(frames)))
    return sorted(chosen, key=lambda i: (i not in (count // 2, 0, count - 1), i != count // 2, i))


def by_importance(clips: dict[str, list[str]], frames: int) -> Iterator[tuple[str, str]]:
    """One frame of every clip, then a second one of every clip, and so on."""
    chosen = {clip: [names[i] for i in spread(len(names), frames)] for clip, names in clips.items()}
    for turn in range(frames):
        for clip, names in chosen.items():
            if turn < len(names):
                yield clip, names[turn]


def data_uri(image: np.ndarray) -> str:
    """A (h, w, 3) uint8 RGB picture as WebP without loss, a third smaller than PNG; as PNG where that is too large."""
    if max(image.shape[:2]) > _WEBP_SIZE:
        return _uri('png', encode_image('.png', image, 'a picture of the page'))
    content = io.BytesIO()
    # of the methods and qualities (here: efforts), the smallest files for half the time of the smallest of all
    Image.fromarray(image).save(content, 'WEBP', lossless=True, method=2, quality=50)
    return _uri('webp', content.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def _pack_frame(gallery: Gallery, clip: str, frame: str, bicubic: bool) -> PackedFrame:
    scene = gallery.scene(clip, frame)
    height, width = scene.reference.shape[:2]
    pictures = list(scene.with_gt().values())
    low = gallery.low(clip, frame)
    if low is not None:
        pictures += [upsample(low, gallery.scale)] * bicubic + [low]
    peak = gallery.peak(clip)
    with ThreadPoolExecutor(min(8, available_processes())) as threads:  # the encoder lets other threads work
        uris = list(threads.map(lambda picture: data_uri(displayable(picture, peak)), pictures))
    return PackedFrame(clip, frame, width, height, uris)


def _in_order(packed: list[PackedFrame], clips: dict[str, list[str]]) -> list[PackedFrame]:
    order = list(clips)
    return sorted(packed, key=lambda found: (order.index(found.clip), clips[found.clip].index(found.frame)))


def _left_out(packed: list[PackedFrame], wanted: list[tuple[str, str]], limit: int) -> list[str]:
    if len(packed) == len(wanted):
        return []
    clips, all_clips = len({found.clip for found in packed}), len({clip for clip, _ in wanted})
    return [f'the page shows {len(packed)} frames of {clips} clips instead of {len(wanted)} of {all_clips}, since '
            f'its pictures would take more than {limit / 1e6:g} MB; compare fewer systems to see more']
