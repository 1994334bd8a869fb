"""The page in a browser: what is seen, what keys, mouse and fingers do, and that nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison.figures.drawn_systems import make_systems
from comparison.page.browser import chromium, screenshot, wait_until

from satvsr_plugin.comparison.figures import FigureChoice, write_figures
from satvsr_plugin.comparison.page import write_page
from satvsr_plugin.comparison.table import EMPTY, Cell, Group, Row, Table

HOSTILE = '"><script>document.title = "broken"</script>'
RED, GREEN, BLUE = (200, 20, 20), (20, 160, 20), (20, 20, 200)
CLIPS, FRAMES = ('000', '001'), ('00', '01', '02')
# clips down, systems across: the values are in another order as text (9 < 10) than as numbers
SCORES = {'000': (10.5, 30.0, 31.0), '001': (9.25, 29.0, float('inf')), '002': (100.0, 28.0, None)}


@dataclass
class Opened:
    """A page in the browser, and all that it asked for and complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def chosen(self, number: int) -> str:
        return self.page.eval_on_selector(f'#source-{number}', 'select => select.selectedOptions[0].text')

    def rectangles(self) -> list[dict[str, float]]:
        """Where every picture lies in its pane."""
        return self.page.eval_on_selector_all('.pane', '''panes => panes.map((pane) => {
            const [outer, inner] = [pane, pane.firstChild].map((element) => element.getBoundingClientRect());
            return { left: inner.left - outer.left, top: inner.top - outer.top, width: inner.width };
        })''')

    def clips(self) -> list[str]:
        return self.page.eval_on_selector_all('#scores tbody th', 'cells => cells.map((cell) => cell.innerText.trim())')

    def groups(self) -> list[str]:
        return self.page.eval_on_selector_all('#scores th[scope=colgroup]',
                                              'cells => cells.map((cell) => cell.innerText.trim())')


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


