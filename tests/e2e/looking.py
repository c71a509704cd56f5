"""How tests look at the page: a tab of Debian's Chromium, what it says and asks, what is drawn, what axe-core finds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tests.collector import requires_javascript
from tests.components import requires_binary, requires_module

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Locator, Page, Response, ViewportSize

FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 720}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
_LINES: Final = [[0x2F, 0x6F, 0xDE], [0x0F, 0x8A, 0x7E]]  # where two lines lie upon each other, one of them is seen
_LEAST_PX: Final = 3
# How many pixels of a canvas have the colour of a line; axes, grid and labels are grey.
_DRAWN: Final = """(canvas, lines) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });  // without it Chromium warns in the console
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i + 3] > 200
        && lines.some(line => Math.max(...line.map((value, j) => Math.abs(pixels[i + j] - value))) < 8)) found += 1;
  return found;
}"""
# How far what was seen moved while the page loaded; `web-vitals` calls it CLS.
SHIFTED: Final = """new Promise(resolve => {
  let moved = 0;
  const observer = new PerformanceObserver(list => list.getEntries().forEach(entry => moved += entry.value));
  observer.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(moved), 100);
})"""
_VIOLATIONS: Final = """addEventListener(
  "securitypolicyviolation", event => console.error("policy", event.violatedDirective, event.blockedURI))"""
# What axe-core finds that keeps somebody from using the page; its folder `doc` says what the rules mean.
_FINDINGS: Final = """async rules => {
  await Promise.all(document.getAnimations().map(animation => animation.finished));
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...rules });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}"""
_ALL: Final = {"rules": {"target-size": {"enabled": True}}}  # which axe-core leaves to those who ask for WCAG 2.2
_COLOURS: Final = {"runOnly": ["color-contrast", "link-in-text-block"]}  # what another scheme of colours may break


class Seen:
    """What a page said and asked for."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("response", self._response)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.said.append(f"{response.status} {response.url}")

    def _dialog(self, dialog: Dialog) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@contextmanager
def tab() -> Iterator[tuple[Page, Seen]]:
    """Open a tab of a browser with a fresh profile for the length of a `with` block."""
    playwright = requires_module("playwright.sync_api")
    with tempfile.TemporaryDirectory() as profile, playwright.sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            profile,
            executable_path=requires_binary("chromium", "chromium"),
            args=list(FLAGS),
            locale="en-GB",
            color_scheme="light",
            viewport=DESKTOP,
        )
        # A violation of the content security policy also where no console message tells of it.
        context.add_init_script(_VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield page, Seen(page)
        context.close()


def is_drawn(page: Page, canvas: Locator, patience_ms: int = 40_000) -> bool:
    """Wait until a chart has lines; the machine is noted every ten seconds."""
    for _attempt in range(patience_ms // 200):
        if canvas.evaluate(_DRAWN, _LINES) >= _LEAST_PX:
            return True
        page.wait_for_timeout(200)
    return False


def findings(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical, in the light and in the dark, on a desktop and on a phone."""
    # Evaluated, not added as a script: the policy of the page lets nobody else's in.
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate((requires_javascript() / "axe-core" / "axe.min.js").read_text("utf-8"))
    said: list[str] = []
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="dark")
        said += page.evaluate(_FINDINGS, _COLOURS)
        page.emulate_media(color_scheme="light")
        said += page.evaluate(_FINDINGS, _ALL)
    return said


def transferred(page: Page, address: str, selector: str) -> dict[str, float]:
    """Open an address as nobody has before, until it shows something, and return the bytes of each first answer."""
    session = page.context.new_cdp_session(page)
    asked: dict[str, str] = {}
    received: dict[str, float] = {}  # the first answer of each address: a slow machine may be at the next round already

    def finished(event: dict[str, Any]) -> None:
        received.setdefault(asked.get(event["requestId"], ""), event["encodedDataLength"])

    session.on("Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(selector)
    page.wait_for_load_state("networkidle")
    session.detach()
    return received
