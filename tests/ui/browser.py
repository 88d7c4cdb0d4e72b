"""A browser for tests and scripts: Chromium of the system, steered by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless browser; skip the test where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        # On the CI, a missing browser is a failure.
        (pytest.fail if os.environ.get("SM_HOSTING_REQUIRE_ENGINE") else pytest.skip)("needs Chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    with playwright.sync_playwright() as driver:
        # Without its sandbox: containers of CI run as root.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, scheme: str = "light", *, token: str | None = None, **options: Any) -> Iterator[Any]:
    """Open a page in one of Airflow's themes; an error in it is an error here.

    :param browser: The browser.
    :param scheme: ``light`` or ``dark``.
    :param token: The token of the user's session (default: the user that Airflow logs in by itself).
    """
    options = {"viewport": {"width": 1440, "height": 900}, **options}
    context = browser.new_context(color_scheme=scheme, **options)
    page = context.new_page()
    page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    if token is not None:
        # The cookie of Airflow's own login.
        context.add_cookies([{"name": "_token", "value": token, "url": options["base_url"]}])
    if "base_url" in options:
        # Airflow 3.1 forgets the address when it logs a user in.
        page.goto("/")
        page.get_by_role("link", name="Endpoints").wait_for()
    try:
        yield page
        assert errors == []
    finally:
        context.close()
