"""A question to the small state of a store keeps nobody from writing."""

from __future__ import annotations

import threading

from otel_measure.definitions.parameters import Definitions
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.facts import EVERYTHING
from tests.closing import closed_later
from tests.facts import DAY, NOON
from tests.store.conformance.telling import told


def a_replica() -> Replica:
    """Return a new one; the end of the test closes it."""
    return closed_later(Replica(Definitions(), b"k" * 32))


def test_who_asks_keeps_nobody_from_writing() -> None:
    """While one thread asks another writes; the moment stays as it was, and the next one sees what was written."""
    replica = a_replica()
    with replica.asking(EVERYTHING) as moment:
        writing = threading.Thread(target=replica.register_service, args=("test", "api", 99.9, NOON))
        writing.start()
        writing.join()
        assert moment.environments == []
        with replica.asking(EVERYTHING) as later:
            assert later.environments == ["test"]
    with replica.asking(EVERYTHING) as again:
        assert again.environments == ["test"]


def test_a_replica_that_has_become_another_answers_as_that_one() -> None:
    """No copy of what it was before is asked again, not even one that is in use meanwhile."""
    one, other = a_replica(), a_replica()
    other.see([Origin("shop", "staging")], [])
    contents = other.contents()
    with one.asking(EVERYTHING) as before:
        assert before.environments == []
        one.load(contents)
    with one.asking(EVERYTHING) as moment:
        assert moment.environments == ["staging"]


def test_what_was_forgotten_takes_no_room_any_more() -> None:
    """What told of calls goes after hours, and the memory of it too: each copy would have it as well."""
    replica, later = a_replica(), NOON + DAY
    replica.take_tellings([told(1, trace=n, began=NOON) for n in range(1, 2001)])

    def pages() -> int:
        with replica._database.read() as connection:
            return int(connection.execute("PRAGMA page_count").fetchone()[0])

    before = pages()
    assert replica.sweep_by(later, 400, 30) == 0
    assert pages() < before / 2
    with replica.asking(EVERYTHING) as moment:
        assert sum(use.requests for use in moment.models.model_use(NOON, later)) == 2000
