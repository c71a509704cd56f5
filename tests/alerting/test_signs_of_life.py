"""Which services live."""

from __future__ import annotations

from otel_measure.alerting.signs_of_life import SignsOfLife
from otel_measure.config import Settings
from otel_measure.definitions.arrivals import Arrival, ArrivalSource
from otel_measure.store.protocol import Store
from otel_measure.store.types.streams import Sender
from otel_measure.testing import Capture
from tests.facts import HOUR, MINUTE, NOON


def look(life: SignsOfLife, store: Store, now_us: int, *calling: str) -> None:
    """Look who lives, while some services call a model."""
    with store.asking() as known:
        life.look(known.streams, calling, {"late": HOUR}, now_us)


def test_whatever_comes_of_a_service_is_a_sign_of_life() -> None:
    """A call, anything by OTLP, metrics, or the readings of a process that shares the store; in this environment."""
    with Capture(Settings(store=":memory:", service_name="own", environment="test")) as capture:
        store = capture.runtime.store
        assert store is not None
        for service, environment in (("spans", "test"), ("late", "test"), ("elsewhere", "prod")):
            store.note_arrivals({Arrival(ArrivalSource(service, environment, "", ""), "traces", "step", ""): 1}, NOON)
        store.note_senders([Sender("metrics", "test", "i", {}, NOON), Sender("elsewhere", "prod", "i", {}, NOON)])
        capture.families()  # which writes the streams of this process, by the clock of the machine
        with store.asking() as known:
            (own,) = {reading.ts for reading in known.streams.readings(("process.memory.usage",), 0)}
        life = SignsOfLife("test")
        look(life, store, own, "calling")
        assert life.one_that_lives(["calling", "spans"]) == "calling"
        assert (life.one_that_lives(["own"]), life.heard_until("own")) == ("own", own)
        look(life, store, NOON + 10 * MINUTE)
        services = ("calling", "spans", "metrics", "elsewhere")
        assert [life.one_that_lives([service]) for service in services] == ["", "spans", "metrics", ""]
        look(life, store, NOON + 11 * MINUTE)
        assert (life.one_that_lives(services), life.one_that_lives(["late"])) == ("", "late")
        look(life, store, NOON + 5 * HOUR)
        heard = [life.heard_until(service) for service in services]
        assert heard == [0, NOON + 5 * MINUTE, NOON, 0]
