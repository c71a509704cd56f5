from __future__ import annotations

import pytest

from otel_measure.records.placeholders import is_placeholder


@pytest.mark.parametrize(
    "text",
    [
        *("undefined", "null", "none", "nan", "true", "false", "anonymous", "guest", "unknown", "[object Object]"),
        *("Undefined", "NULL", "None", "NaN", "True", "FALSE", "Guest", "[OBJECT OBJECT]"),
        *("0", "-1", "\N{MINUS SIGN}1", "", " ", "\t", " null ", "undefined\n", "\x7f"),
        *("\u200b", "\ufeff", "\u2800", "\u3164", "\ufe0f", "\u00a0", "\u200bundefined\u200b", "n\u200bull"),
    ],
)
def test_a_placeholder(text: str) -> None:
    """What programs write for no id is one in any case and with any invisible characters in it."""
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["1", "00", "-2", "u", "nobody", "undefined-7", "null@example.org", "a b", "é", "匿名", "[object]", "👤", "0.0"],
)
def test_an_id(text: str) -> None:
    """Everything else is an id."""
    assert not is_placeholder(text)
