"""A headless Chromium for tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest

ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
             '--disable-component-update', '--disable-sync']
HOSTILE = '"><script>document.title = "broken"</script>'  # a system's name
RED, GREEN, BLUE = (200, 20, 20), (20, 160, 20), (20, 20, 200)


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


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; tests that ask for it are skipped where it or playwright is missing."""
    sync = pytest.importorskip('playwright.sync_api', reason='needs playwright')
    found = [os.environ.get('CHROMIUM'), *map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))]
    path = next((name for name in found if name), None)
    if path is None:
        pytest.skip('needs Chromium (chromium, chromium-browser, google-chrome, or CHROMIUM=PROGRAM)')
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def screenshot(page: Any, selector: str) -> np.ndarray:
    """What the browser shows of an element, (h, w, 3) RGB."""
    content = page.locator(selector).screenshot()
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def wait_until(page: Any, done: Callable[[], bool]) -> None:
    """Wait for what the mouse wheel does, at most five seconds; playwright's own way is barred by the page's policy."""
    for _ in range(100):
        if done():
            return
        page.wait_for_timeout(50)
    pytest.fail('nothing happened within five seconds')


def colours_along(shown: np.ndarray, *places: float) -> list[tuple[int, ...]]:
    """The colours at shares of a picture's width, a quarter above its bottom, where nothing else is drawn."""
    row = shown[shown.shape[0] * 3 // 4]
    return [tuple(map(int, row[min(int(place * shown.shape[1]), shown.shape[1] - 1)])) for place in places]
