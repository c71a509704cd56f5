"""What the files of the page are made of."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from otel_measure.alerting.messages import docs_link
from otel_measure.definitions.alerting.overrides import rules_with

STATIC = Path(__file__).parents[3] / "exporter" / "page" / "static"
VENDORED = {"uPlot.iife.min.js", "preact.standalone.module.js"}
OURS = [path for path in sorted(STATIC.glob("*.js")) if path.name not in VENDORED]


def test_every_section_that_is_linked_to_is_there() -> None:
    """The definitions have a heading for each section that a number of the page leads to."""
    headings = re.findall(r"^#{1,3} (.*)$", (STATIC / "definitions.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    linked = {
        name
        for script in OURS
        for name in re.findall(
            r'(?:definition=|definition: |DEFINITION = |SERIES = )"([^"]+)"', script.read_text("utf-8")
        )
    }
    assert linked - anchors == set()
    assert len(linked) > 15


def test_the_link_of_every_rule_leads_to_its_section() -> None:
    """The address that a notification gives is a view of the page, and the text of that view has the heading."""
    views = re.findall(r"^  (\w+): \{ title: ", (STATIC / "app.js").read_text("utf-8"), re.MULTILINE)
    headings = re.findall(r"^#{1,3} (.*)$", (STATIC / "alerts.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    for rule in rules_with({"own": {"series": "ai.p95_ms", "above": 1}}):
        page, view, section = docs_link("http://page/", rule.section).rsplit("/", 2)
        assert (page, view in views, section in anchors) == ("http://page/#", True, True), rule.key
    assert docs_link("http://page/", "") == "http://page/#/rules"


def test_nothing_is_written_as_markup() -> None:
    """No script of ours puts strings into the page as markup or runs strings, and no file names another host."""
    for script in OURS:
        source = script.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
        assert not re.search(r"https?://", source)
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=|https?://", (STATIC / "index.html").read_text("utf-8"))


def test_what_the_overview_needs_is_asked_for_at_once() -> None:
    """The page names each module that its first view imports, and no other: views load when somebody goes there."""
    needed, found = {"app.js"}, {"app.js"}
    while found:
        imported = {
            name for script in found for name in re.findall(r'from "\./([\w.]+)"', (STATIC / script).read_text())
        }
        found = imported - needed
        needed |= found
    assert set(re.findall(r'"static/([\w.-]+\.js)"', (STATIC / "index.html").read_text("utf-8"))) == needed
    assert not needed & {"chart.js", "uPlot.iife.min.js"}


def test_what_is_not_ours_is_as_published() -> None:
    """The table of vendored files has the digest of each of them, and each script that is not ours is in it."""
    table = (STATIC.parent / "VENDORED.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` .* `([0-9a-f]{64})` \|$", table, re.MULTILINE))
    assert set(rows) >= VENDORED
    assert {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in rows} == rows
