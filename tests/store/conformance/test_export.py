"""All that is stored of a person."""

from __future__ import annotations

from collections.abc import Mapping

from otel_measure.definitions.days import moment
from otel_measure.definitions.streams import Point
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.events import to_event
from otel_measure.records.kinds import Maintenance, Record, ServiceState
from otel_measure.store.types.exports import ExportedFact, PersonalId, UserExport
from tests.facts import NOON, SECOND, event, inference, one_of_each
from tests.store.conformance.engines import EngineCase

OF_NOBODY = (ServiceState, Maintenance)


def exported(record: Record, *, is_telling: bool = False) -> ExportedFact:
    """Return a fact as an export has it."""
    told = to_event(record)
    return ExportedFact(
        told.name, moment(told.ts), told.origin.service, told.origin.environment, told.attributes, told.trace_id,
        told.span_id, is_telling,
    )  # fmt: skip


def test_one_of_every_kind(engine: EngineCase) -> None:
    """Every kind of fact that can be of a person is in it as it was recorded: a new kind has to say whose it is."""
    store = engine.open()
    records = one_of_each()
    others: list[Record] = [event("other", "other"), inference("other", user_id="other")]
    store.accept([*records, *others])
    found = store.export("u")
    mine = [record for record in records if not isinstance(record, OF_NOBODY)]
    assert found.facts == tuple(exported(record) for record in sorted(mine, key=lambda record: record.id))
    assert (found.user_id, found.ids, found.series) == ("u", (PersonalId("u", None),), ())
    assert set(found.rolled_up) >= {"nps_day", "experiment_arm"}


def test_under_every_id(engine: EngineCase) -> None:
    """Whichever id is named, what all of them did is in it, and which was identified as which."""
    store = engine.open()
    first, second, told = event("1", "anon"), event("2", "ann", NOON + SECOND), inference("3", user_id="ann")
    store.accept([first, second, event("4", "bob")])
    store.identify("anon", "ann")
    store.take_tellings([telling_of_fact(told, "process")])
    series = {"description": "", "unit": "1", "scope": "instance", "instance": "i", "start": NOON, "ts": NOON + SECOND}
    store.ingest([
        Point(name="clicks", kind="counter", labels=f'user_id="{who}"', value=1.0, count=0, **series)  # type: ignore[arg-type]
        for who in ("ann", "annie")
    ])  # fmt: skip
    found = store.export("anon")
    assert found.ids == (PersonalId("ann", None), PersonalId("anon", "ann"))
    assert found.facts == (exported(first), exported(told), exported(told, is_telling=True), exported(second))
    assert found.series == ('clicks{user_id="ann"}',)
    days: tuple[Mapping[str, object], ...] = found.rolled_up["person_day"]
    assert [row["first_ts"] for row in days] == [NOON]
    assert store.export("ann") == UserExport("ann", *(getattr(found, name) for name in found.__slots__[1:]))


def test_after_an_erasure_there_is_nothing(engine: EngineCase) -> None:
    """Nor is there of somebody who was never there."""
    store = engine.open()
    store.accept(one_of_each())
    store.erase("u", NOON)
    for user in ("u", "nobody"):
        assert store.export(user) == UserExport(user, (), (), {}, ())
