"""Texts of others, made harmless for a terminal: what is not to be seen is written out."""

from __future__ import annotations

import re
from typing import Final

# What moves the cursor, changes colours, or shows letters in another order than they stand in.
_HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def plain(text: str) -> str:
    r"""Return a text in one line, with what a terminal would obey written out: ESC is `\x1b`."""
    return _HIDDEN.sub(lambda found: repr(found[0])[1:-1], text)


def plain_json(text: str) -> str:
    """Return JSON that says the same, without a character that a terminal would obey; its own line breaks stay."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] == "\n" else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i] * 256 + units[i + 1]:04x}" for i in range(0, len(units), 2))
