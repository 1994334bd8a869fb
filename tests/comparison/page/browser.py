"""A headless Chromium for tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
             '--disable-component-update', '--disable-sync']


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
