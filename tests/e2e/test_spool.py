"""An application whose ClickHouse server is away: it begins and runs without it, and nothing is lost."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from otel_measure.store.clickhouse import connection
from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra
from tests.components import free_port
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
N = 300


def register(app: Runtime) -> str:
    """Say what an application says when it begins; return the test that it runs."""
    app.ai.register_model("m", "1", "nlp_generation")
    app.infrastructure.register_service("web", 99.5)
    app.infrastructure.watch_service("web", lambda: True, interval_s=3600)
    return app.users.create_ab_test("T", ["a", "b"])


def set_first(app: Runtime) -> None:
    """Say who is who, that a service is down, and that a person is to be forgotten."""
    app.users.track_event("v-1", "click", "button")
    assert app.users.identify("v-1", "bob") == "v-1"
    app.users.track_event("v-2", "click", "button")
    app.users.identify("v-2", "eve")
    assert app.users.delete_user("eve").pending
    assert app.infrastructure.record_service_down("web", reason="disk full")


def set_later(app: Runtime, test_id: str) -> None:
    """Change some of it, and say what is refused when the store is there."""
    app.users.track_event("eve", "click", "button", event_id="of-somebody-new")
    assert app.infrastructure.record_service_up("web")
    assert app.users.stop_ab_test(test_id, "b") == "b"
    assert app.users.assign_variant(test_id, "late") == "b"
    assert app.users.identify("v-1", "carol") == "v-1"


def told(app: Runtime) -> tuple[set[str], list[float]]:
    """Return of which calls something was refused, and how much waits, as `/metrics` says it."""
    shown = {family.name: family.samples for family in app.exposition.families()}
    labels = {label for sample in shown["otel_measure.self.errors"] for label in sample.labels.split(",")}
    waiting = [sample.value for sample in shown["otel_measure.self.spool.length"]]
    return {label for label in labels if "refused" in label}, waiting


def test_what_an_application_records_while_its_server_is_away_is_there_later(tmp_path: Path) -> None:
    """A process begins and ends without it; the next one of the host brings the records of both, each once.

    So does what they set, in the order in which they did: who is who, states of services, the end of a test that runs
    by the hash meanwhile, and an erasure. Who is refused a link then is a number.
    """
    server = ClickHouseServer(tmp_path / "server")
    settings = Settings(store=server.url("shop"), spool=str(tmp_path / "state" / "spool"), service_name="shop")
    for run in range(2):
        app = Runtime(settings)
        app.start()
        test_id = register(app)
        variant = app.users.assign_variant(test_id, "ann")
        app.users.record_ab_conversion(test_id, "ann")
        for n in range(N):
            app.ai.record_inference("m", "1", 5.0, inference_id=f"{run}-{n}")
        set_first(app) if run == 0 else set_later(app, test_id)
        assert app.recorder.flush(60.0)
        if run == 0:
            assert app.forwarder is not None
            assert app.forwarder.waiting() == N + 4 + 8  # records, and what was set
            app.shutdown(0.0)
    with without_what_is_not_of_the_extra(), server.run():
        until(lambda: app.forwarder is not None and app.forwarder.waiting() == 0, within_s=120)
        assert app.ai.get_latency_metrics("m", "1").sample_count == 2 * N
        assert [(each.sla_target, each.state) for each in app.infrastructure.list_services().services] == [(99.5, "up")]
        outage = app.infrastructure.get_availability_metrics("web").last_incident
        assert outage is not None
        assert (outage.reason, outage.ended_at is not None) == ("disk full", True)
        assert [each.id for each in app.users.export_user("v-1").ids] == ["bob", "v-1"]
        assert app.users.export_user("v-2").facts == ()
        of_eve = [fact.attributes["log.record.uid"] for fact in app.users.export_user("eve").facts]
        assert of_eve == ["of-somebody-new"]
        assert told(app) == ({'error_type="refused_identify"'}, [0.0])
        assert app.users.get_ab_test_results(test_id).served_variant == "b"
        assert variant is not None
        assert app.users.get_ab_test_results(test_id).variant_users == {"a": 0, "b": 0} | {variant: 1}
        app.ai.record_inference("m", "1", 5.0, inference_id="own")
        app.ai.record_inference("m", "1", 5.0, inference_id="0-0")
        assert app.ai.get_latency_metrics("m", "1").sample_count == 2 * N + 1
        app.shutdown(30.0)
        client = server.client()
        assert client.query("SELECT count(), uniqExact(id) FROM shop.inference").result_rows == [(2 * N + 1,) * 2]
        client.close()


def test_a_server_that_takes_connections_and_says_nothing_costs_the_host_one_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for as long as a question may take, and by one call: the others find that it is away."""
    monkeypatch.setattr(connection, "_PROMPT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        app = Runtime(Settings(store=f"clickhouse://127.0.0.1:{port}/shop", spool=str(tmp_path / "spool")))
        began_s = time.monotonic()
        assert app.users.identify("v-1", "ann") == "v-1"
        for n in range(100):
            app.ai.record_inference(f"m-{n}", "1", 5.0, prediction="a")
            assert app.users.identify(f"v-{n}", "bob") == f"v-{n}"
        assert app.forwarder is not None
        assert app.recorder.flush()
        assert app.forwarder.waiting() == 201
        assert time.monotonic() - began_s < 30.0  # a question may take 60, and a sign of life 1
        app.shutdown(0.0)


def test_a_child_goes_on_while_the_server_is_away(tmp_path: Path) -> None:
    """Its first collection of metrics asks how much waits, in a file that was the parent's until then."""
    app = Runtime(Settings(store=f"clickhouse://127.0.0.1:{free_port()}/shop", spool=str(tmp_path / "spool")))
    app.start()
    app.users.identify("v-0", "ann")  # no thread is importing the client any more, whose lock a child would inherit
    app.before_fork()
    child = os.fork()
    if child == 0:
        app.after_fork_in_child()
        os._exit(0 if app.users.identify("v-1", "ann") == "v-1" else 1)
    try:
        until(lambda: os.waitpid(child, os.WNOHANG) == (child, 0), within_s=60)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    app.after_fork_in_parent()
    assert app.forwarder is not None
    assert app.forwarder.waiting() == 2
    app.shutdown(0.0)
