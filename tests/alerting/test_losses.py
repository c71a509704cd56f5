"""What we lost lately, judged."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

from otel_measure.alerting.in_force import BY_KEY
from otel_measure.alerting.losses import records_lost, store_full
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.records.kinds import Inference
from otel_measure.testing import Capture
from tests.definitions.alerting.judging import MINUTE, NOW
from tests.facts import inference
from tests.store.conformance.test_streams import point as counted

SHOP = AlertSubject("process", "shop", "prod")
LOSSES = [BY_KEY["measure_dropped"], BY_KEY["measure_rejected"]]
MIB = 2**20


def test_records_that_were_lost() -> None:
    """What a process dropped, and what the store refused of it, is beyond, with the reason of most."""
    with Capture(Settings(store=":memory:", service_name="shop", environment="prod")) as capture:
        runtime, now = capture.runtime, capture.clock.now_us
        assert runtime.store is not None
        capture.ai.record_inference("m", "1", 1.0)
        runtime.flush()
        assert [one.outcome for one in records_lost(runtime.store, LOSSES, now)] == ["within"] * 2
        for _ in range(3):
            runtime.recorder.leave_out(Inference, "queue_full")
        runtime.store.sweep(now)
        runtime.recorder.commit([inference("old", now - 500 * 24 * 60 * MINUTE)])
        runtime.flush()
        dropped, rejected = records_lost(runtime.store, LOSSES, now)
    assert (dropped.subject, dropped.outcome, dropped.value, dropped.cause) == (SHOP, "beyond", 3, "queue_full")
    assert dropped.sentence == "records of shop in the last 5 minutes: 3 dropped, 3 of them because of queue_full"
    assert rejected.sentence == (
        "records of shop in the last 5 minutes: 1 rejected, 1 of them because of"
        " timestamp is older than the store's retention"
    )


def test_a_loss_is_told_of_for_five_minutes() -> None:
    """It is over once five whole minutes have passed without another one."""
    with Capture() as capture:
        store, said = capture.runtime.store, []
        assert store is not None
        labels = (
            'deployment_environment_name="prod",otel_measure_drop_reason="queue_full",'
            'otel_measure_record_kind="inference",otel_measure_record_outcome="dropped",service_name="shop"'
        )
        for minute, lost in enumerate((0, 3, 3, 3, 3, 3, 3, 3, 3)):
            at = NOW + minute * MINUTE
            if lost:
                store.ingest([counted(float(lost), at, name="otel_measure.self.records", labels=labels)])
            said.append([one.outcome for one in records_lost(store, LOSSES[:1], at) if one.subject == SHOP])
    assert said == [[], *[["beyond"]] * 6, *[["within"]] * 2]


def test_what_has_to_stay_away_is_no_loss() -> None:
    """Records of a person who was erased are refused, and nobody is woken for that."""
    with Capture(Settings(store=":memory:", service_name="shop", environment="prod")) as capture:
        runtime = capture.runtime
        assert runtime.store is not None
        capture.users.track_event("u-1", "click", "buy")
        runtime.flush()
        runtime.store.erase("u-1", capture.clock.now_us)
        capture.clock.advance(timedelta(seconds=1))
        capture.users.track_event("u-1", "click", "buy")
        runtime.flush()
        assert [one.outcome for one in records_lost(runtime.store, LOSSES, capture.clock.now_us)] == ["within"] * 2


def test_a_store_without_room_is_told_of(tmp_path: Path) -> None:
    """A store that has reached its bound still keeps that it is full, and what is to be told of it."""
    path = tmp_path / "full.db"
    with Capture(Settings(store=str(path), store_max_bytes=16 * MIB), raise_faults=False) as capture:
        runtime = capture.runtime
        assert runtime.store is not None
        assert runtime.alerts is not None
        rules = [BY_KEY["measure_store_full"]]
        assert [one.outcome for one in store_full(runtime.store, rules, 0)] == ["within"]
        filler = sqlite3.connect(path)
        with filler:
            filler.execute("CREATE TABLE filler AS SELECT zeroblob(?) AS x", (17 * MIB,))
        filler.close()
        runtime.alerts.run_due()
        alerts = {alert.rule: alert for alert in runtime.rule_alerts().active}
    full = alerts["measure_store_full"]
    assert (full.state, full.severity, full.cause, full.subject.name) == ("firing", "page", "full", "otel-measure")
    assert full.sentence.startswith("the store is full: ")
    assert "store_max_bytes allows 16,777,216" in full.sentence
