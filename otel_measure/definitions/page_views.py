"""Which requests for a page somebody looks at: what a browser fetches in advance, or as a part of a page, is none.

Sources: Fetch Metadata (``Sec-Fetch-Dest``), the Speculation Rules and Resource Hints (``Sec-Purpose``, formerly
``Purpose``; ``X-Purpose`` of Safari and ``X-Moz`` of older Firefox), htmx (``HX-Request``, ``HX-Boosted``), Turbo
(``Turbo-Frame``), and ``X-Requested-With`` of XMLHttpRequest libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_IN_ADVANCE: Final = ("prefetch", "prerender", "preview")
_PURPOSES: Final = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_PARTS: Final = ("hx-request", "turbo-frame", "x-requested-with")


def is_looked_at(header: Callable[[str], str | None]) -> bool:
    """Tell whether the page that is asked for will be shown, from the headers of the request.

    A page that was rendered in advance and is looked at later makes no second request: it is not counted.

    Args:
        header: returns the value of a header by its name in lower case, `None` for one that was not sent.
    """
    purposes = [header(name) or "" for name in _PURPOSES]
    if any(word in purpose.lower() for purpose in purposes for word in _IN_ADVANCE):
        return False
    if (header("hx-boosted") or "").lower() == "true":  # a link that htmx follows in place of the browser
        return True
    if any(header(name) for name in _PARTS):
        return False
    return (header("sec-fetch-dest") or "document").lower() == "document"
