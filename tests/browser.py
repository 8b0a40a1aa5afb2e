"""Headless Chromium for tests, and the login to Airflow's development UI.

Debian's Chromium is driven with Playwright; tests that need it call `require_chromium` and skip without it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from include.core.environment import REPOSITORY

# No sandbox: tests run as root in containers. The others keep it from calling home, which a closed network
# would answer with refusals.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

# Where a page waits that nobody looks at: one of Airflow's asks the server every three seconds, and draws the answer.
BLANK = "about:blank"

# Playwright's own 5 s are too few for Airflow's UI on a busy machine: the page comes, its data comes later.
expect.set_options(timeout=60_000)


def chromium_path() -> Path | None:
    """Where Chromium is: `CHROMIUM`, or on PATH; None if it is not installed."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    return Path(found) if found else None


def require_chromium() -> None:
    """Skip the test, saying why, where there is no Chromium."""
    if chromium_path() is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running headless Chromium, closed at the end. It has a new, empty profile."""
    require_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS, headless=True)
        try:
            yield browser
        finally:
            browser.close()


def simple_auth_password(airflow_home: Path, username: str = "admin") -> str:
    """The password that SimpleAuthManager made up for a user."""
    passwords: dict[str, str] = json.loads(
        (airflow_home / "simple_auth_manager_passwords.json.generated").read_text(encoding="utf-8")
    )
    return passwords[username]


def login(page: Page, base_url: str, password: str, username: str = "admin") -> None:
    """Log in to Airflow's UI with SimpleAuthManager; returns when the UI is shown.

    Args:
        page: A page of `chromium()`'s browser; its context keeps the login.
        base_url: Such as `http://localhost:8080`, as in `[api] base_url`: the cookie belongs to that host name.
        password: See `simple_auth_password`.
        username: Of the user.
    """
    page.goto(f"{base_url}/auth/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags").first).to_be_visible(timeout=60_000)


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page as `build/screenshots/NAME.png`: CI's output, for a look at what people see."""
    folder = REPOSITORY / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
