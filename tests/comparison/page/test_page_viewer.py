"""The viewer in a browser: what is seen, and what mouse and keys do."""

from __future__ import annotations

import numpy as np
import pytest
from comparison.page.browser import BLUE, GREEN, HOSTILE, RED, Opened, colours_along, screenshot, wait_until


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
