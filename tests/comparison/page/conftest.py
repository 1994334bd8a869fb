"""A page of flat pictures, opened in a browser that notes all requests and complaints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison.figures.drawn_systems import make_systems
from comparison.page.browser import BLUE, GREEN, HOSTILE, RED, Opened, chromium

from satvsr_plugin.comparison.figures import FigureChoice, write_figures
from satvsr_plugin.comparison.page import write_page
from satvsr_plugin.comparison.table import EMPTY, Cell, Group, Row, Table

CLIPS, FRAMES = ('000', '001'), ('00', '01', '02')
# clips down, systems across: the values are in another order as text (9 < 10) than as numbers
SCORES = {'000': (10.5, 30.0, 31.0), '001': (9.25, 29.0, float('inf')), '002': (100.0, 28.0, None)}


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((64, 80, 3), colour, np.uint8)


def draw_gt(clip: str, frame: str) -> np.ndarray:
    """A colour a clip and frame, and one white pixel in the middle."""
    picture = flat((int(clip) * 50 + 100, int(frame) * 50 + 100, 0))
    picture[32, 40] = 255
    return picture


def small_table() -> Table:
    def row(label: str, values: tuple[float | None, ...]) -> Row:
        return Row(label, [[EMPTY if value is None else Cell(value, f'{value:.2f}')] for value in values])

    return Table(['PSNR'], ['higher'], [Group('Red'), Group('Green'), Group('Paper', True)],
                 [row(clip, values) for clip, values in SCORES.items()], row('mean', (39.9, 29.0, 31.0)),
                 [row('time', (3.0, 20.0, None))], [])


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flat pictures: red, green, one named like code, and GT, which differs from frame to frame."""
    folder = tmp_path_factory.mktemp('page')
    changes = {'Red': lambda gt: flat(RED), 'Green': lambda gt: flat(GREEN), HOSTILE: lambda gt: flat(BLUE)}
    systems = make_systems(folder, changes, clips=CLIPS, frames=FRAMES, gt=draw_gt)
    figures = write_figures(systems, {}, folder / 'a folder with #', FigureChoice())
    return write_page(systems, small_table(), None, figures, folder / 'a folder with #').file


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(params=[{}])
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The page, opened from the disk; parameters are those of a context of playwright's."""
    context = browser.new_context(**{'viewport': {'width': 1000, 'height': 900}, **request.param})
    found = Opened(context.new_page())
    found.page.on('request', lambda asked: found.requests.append(asked.url))
    found.page.on('console', lambda message: found.complaints.append(message.text))
    found.page.on('pageerror', lambda error: found.complaints.append(str(error)))
    found.page.goto(report.as_uri())
    found.page.wait_for_selector('.handle')
    yield found
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith('data:')] == [report.as_uri()]
    context.close()
