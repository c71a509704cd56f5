"""An application whose ClickHouse server is away: it begins and runs without it, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
N = 300


def register(app: Runtime) -> str:
    """Say what an application says when it begins; return the test that it runs."""
    app.ai.register_model("m", "1", "nlp_generation")
    app.infrastructure.register_service("web", 99.5)
    app.infrastructure.watch_service("web", lambda: True, interval_s=3600)
    return app.users.create_ab_test("T", ["a", "b"])


def knows_test(app: Runtime, test_id: str) -> bool:
    """Tell whether the store has a test."""
    assert app.store is not None
    with app.store.asking() as moment:
        return bool(moment.experiments.experiments(test_id))


def test_what_an_application_records_while_its_server_is_away_is_there_later(tmp_path: Path) -> None:
    """A process begins and ends without it; the next one of the host brings the records of both, each once.

    What it registers when it begins waits as well, and its test runs by the hash meanwhile.
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
        assert app.recorder.flush(60.0)
        if run == 0:
            assert app.forwarder is not None
            assert app.forwarder.waiting() == N + 2
            app.shutdown(0.0)
    with without_what_is_not_of_the_extra(), server.run():
        until(lambda: app.forwarder is not None and app.forwarder.waiting() == 0, within_s=120)
        assert app.ai.get_latency_metrics("m", "1").sample_count == 2 * N
        until(lambda: app.infrastructure.knows_service("web"))
        assert [each.sla_target for each in app.infrastructure.list_services().services] == [99.5]
        until(lambda: knows_test(app, test_id))
        assert variant is not None
        assert app.users.get_ab_test_results(test_id).variant_users == {"a": 0, "b": 0} | {variant: 1}
        app.ai.record_inference("m", "1", 5.0, inference_id="own")
        app.ai.record_inference("m", "1", 5.0, inference_id="0-0")
        assert app.ai.get_latency_metrics("m", "1").sample_count == 2 * N + 1
        app.shutdown(30.0)
        client = server.client()
        assert client.query("SELECT count(), uniqExact(id) FROM shop.inference").result_rows == [(2 * N + 1,) * 2]
        client.close()
