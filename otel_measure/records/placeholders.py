"""Texts that stand where an id should be and name nobody: what programs write when there is none."""

from __future__ import annotations

import unicodedata
from typing import Final

ZERO: Final = "0"
"""Names nobody to be linked to, but is the id of a user in some systems: it may be recorded with."""
_PLACEHOLDERS: Final = frozenset(
    {
        *("", "undefined", "null", "none", "nan", "true", "false", "anonymous", "guest", "unknown", "[objectobject]"),
        *(ZERO, "-1", "\N{MINUS SIGN}1"),
    }
)
# Letters and symbols by their category, which are drawn as nothing.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def is_placeholder(text: str) -> bool:
    """Tell whether a text names nobody: "undefined", "null", "0" and the like in any case, or nothing that one sees."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text.casefold() in _PLACEHOLDERS
    return "".join(filter(_is_visible, text)).casefold() in _PLACEHOLDERS


def _is_visible(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] not in "CZ" and category != "Mn" and char not in _BLANK
