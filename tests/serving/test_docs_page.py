"""The page that describes the addresses, as an engineer opens it."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import chromium
from tests.serving.servers import KEY, running


@pytest.mark.browser
def test_the_page_of_addresses_works_without_outside_assets(described: Path, tmp_path: Path) -> None:
    """Danger: a page that needs a public CDN stays white in a shop's network, and runs whatever the CDN sends."""
    with running(described, tmp_path / "log", VITRINE_SERVING_KEYS=KEY) as (_, address), chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        reply = page.goto(f"{address}/docs")
        assert reply is not None
        assert "script-src 'self';" in reply.headers["content-security-policy"]
        page.get_by_role("button", name="Authorize").click()
        page.get_by_label("Value:").or_(page.locator(".auth-container input")).first.fill(KEY)
        page.locator(".auth-btn-wrapper").get_by_role("button", name="Authorize").or_(
            page.locator(".auth-btn-wrapper .authorize")
        ).first.click()
        page.get_by_role("button", name="Close").click()
        page.locator("#operations-default-live_live_get").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(page.get_by_text('"products": 40').first).to_be_visible()
        page.screenshot(path=tmp_path / "docs.png", full_page=True)
        assert faults == []
        assert {url.partition("/docs")[0].partition("/live")[0].partition("/openapi")[0] for url in asked} <= {
            address,
            "data:,",
        }
