"""How runs of agents lie in the file: no argument as text, and no more than is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otel_measure.store.sqlite import SqliteStore, agents, tellings
from tests.facts import DAY, HOUR, NOON, SECOND
from tests.store.asking import asked
from tests.store.conformance.telling import agent, told, tool

Open = Callable[..., SqliteStore]


def counts(store: SqliteStore) -> tuple[int, int, int, int]:
    """Return how many runs and uses there are, and how many went."""
    found = asked(store, lambda moment: moment.agents(NOON - DAY, NOON + DAY))
    return len(found.runs), sum(len(tool.took_us) for tool in found.tools), found.dropped_runs, found.dropped_uses


def test_arguments_are_never_stored_as_text(opened: Open, path: Path) -> None:
    """Nor as a hash that is the same in two traces: what is compared is compared inside of one."""
    store = opened(path)
    secret = '{"iban":"DE02120300000000202051"}'
    for trace in (1, 2):
        uses = [tool(n, arguments=secret, parent=1, trace=trace, began=NOON + n * SECOND) for n in (2, 3, 4)]
        store.take_tellings([agent(1, trace=trace, took_ms=9000.0), *uses])
    with store._database.read() as connection:
        said = {row[0] for row in connection.execute("SELECT json_extract(step, '$.arguments') FROM telling")}
    assert len(said - {None}) == 2
    assert {run.loops for run in asked(store, lambda m: m.agents(NOON, NOON + DAY)).runs} == {1}
    assert all(b"DE021203" not in file.read_bytes() for file in path.parent.iterdir())


def test_the_oldest_runs_and_uses_go_where_there_are_too_many(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their end, when the store is swept, and they are counted."""
    monkeypatch.setattr(agents, "MAX_ROWS", {"agent_run": 2, "tool_use": 3})
    store = opened()
    for n in range(1, 6):
        store.take_tellings([agent(1, trace=n, began=NOON + n), tool(2, parent=1, trace=n, began=NOON + n)])
    assert counts(store) == (5, 5, 0, 0)
    store.sweep(NOON)
    assert counts(store) == (2, 3, 3, 2)
    store.take_tellings([agent(1, trace=7, began=NOON + 7)])
    store.sweep(NOON)
    assert counts(store) == (2, 3, 4, 2)


def test_a_trace_that_is_too_large_is_followed_no_further(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runs are incomplete from then on; other traces go on."""
    monkeypatch.setattr(agents, "MAX_SPANS_OF_A_TRACE", 3)
    store = opened()
    store.take_tellings([agent(1), told(2, parent=1), agent(1, "other", trace=2)])
    store.take_tellings([told(3, parent=1), told(4, parent=1), told(2, parent=1, trace=2)])
    found = asked(store, lambda moment: moment.agents(NOON - DAY, NOON + DAY)).runs
    assert {(run.name, run.own.calls, run.incomplete) for run in found} == {("planner", 1, True), ("other", 1, False)}


def test_runs_of_spans_that_went_to_make_room_are_incomplete(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes later of their traces finds them no more."""
    monkeypatch.setattr(tellings, "MAX_SPANS", 1)
    store = opened()
    store.take_tellings([agent(1), told(2, parent=1), agent(1, "other", trace=2, began=NOON + SECOND)])
    store.sweep(NOON + HOUR)
    found = asked(store, lambda moment: moment.agents(NOON - DAY, NOON + DAY)).runs
    assert {(run.name, run.own.calls, run.incomplete) for run in found} == {("planner", 1, True), ("other", 0, False)}


def test_who_was_erased_since_a_backup_has_no_run_in_what_is_restored(opened: Open) -> None:
    """A run may be all that names a user."""
    store = opened()
    store.take_tellings([agent(1, user="ann")])
    with store._database.read() as connection:
        assert agents.users(connection) == tellings.users(connection) == ["ann"]
    store.erase("ann", NOON + HOUR)
    with store._database.read() as connection:
        assert agents.users(connection) == tellings.users(connection) == []
