"""Texts of others, made harmless."""

from __future__ import annotations

import json

import pytest

from exporter.cli.views.plain import plain, plain_json
from tests.exporter.cli.seeded import HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpt-4o ü 模型 👩‍🚀", "gpt-4o ü 模型 👩‍🚀"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\r\nb\tc\x07", r"a\r\nb\tc\x07"),
        ("\u202eevil\u2066 \ufeff", r"\u202eevil\u2066 \ufeff"),
        ("\x9b2J \udc80 \U000e0041", r"\x9b2J \udc80 \U000e0041"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text: str, shown: str) -> None:
    """Letters of any script stay; what moves, colours, hides or turns round is written as Python writes it."""
    assert plain(text) == shown


def test_json_says_the_same_without_what_a_terminal_obeys() -> None:
    """The text is other, what it means is not; line breaks between its parts stay."""
    text = json.dumps({"name": HOSTILE + "\U000e0041"}, ensure_ascii=False, indent=1)
    shown = plain_json(text)
    assert json.loads(shown) == json.loads(text)
    assert plain(shown.replace("\n", "")) == shown.replace("\n", "")
