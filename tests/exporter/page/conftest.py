"""A server over an empty store, and a tab of a real browser."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.components import requires_binary, requires_module, running, wait_http

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `otel-measure serve` on an empty store and return its address."""
    folder = tmp_path_factory.mktemp("page")
    env = {name: "" for name in os.environ if name.startswith("OTEL_MEASURE_")} | {
        "OTEL_MEASURE_STORE": str(folder / "a.db")
    }
    with running(
        [sys.executable, "-m", "exporter.cli", "serve", "--port", "0"], folder / "log.txt", env=env
    ) as started:
        address = _address(started.output)
        wait_http(f"{address}readyz", timeout_s=120)
        yield address


def _address(output: Callable[[], str]) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if url := re.search(r"page +(\S+)", output()):
            return url[1]
        time.sleep(0.05)
    pytest.fail(f"the server did not start: {output()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """Start Debian's Chromium with a fresh profile."""
    executable = requires_binary("chromium", "chromium")
    playwright = requires_module("playwright.sync_api", "playwright")
    with tempfile.TemporaryDirectory() as profile, playwright.sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            profile, executable_path=executable, args=list(FLAGS), color_scheme="light", locale="en-GB"
        )
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """Open a tab, and fail when the console shows an error or a violation of the content security policy."""
    opened = browser.new_page()
    opened.set_default_timeout(60_000)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.said = said  # type: ignore[attr-defined]
    yield opened
    opened.close()
