"""The screen of `otel-measure status`."""

from __future__ import annotations

import pytest

from exporter.cli.status.screen import rows_for


@pytest.mark.parametrize(
    ("rows", "height", "given"),
    [
        ([5, 9, 200, 1], None, [5, 9, 200, 1]),
        ([5, 9, 200, 1], 300, [5, 9, 200, 1]),
        ([5, 9, 200, 1], 40, [5, 6, 6, 1]),
        ([0, 0, 200, 0], 40, [0, 0, 18, 0]),
        ([9, 9, 9, 9], 10, [3, 3, 3, 3]),
    ],
)
def test_tables_share_the_room(rows: list[int], height: int | None, given: list[int]) -> None:
    """Each has three rows at least, and what is left goes round until all have theirs or the screen is full."""
    assert rows_for(rows, height) == given
