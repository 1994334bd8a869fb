"""Makes ``report.html``: one file that needs no server and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.comparison.figures.scores import frame_scores
from satvsr_plugin.comparison.page.pictures import Packed, pack
from satvsr_plugin.comparison.page.tables import difference_table, score_table
from satvsr_plugin.comparison.results import best_system
from satvsr_plugin.errors import DataError, OptionError

if TYPE_CHECKING:
    from satvsr_plugin.comparison.figures import Drawing, Figures
    from satvsr_plugin.comparison.results import System
    from satvsr_plugin.comparison.significance import Significance
    from satvsr_plugin.comparison.table import Table

NAME = 'report.html'
_SCRIPTS = ('sorting.js', 'view.js', 'gestures.js', 'controls.js', 'viewer.js')


@dataclass(frozen=True)
class Page:
    """The page written, and what it could not show."""

    file: Path
    notes: list[str]


def write_page(
    systems: Sequence[System],
    table: Table,
    significance: Significance | None,
    figures: Figures,
    output: Path,
    frames: int = 3,
    notes: Sequence[str] = (),
) -> Page:
    """Write the page of a comparison.

    Args:
        systems: tested alike; the first is the baseline.
        table: their scores and costs.
        significance: None for a single system.
        figures: drawn by ``write_figures``.
        output: the folder that gets ``report.html``; made if it is missing.
        frames: how many frames of every clip the page shows; of three: the first, the middle one and the last.
        notes: what else could not be shown; the page says it beside what the figures lack.

    Raises:
        OptionError: ``frames`` is less than 1.
        DataError: pictures are missing or damaged, or the page cannot be written.
    """
    if frames < 1:
        raise OptionError(f'--report-frames {frames}: give at least 1')
    packed = _pack(systems, figures, frames)
    left_out = [] if packed is None else packed.notes
    parts = {
        'title': escape(f'Comparison on {systems[0].record.dataset.name}'),
        'summary': escape(_summary(systems)),
        'scores': score_table(table, figures.look),
        'score_notes': _list(table.notes),
        'differences': '' if significance is None else _section_of_differences(significance),
        'pictures': '' if packed is None else _asset('viewer.html'),
        'figures': ''.join(map(_figure, figures.drawings)),
        'notes': _section_of_notes([*notes, *figures.notes, *left_out]),
        'tests': ''.join(map(_test, systems)),
        'data': _json({} if packed is None else _viewer_data(systems, figures, packed)),
    }
    _write(output / NAME, _fill(parts))
    return Page(output / NAME, left_out)


def _pack(systems: Sequence[System], figures: Figures, frames: int) -> Packed | None:
    if not figures.gallery.systems:
        return None
    bicubic = not any(system.record.network.get('type') == 'Bicubic' for system in systems
                      if system.name in figures.gallery.systems)
    return pack(figures.gallery, frames, bicubic)


def _summary(systems: Sequence[System]) -> str:
    record = systems[0].record
    frames = sum(len(clip.frames) for clip in record.clips.values())
    return (f'{len(systems)} {_plural("system", len(systems))}, {len(record.clips)} '
            f'{_plural("clip", len(record.clips))}, {frames} {_plural("frame", frames)}, enlarged {record.scale} times')


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f'{word}s'


def _viewer_data(systems: Sequence[System], figures: Figures, packed: Packed) -> dict[str, Any]:
    """What the viewer needs; sources are told by their number, since two may have the same name."""
    shown = [system for system in systems if system.name in figures.gallery.systems]
    clips: dict[str, dict[str, Any]] = {}
    for found in packed.frames:
        clip = clips.setdefault(found.clip, {'name': found.clip, 'width': found.width, 'height': found.height,
                                             'frames': []})
        scores = [frame_scores(system.record, found.clip, found.frame) for system in shown]
        clip['frames'].append({'name': found.frame, 'pictures': found.uris, 'scores': scores})
    best = [system.name for system in shown].index(best_system(shown).name)
    sources = [{'name': name, 'kind': kind, 'colour': figures.look[name].colour if kind == 'system' else None}
               for name, kind in zip(packed.sources, packed.kinds, strict=True)]
    return {'sources': sources, 'clips': list(clips.values()), 'panes': _first_panes(packed.kinds, best)}


def _first_panes(kinds: Sequence[str], best: int) -> list[int]:
    """The sources shown at first: the baseline, the best, then GT, LR and other systems."""
    order = [0, best, *(kinds.index(kind) for kind in ('gt', 'lr', 'bicubic') if kind in kinds), *range(len(kinds))]
    return list(dict.fromkeys(order))[:4]


def _section_of_differences(found: Significance) -> str:
    return (f'<section><h2>Differences</h2><div class="scroll" tabindex="0" role="region" aria-label="Differences">'
            f'{difference_table(found)}</div>{_list(found.notes)}</section>')


def _section_of_notes(notes: Sequence[str]) -> str:
    return f'<section id="notes"><h2>Not shown</h2>{_list(notes)}</section>' if notes else ''


def _list(lines: Sequence[str]) -> str:
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ''


def _figure(drawing: Drawing) -> str:
    picture = drawing.svg or (f'<img src="data:image/png;base64,{base64.b64encode(drawing.png).decode()}" '
                              f'alt="{escape(drawing.caption)}">')
    return (f'<figure><h3>{escape(drawing.title)}</h3><div class="scroll" tabindex="0" role="region" '
            f'aria-label="{escape(drawing.title)}">{picture}</div>'
            f'<figcaption>{escape(drawing.caption)} <span class="file">{escape(drawing.name)}</span></figcaption>'
            '</figure>')


def _test(system: System) -> str:
    record = system.record
    weights = 'none' if record.weights is None else f'{record.weights.path} (CRC-32 {record.weights.crc32:08x})'
    versions = ', '.join(f'{package} {version}' for package, version in record.versions.items())
    facts = {'experiment': record.name, 'network': json.dumps(record.network), 'weights': weights,
             'tested': f'{record.finished} on {record.device}', 'versions': versions}
    items = ''.join(f'<dt>{key}</dt><dd>{escape(value)}</dd>' for key, value in facts.items() if value)
    return f'<details><summary>{escape(system.name)}</summary><dl>{items}</dl></details>'


def _json(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: no ``<`` can end it or begin a comment."""
    return json.dumps(data, ensure_ascii=False).replace('<', '\\u003c')


def _fill(parts: Mapping[str, str]) -> str:
    """The template with its parts; what the parts hold is not looked through again."""
    script = '\n'.join(map(_asset, _SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {**parts, 'style': _asset('page.css'), 'script': script, 'script_digest': digest}
    return re.sub(r'\{\{(\w+)\}\}', lambda found: parts[found[1]], _asset('template.html'))


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding='utf-8')


def _write(path: Path, text: str) -> None:
    try:
        with written_beside(path) as partial:
            partial.write_text(text, encoding='utf-8', errors='replace', newline='\n')
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error
