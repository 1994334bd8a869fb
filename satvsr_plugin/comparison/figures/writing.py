"""Draws all figures of a comparison and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.comparison.figures.choice import FigureChoice
from satvsr_plugin.comparison.figures.cost_plots import parameter_points, plot_cost, time_points
from satvsr_plugin.comparison.figures.crop import Crop, choose_crop
from satvsr_plugin.comparison.figures.crops import draw_crops
from satvsr_plugin.comparison.figures.frame_plots import PANELS, plot_frames
from satvsr_plugin.comparison.figures.gallery import Gallery
from satvsr_plugin.comparison.figures.palette import Style, styles
from satvsr_plugin.comparison.figures.pixels import displayable
from satvsr_plugin.comparison.figures.plots import as_png, as_svg, look
from satvsr_plugin.comparison.figures.scene import Scene
from satvsr_plugin.comparison.figures.scores import frame_scores, plane_of, psnr_of
from satvsr_plugin.comparison.figures.slices import draw_slices, shown_columns, textured_row
from satvsr_plugin.comparison.results import best_system
from satvsr_plugin.data.image_io import encode_image
from satvsr_plugin.errors import DataError, OptionError

if TYPE_CHECKING:
    from satvsr_plugin.comparison.cost import Cost
    from satvsr_plugin.comparison.results import System


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes:
        name: of its PNG file.
        title: a few words.
        caption: what it shows, in a sentence.
        png: the file's content.
        svg: the same as an ``<svg>`` element that takes the page's colours; None for pictures made of pixels.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: str | None = None


@dataclass(frozen=True)
class Figures:
    """All figures of a comparison, and what the page needs besides.

    Attributes:
        files: the PNG files written.
        notes: what could not be shown, and what to do about it.
        drawings: the figures, in the order of ``files``.
        gallery: the pictures of the systems, the ground truth and the LR frames.
        look: the style of every system.
    """

    files: list[Path]
    notes: list[str]
    drawings: list[Drawing]
    gallery: Gallery
    look: dict[str, Style]


def write_figures(
    systems: Sequence[System], costs: Mapping[str, Cost], output: Path, choice: FigureChoice
) -> Figures:
    """Draw all figures that the results allow, and write them into a folder.

    Args:
        systems: tested alike; the first is the baseline.
        costs: of the systems whose cost is known, by name.
        output: gets ``comparison.png`` (crops), ``comparison_slice.png``, ``comparison_frames.png`` and
            ``comparison_cost.png``; made if it is missing.
        choice: which frame, crop and row the figures show.

    Raises:
        OptionError: the choice does not fit the pictures. Nothing is written then.
        DataError: pictures are missing or damaged, or no system has any and something was chosen; nothing is written
            then. Or the folder cannot be written to.
    """
    gallery = Gallery(systems, choice.gt)
    style = styles([system.name for system in systems])
    notes = list(gallery.notes)
    drawings = _draw_pictures(systems, gallery, choice, style, notes)
    drawings += _draw_plots(systems, costs, style, notes)
    for drawing in drawings:
        _write(output / drawing.name, drawing.png)
    return Figures([output / drawing.name for drawing in drawings], notes, drawings, gallery, style)


def _draw_pictures(
    systems: Sequence[System], gallery: Gallery, choice: FigureChoice, style: Mapping[str, Style], notes: list[str]
) -> list[Drawing]:
    if not gallery.systems:
        if (choice.clip, choice.frame, choice.crop, choice.row) != (None,) * 4:
            raise DataError('no system has saved pictures to show a clip, frame, crop or row of; '
                            'test again with val.save_img: true')
        notes.append('no figure of crops and none of x-t slices: no system has saved pictures')
        return []
    scene = gallery.scene(*gallery.choose(choice.clip, choice.frame))
    crop = _crop(scene, systems, choice.crop)
    return [_crops(systems[0], gallery, scene, crop, style), _slice(gallery, scene, crop, choice.row, style)]


def _crop(scene: Scene, systems: Sequence[System], wanted: Crop | None) -> Crop:
    if wanted is not None:
        wanted.check(scene.reference)
        return wanted
    return choose_crop(scene, best_system([system for system in systems if system.name in scene.pictures]).name)


def _crops(baseline: System, gallery: Gallery, scene: Scene, crop: Crop, style: Mapping[str, Style]) -> Drawing:
    captions = {name: frame_scores(system.record, scene.clip, scene.frame) for name, system in gallery.systems.items()}
    plane = plane_of(baseline.record)
    of = f'PSNR{f" ({plane})" if plane else ""} and SSIM of the whole frame' if any(captions.values()) else ''
    figure = draw_crops(scene, crop, gallery.peak(scene.clip), captions, style, of)
    caption = (f'Clip {scene.clip}, frame {scene.frame}: the {crop.size}x{crop.size} pixels from column {crop.x} and '
               f'row {crop.y} on, enlarged without interpolation. {of + "." if of else ""}')
    return Drawing('comparison.png', 'Crops', caption.strip(), _png(figure))


def _slice(
    gallery: Gallery, scene: Scene, crop: Crop, wanted: int | None, style: Mapping[str, Style]
) -> Drawing:
    height, width = scene.reference.shape[:2]
    if wanted is not None and not 0 <= wanted < height:
        raise OptionError(f'--row {wanted}: the pictures have the rows 0 to {height - 1}')
    y = textured_row(scene.reference, crop) if wanted is None else wanted
    columns, peak = shown_columns(crop, width), gallery.peak(scene.clip)
    strips = {name: displayable(gallery.row(name, scene.clip, y, columns), peak) for name in scene.with_gt()}
    frames = gallery.clips[scene.clip]
    figure = draw_slices(strips, f'clip {scene.clip}, row {y}: frame by frame, from top to bottom', columns, frames,
                         style)
    caption = (f'Clip {scene.clip}: row {y} of all {len(frames)} frames, one under the other. Where nothing moves, '
               'lines are straight; ragged lines are flicker.')
    return Drawing('comparison_slice.png', 'x-t slice', caption, _png(figure))


def _draw_plots(
    systems: Sequence[System], costs: Mapping[str, Cost], style: Mapping[str, Style], notes: list[str]
) -> list[Drawing]:
    psnr = {system.name: system.record.average(name) for system in systems if (name := psnr_of(system.record))}
    scored = [system for system in systems if system.name in psnr]
    if not scored:
        notes.append('no plots: the tests have no PSNR; add satvsr_psnr to val.metrics and test again')
        return []
    return [_frames(scored, style, notes), *_cost(psnr, costs, style, notes)]


def _frames(systems: Sequence[System], style: Mapping[str, Style], notes: list[str]) -> Drawing:
    clips = len(systems[0].record.clips)
    if clips > PANELS:
        notes.append(f'the plot of PSNR over frames shows the first {PANELS} of {clips} clips')
    with look():
        return _plot('comparison_frames.png', 'PSNR of every frame', 'PSNR over the frame number, a panel a clip.',
                     plot_frames(systems, style))


def _cost(
    psnr: Mapping[str, float], costs: Mapping[str, Cost], style: Mapping[str, Style], notes: list[str]
) -> list[Drawing]:
    by_parameters, by_time = parameter_points(costs, psnr), time_points(costs, psnr)
    if not by_parameters:
        notes.append('no plot of PSNR against cost: the cost of no system is known')
        return []
    unknown = [name for name in psnr if name not in costs]
    if unknown:
        notes.append(f'not in the plot of PSNR against parameters, since the cost is not known: {", ".join(unknown)}')
    unmeasured = [point.name for point in by_parameters if point.name not in {timed.name for timed in by_time}]
    if by_time and unmeasured:
        notes.append(f'not in the plot of PSNR against time, since it was not measured: {", ".join(unmeasured)}')
    measured = [costs[point.name] for point in by_time]
    caption = 'PSNR (mean over clips) against parameters'
    if measured:
        machines = list(dict.fromkeys(cost.machine for cost in measured))
        caption += f' and against time, measured on {"; ".join(machines)}'
    sizes = list(dict.fromkeys(f'{cost.lq_size[1]}x{cost.lq_size[0]}' for cost in measured))
    with look():
        figure = plot_cost(by_parameters, by_time, f'milliseconds a frame (LR of {", ".join(sizes)})', style)
        return [_plot('comparison_cost.png', 'PSNR against cost', f'{caption}.', figure)]


def _plot(name: str, title: str, caption: str, figure: Figure) -> Drawing:
    return Drawing(name, title, caption, as_png(figure), as_svg(figure, Path(name).stem))


def _png(image: np.ndarray) -> bytes:
    return encode_image('.png', image, 'figure')


def _write(path: Path, content: bytes) -> None:
    try:
        with written_beside(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error
