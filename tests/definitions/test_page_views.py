from __future__ import annotations

import pytest

from otel_measure.definitions.page_views import is_looked_at


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"sec-fetch-dest": "document"}, True),
        ({"sec-fetch-dest": "iframe"}, False),
        ({"sec-fetch-dest": "empty"}, False),
        ({"sec-purpose": "prefetch"}, False),
        ({"sec-purpose": "prefetch;prerender"}, False),
        ({"purpose": "prefetch", "sec-fetch-dest": "document"}, False),
        ({"x-purpose": "preview"}, False),
        ({"x-moz": "prefetch"}, False),
        ({"hx-request": "true"}, False),
        ({"hx-request": "true", "hx-boosted": "true", "sec-fetch-dest": "empty"}, True),
        ({"hx-request": "true", "hx-boosted": "true", "sec-purpose": "prefetch"}, False),
        ({"turbo-frame": "cart"}, False),
        ({"x-requested-with": "XMLHttpRequest"}, False),
    ],
)
def test_pages_fetched_in_advance_or_as_parts_are_not_looked_at(headers: dict[str, str], expected: bool) -> None:
    """A page counts when a browser shows it as a document, or htmx follows a link in the browser's place."""
    assert is_looked_at(headers.get) is expected
