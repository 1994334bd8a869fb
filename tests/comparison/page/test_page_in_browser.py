"""The page in a browser: on a phone, in dark mode, its table, and names that are code."""

from __future__ import annotations

import numpy as np
import pytest
from comparison.page.browser import GREEN, HOSTILE, RED, Opened, colours_along, screenshot


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