def colours_along(shown: np.ndarray, *places: float) -> list[tuple[int, ...]]:
    """The colours at shares of a picture's width, a quarter above its bottom, where nothing else is drawn."""
    row = shown[shown.shape[0] * 3 // 4]
    return [tuple(map(int, row[min(int(place * shown.shape[1]), shown.shape[1] - 1)])) for place in places]


def test_left_and_right_of_the_handle_are_two_pictures(opened: Opened) -> None:
    page = opened.page
    page.select_option('#source-1', label='Green')
    assert (opened.chosen(0), opened.chosen(1)) == ('Red', 'Green')
    assert colours_along(screenshot(page, '#stage'), 0.05, 0.45, 0.55, 0.95) == [RED, RED, GREEN, GREEN]
    page.select_option('#source-0', label=HOSTILE)
    assert colours_along(screenshot(page, '#stage'), 0.05, 0.45, 0.55, 0.95) == [BLUE, BLUE, GREEN, GREEN]


def test_the_slider_moves_by_mouse(opened: Opened) -> None:
    page = opened.page
    page.select_option('#source-1', label='Green')
    page.locator('#stage').scroll_into_view_if_needed()
    box = page.locator('#stage').bounding_box()
    middle = (box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(box['x'] + 0.2 * box['width'], middle[1], steps=3)
    assert colours_along(screenshot(page, '#stage'), 0.15, 0.25, 0.55) == [RED, GREEN, GREEN]
    page.mouse.move(box['x'] + 2 * box['width'], middle[1])  # beyond the picture
    page.mouse.up()
    assert page.get_attribute('.handle', 'aria-valuenow') == '100'
    page.mouse.move(*middle)  # without a button nothing moves
    assert colours_along(screenshot(page, '#stage'), 0.05, 0.9) == [RED, RED]


def test_the_slider_moves_by_keyboard(opened: Opened) -> None:
    page = opened.page
    page.select_option('#source-1', label='Green')
    page.focus('.handle')
    for _ in range(10):
        page.keyboard.press('ArrowLeft')
    assert page.get_attribute('.handle', 'aria-valuenow') == '30'
    assert colours_along(screenshot(page, '#stage'), 0.25, 0.35) == [RED, GREEN]
    page.keyboard.press('ArrowRight')
    assert page.get_attribute('.handle', 'aria-valuenow') == '32'
    page.keyboard.press('Home')
    assert colours_along(screenshot(page, '#stage'), 0.1) == [GREEN]
    page.keyboard.press('End')
    assert colours_along(screenshot(page, '#stage'), 0.9) == [RED]


def test_clip_and_frame_change_the_pictures(opened: Opened) -> None:
    page = opened.page
    page.select_option('#source-0', label='GT')

    def left() -> tuple[int, ...]:
        return colours_along(screenshot(page, '#stage'), 0.1)[0]

    assert left() == (100, 150, 0)
    page.select_option('#clip', label='001')
    assert left() == (150, 150, 0)
    page.select_option('#frame', label='02')
    assert left() == (150, 200, 0)
    page.focus('.handle')
    page.keyboard.press('[')
    assert page.eval_on_selector('#frame', 'select => select.selectedOptions[0].text') == '01'
    assert left() == (150, 150, 0)
    for key, green in ((']', 200), (']', 200), ('[', 150)):  # the last frame is the last
        page.keyboard.press(key)
        assert left() == (150, green, 0)
    assert page.evaluate('document.activeElement.className') == 'handle'  # the focus stays where it was
    page.click('#earlier')
    assert left() == (150, 100, 0)
    page.select_option('#source-1', label='Green')
    assert page.inner_text('.tag.right').split('\n') == ['Green', '31.10 dB / 0.9100']


def test_zoom_is_the_same_in_all_panes_and_keeps_the_place(opened: Opened) -> None:
    page = opened.page
    page.click('#mode-grid')
    assert page.locator('.pane').count() == 4
    pane = page.locator('.pane').nth(1).bounding_box()
    point = (pane['width'] * 0.75, pane['height'] * 0.25)
    page.mouse.move(pane['x'] + point[0], pane['y'] + point[1])
    page.mouse.wheel(0, -200)
    page.mouse.wheel(0, -200)
    wait_until(page, lambda: opened.rectangles()[0]['width'] > 2.5 * pane['width'])
    first, *others = opened.rectangles()
    assert others == [first] * 3
    assert first['width'] == pytest.approx(pane['width'] * np.e, rel=0.01)  # twice exp(200 / 400)
    # what was under the mouse still is: three quarters of the width, a quarter of the height
    assert (point[0] - first['left']) / first['width'] == pytest.approx(0.75, abs=0.01)
    page.mouse.down()
    page.mouse.move(pane['x'] + point[0] - 30, pane['y'] + point[1] + 20)
    page.mouse.up()
    moved = opened.rectangles()
    assert moved == [moved[0]] * 4
    assert moved[0]['left'] - first['left'] == pytest.approx(-30, abs=0.1)
    assert moved[0]['top'] - first['top'] == pytest.approx(20, abs=0.1)
    page.focus('#stage')
    page.keyboard.press('0')
    assert opened.rectangles()[0]['width'] == pytest.approx(pane['width'], abs=1)


def test_a_pane_can_be_left_empty(opened: Opened) -> None:
    page = opened.page
    page.click('#mode-grid')
    page.select_option('#source-3', label='–')
    page.select_option('#source-2', label='Green')
    assert page.eval_on_selector_all('.pane .tag', 'tags => tags.map((tag) => tag.firstChild.data)') == [
        opened.chosen(0), opened.chosen(1), 'Green']
    page.click('#mode-slider')
    assert page.locator('.pane').count() == 2


def test_both_sides_of_the_slider_show_the_same_place(opened: Opened) -> None:
    page = opened.page
    page.select_option('#source-0', label='GT')
    page.select_option('#source-1', label='GT')
    page.focus('.handle')
    for _ in range(3):
        page.keyboard.press('+')
    page.keyboard.press('Shift+ArrowRight')
    page.keyboard.press('Shift+ArrowDown')
    one, other = opened.rectangles()
    assert one == other
    shown = screenshot(page, '#stage')
    scale = one['width'] / 80
    x, y = round(one['left'] + 40.5 * scale), round(one['top'] + 32.5 * scale)
    assert tuple(shown[y, x]) == (255, 255, 255)
    edge = int(scale / 2) - 2  # above 100 % a pixel is a square with sharp edges
    for dy, dx in ((-edge, -edge), (edge, -edge), (-edge, edge), (edge, edge)):
        assert tuple(shown[y + dy, x + dx]) == (255, 255, 255)
    assert tuple(shown[y, x - edge - 5]) == (100, 150, 0)


def test_zoom_has_limits_and_a_hundred_per_cent(opened: Opened) -> None:
    page = opened.page
    page.click('#zoom-full')
    assert page.eval_on_selector('#zoom', 'output => output.value') == '100 %'
    assert opened.rectangles()[0]['width'] == pytest.approx(80, abs=0.1)
    for _ in range(20):
        page.click('#zoom-in')
    assert page.eval_on_selector('#zoom', 'output => output.value') == '3200 %'
    page.click('#zoom-fit')
    rectangle = opened.rectangles()[0]
    assert (rectangle['left'], rectangle['top']) == pytest.approx((0, 0), abs=0.1)
    before = page.evaluate('scrollY')
    box = page.locator('#stage').bounding_box()
    page.mouse.move(box['x'] + 50, box['y'] + 50)
    page.mouse.wheel(0, 300)  # nothing to zoom out of: the page scrolls
    wait_until(page, lambda: page.evaluate('scrollY') > before)


@pytest.mark.parametrize('opened', [{'viewport': {'width': 360, 'height': 740}, 'has_touch': True, 'is_mobile': True}],
                         indirect=True)
def test_a_phone(opened: Opened) -> None:
    page = opened.page
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth && innerWidth === 360')
    page.select_option('#source-1', label='Green')
    assert colours_along(screenshot(page, '#stage'), 0.05, 0.95) == [RED, GREEN]
    page.click('#mode-grid')
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    page.locator('#stage').scroll_into_view_if_needed()
    pane = page.locator('.pane').first.bounding_box()
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *columns: float) -> None:
        points = [{'x': pane['x'] + x, 'y': pane['y'] + 50, 'id': i} for i, x in enumerate(columns)]
        fingers.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': points})

    touch('touchStart', 70)
    touch('touchStart', 70, 90)
    for spread in range(0, 11, 2):
        touch('touchMove', 70 - spread, 90 + spread)
    touch('touchEnd')
    rectangles = opened.rectangles()
    assert rectangles == [rectangles[0]] * 4
    assert rectangles[0]['width'] == pytest.approx(2 * pane['width'], rel=0.01)  # the distance went from 20 to 40
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')


@pytest.mark.parametrize('opened', [{'color_scheme': 'dark'}], indirect=True)
def test_dark_mode(opened: Opened) -> None:
    page = opened.page
    assert screenshot(page, 'h1').mean() < 90
    plot = screenshot(page, 'figure svg')
    assert np.median(plot) < 60 and plot.max() > 180  # light lines on dark paper


def test_columns_sort_clips_by_number(opened: Opened) -> None:
    page = opened.page
    header = page.locator('#scores th[data-group="0"] button')
    header.click()
    assert opened.clips() == ['002', '000', '001']  # 100, 10.5, 9.25
    assert page.get_attribute('#scores thead th[data-group="0"][aria-sort]', 'aria-sort') == 'descending'
    header.press('Enter')
    assert opened.clips() == ['001', '000', '002']
    header.click()
    assert opened.clips() == ['000', '001', '002']  # as it was
    infinite = page.locator('#scores th[data-group="2"] button')
    infinite.click()
    assert opened.clips() == ['001', '000', '002']  # inf, 31, none
    infinite.click()
    assert opened.clips() == ['000', '001', '002']  # none is last in either order
    page.click('#scores .corner button')
    page.click('#scores .corner button')
    assert opened.clips() == ['002', '001', '000']
    assert page.locator('#scores [aria-sort]').count() == 1


def test_rows_sort_systems_and_columns_still_sort_after_it(opened: Opened) -> None:
    page = opened.page
    mean = page.locator('#scores tr.mean button')
    mean.press('Enter')
    assert opened.groups() == ['Red', 'Paper', 'Green']  # 39.9, 31, 29
    mean.click()
    assert opened.groups() == ['Green', 'Paper', 'Red']
    numbers = page.eval_on_selector_all('#scores tr.mean td', 'cells => cells.map((cell) => cell.innerText)')
    assert numbers == ['29.00', '31.00', '39.90']
    page.locator('#scores th[data-group="1"] button').click()
    assert opened.clips() == ['000', '001', '002']  # 30, 29, 28
    page.locator('#scores th[data-group="1"] button').click()
    assert opened.clips() == ['002', '001', '000']
    page.click('#scores tr.below button')
    assert opened.groups() == ['Red', 'Green', 'Paper']  # 3, 20, none: the quickest first
    for _ in range(2):
        page.click('#scores tr.below button')
    assert opened.groups() == ['Red', 'Green', 'Paper']


def test_the_first_column_stays_when_the_table_scrolls(opened: Opened) -> None:
    page = opened.page
    page.set_viewport_size({'width': 360, 'height': 700})
    page.eval_on_selector('[aria-label=Scores]', 'box => { box.style.width = "150px"; box.scrollLeft = 60; }')
    box, header = (page.locator(one).bounding_box() for one in ('[aria-label=Scores]', '#scores tbody th >> nth=0'))
    assert header['x'] == pytest.approx(box['x'], abs=1)


def test_a_name_that_is_code_stays_a_name(opened: Opened) -> None:
    assert opened.page.title() == 'Comparison on Drawn'
    assert HOSTILE in opened.page.eval_on_selector_all('#source-0 option', 'all => all.map((one) => one.text)')
