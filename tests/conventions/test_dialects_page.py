"""The page about what is read from whom."""

from __future__ import annotations

from tests.conventions.dialects_page import PAGE, page


def test_the_page_says_what_the_tables_say() -> None:
    """`docs/dialects.md` is what `python -m tests.conventions.dialects_page` writes."""
    assert PAGE.read_text(encoding="utf-8") == page()
