"""The whole comparison: reads results, makes table, figure and page, writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.comparison.crop import Crop, choose_crop
from satvsr_plugin.comparison.figure import draw_figure
from satvsr_plugin.comparison.results import SystemScores, best_system, read_systems
from satvsr_plugin.comparison.scene import Scene, find_pictures, load_scene
from satvsr_plugin.comparison.table import build_table, to_csv, to_markdown, to_text
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError


@dataclass(frozen=True)
class FigureChoice:
    """What the figure shows; what is None is chosen automatically."""

    clip: str | None = None
    frame: str | None = None
    crop: Crop | None = None


@dataclass(frozen=True)
class Comparison:
    """What a comparison gave: the table as aligned text, remarks for the user, the files written."""

    table: str
    notes: list[str]
    files: list[Path]


def compare(
    folders: Sequence[Path],
    output: Path,
    *,
    names: Sequence[str] | None = None,
    dataset: str | None = None,
    gt_folder: Path | None = None,
    choice: FigureChoice = FigureChoice(),
) -> Comparison:
    """Compare systems that ``basicsr test`` was run with, and write the comparison into a folder.

    Args:
        folders: their result folders; the first is the baseline.
        output: gets ``comparison.md``, ``comparison.csv`` and, where pictures were saved, ``comparison.png``.
        names: how to call the systems; by default as their folders are.
        dataset: which data set's results; may be left out where the folders have one in common.
        gt_folder: ground truth for the figure, ``<clip>/<frame>.png``.
        choice: which frame and crop the figure shows.

    Raises:
        OptionError: names, data set or crop do not fit the results.
        DataError: results or pictures are missing, damaged or do not belong together. Nothing is written then.
    """
    dataset, systems = read_systems(folders, names, dataset)
    table = build_table(systems)
    scene, notes = _scene(systems, dataset, gt_folder, choice)
    files = {output / 'comparison.md': _page(dataset, systems, to_markdown(table), scene)}
    files[output / 'comparison.csv'] = to_csv(table)
    figure = None if scene is None else draw_figure(scene, _crop(scene, systems, choice.crop))
    for path, text in files.items():
        _write_text(path, text)
    if figure is not None:
        write_image(output / 'comparison.png', figure)
    written = [*files, *([] if figure is None else [output / 'comparison.png'])]
    return Comparison(to_text(table), notes, written)


def _scene(
    systems: Sequence[SystemScores], dataset: str, gt_folder: Path | None, choice: FigureChoice
) -> tuple[Scene | None, list[str]]:
    """The frame to show, and remarks on what it lacks."""
    pictures = {system.name: find_pictures(system, dataset) for system in systems}
    without = [name for name, found in pictures.items() if not found]
    hint = 'test again with val.save_img: true'
    if len(without) == len(systems):
        if choice != FigureChoice():
            raise DataError(f'no system has saved pictures of {dataset} to draw the figure from; {hint}')
        return None, [f'no figure: no system has saved pictures of {dataset}; {hint}']
    notes = [f'not in the figure: {name} has saved no pictures of {dataset}; {hint}' for name in without]
    if gt_folder is None:
        notes.append('the figure has no ground truth and no PSNR; add it by --gt FOLDER')
    shown = {name: found for name, found in pictures.items() if found}
    return load_scene(shown, gt_folder, choice.clip, choice.frame), notes


def _crop(scene: Scene, systems: Sequence[SystemScores], wanted: Crop | None) -> Crop:
    if wanted is not None:
        wanted.check(next(iter(scene.pictures.values())))
        return wanted
    shown = [system for system in systems if system.name in scene.pictures]
    return choose_crop(scene, best_system(shown).name)


def _page(dataset: str, systems: Sequence[SystemScores], table: str, scene: Scene | None) -> str:
    paragraphs = [f'# Comparison on {dataset}', table.rstrip()]
    if len(systems) > 1:
        baseline = systems[0]
        paragraphs.append(f'gain: {baseline.metrics[0]} over {baseline.name}. average: every clip counts the same.')
    if scene is not None:
        paragraphs.append(f'![clip {scene.clip}, frame {scene.frame}](comparison.png)')
    return '\n\n'.join(paragraphs) + '\n'


def _write_text(path: Path, text: str) -> None:
    """Write a text file so that a half-written one is never seen under its final name."""
    try:
        with written_beside(path) as partial:
            partial.write_text(text, encoding='utf-8')
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error
