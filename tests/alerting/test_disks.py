"""How full disks were lately, judged."""

from __future__ import annotations

from otel_measure.alerting.disks import disks_filling
from otel_measure.alerting.in_force import BY_KEY
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.store.protocol import Store
from otel_measure.testing import Capture

MINUTE_US = 60_000_000


def fill(store: Store, now: int, an_hour: float) -> None:
    """Note a disk that is 90 % full now, and grew steadily for six hours."""
    for minute in range(0, 360, 5):
        store.note_machine({"disk_percent": 90.0 - an_hour * minute / 60}, now - minute * MINUTE_US)


def judged(an_hour: float | None) -> Judgement:
    """Return what the rule says of a machine whose disk grew so; `None` for one without readings."""
    with Capture() as capture:
        store, now = capture.runtime.store, capture.clock.now_us
        assert store is not None
        if an_hour is not None:
            fill(store, now, an_hour)
        (judgement,) = disks_filling(store, [BY_KEY["host_disk_fills"]], now, "web-1")
    return judgement


def test_a_disk_that_is_full_within_a_day() -> None:
    """At 90 % and 1.5 % an hour the machine is beyond, as the subject of the alerts about its disk."""
    filling = judged(1.5)
    assert (filling.subject, filling.outcome, filling.evidence) == (("host", "web-1", ""), "beyond", 72)
    assert filling.sentence == (
        "the fullest disk of web-1 is 90.0 % full and grows by 1.5 % an hour: it is full in 6.7 hours"
    )


def test_a_disk_that_is_not() -> None:
    """One that grows by 0.1 % an hour is within; of a machine without readings nothing is known."""
    assert judged(0.1).outcome == "within"
    assert judged(None).outcome == "unknown"


def test_below_80_percent_nothing_but_the_last_readings_is_read() -> None:
    """A disk with room is within by them."""
    with Capture() as capture:
        store, now = capture.runtime.store, capture.clock.now_us
        assert store is not None
        fill(store, now - 30 * MINUTE_US, 5.0)
        store.note_machine({"disk_percent": 70.0}, now)
        (judgement,) = disks_filling(store, [BY_KEY["host_disk_fills"]], now, "web-1")
    assert (judgement.outcome, judgement.evidence) == ("within", 1)
