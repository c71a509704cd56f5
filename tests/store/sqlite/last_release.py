"""A store as the release before definitions were kept left it: schema 8, and the oldest days purged.

`last_release.sql` is the dump of what that release made of `FACTS`, with a retention of ten days, swept at `SWEPT`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from otel_measure.records.kinds import Exposure, GroundTruth, NpsResponse, Record
from tests.facts import DAY, HERE, HOUR, NOON, SECOND, event, inference

DUMP: Final = Path(__file__).with_suffix(".sql")
SWEPT: Final = NOON
RETENTION_DAYS: Final = 10
HORIZON: Final = NOON - NOON % DAY - RETENTION_DAYS * DAY
_TYPES: Final = ("page_view", "click", "page_view", "purchase", "session.start", "conversion")


def _facts() -> list[Record]:
    found: list[Record] = []
    for n in range(120):
        ts = NOON - (n % 15) * DAY - n * 400 * SECOND
        user, kind = f"u{n % 7}", _TYPES[n % len(_TYPES)]
        found.append(
            event(
                f"e{n}", user, ts, type=kind, name=f"n{n % 3}", session_id=f"s{n // 20}" if n % 4 == 0 else None,
                background=n % 11 == 5, value=n / 8 if kind == "purchase" else None,
                properties={"experiment": "t"} if kind == "conversion" else None,
            )
        )  # fmt: skip
        # A second event twelve seconds later: engaged after ten seconds, and not after fifteen.
        found.append(event(f"l{n}", user, ts + 12 * SECOND, type="click", name="later"))
    for n in range(60):
        ts = NOON - (n % 14) * DAY - n * HOUR // 20
        found.append(
            inference(
                f"{n:032x}", ts, model=f"m{n % 2}", cost_usd=n / 64, input_tokens=n, prediction=n % 3 == 0,
                features={"age": n} if n % 5 else None, user_id=f"u{n % 7}",
            )
        )  # fmt: skip
        if n % 2:
            found.append(GroundTruth(id=f"g{n}", ts=ts + HOUR, origin=HERE, inference_id=f"{n:032x}", value=n % 4 == 1))
    for n in range(14):
        ts, user = NOON - n * DAY, f"u{n % 7}"
        found.append(NpsResponse(id=f"n{n}", ts=ts, origin=HERE, user_id=user, score=n % 11))
        found.append(Exposure(id=f"x{n}", ts=ts, origin=HERE, user_id=user, experiment="t", variant="ab"[n % 2]))
    return found


FACTS: Final = _facts()
LINKS: Final = (("u6", "u5"),)


def write(path: Path) -> None:
    """Write the store to a file that is not there yet."""
    connection = sqlite3.connect(path)
    try:
        connection.executescript(DUMP.read_text(encoding="utf-8"))
    finally:
        connection.close()


def with_facts(table: str, rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return the rows that a later version makes of a table as a fresh store would.

    Since then a marker of a session that carries no id opens none. On days without facts nothing tells which sessions
    those were, so they stay.
    """
    at, first = {"session": (2, HORIZON), "session_cell": (0, HORIZON // DAY)}.get(table, (0, None))
    return [row for row in rows if first is None or (isinstance(value := row[at], int) and value >= first)]
