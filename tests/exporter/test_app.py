from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient

import exporter
import otel_measure.process
from exporter.app import ROUTES, create_app
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.definitions.parameters import RULES, Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore
from otel_measure.testing import Clock
from tests.facts import DAY, event
from tests.waiting import until

Local = Callable[[Starlette], TestClient]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TRACK = "/api/v1/metrics/users/events/track"
EVENT = {"user_id": 1, "event_type": "click", "event_name": "buy"}
CLOSED_GETS = sorted(row.path for row in ROUTES if row.method == "GET" and row.access == "read" and "{" not in row.path)


def bearer(token: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"authorization": f"Bearer {token}"}


def test_lazy() -> None:
    """The package gives the factory when it is asked for, and knows nothing else."""
    assert exporter.create_app is create_app
    with pytest.raises(AttributeError, match="module 'exporter' has no attribute 'other'"):
        exporter.other  # noqa: B018


def test_nothing_starts_at_import(tmp_path: Path) -> None:
    """Making the application starts no thread and opens no store, so it may be made before a fork."""
    before = threading.active_count()
    create_app(Settings(store=str(tmp_path / "m.db")))
    assert (threading.active_count(), list(tmp_path.iterdir())) == (before, [])


def test_settings_are_adopted(tmp_path: Path, local: Local) -> None:
    """With settings the application becomes the process's one runtime at its first request."""
    settings = Settings(store=str(tmp_path / "m.db"))
    try:
        assert local(create_app(settings)).get("/readyz").json() == {"status": "ready"}
        assert otel_measure.process.current().settings is settings
    finally:
        otel_measure.process.shutdown()


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/metrics/nothing", "/api/v1/metrics/users/engagement/", "//"])
def test_unknown_path(client: TestClient, path: str) -> None:
    """An unknown path is a 404 in the envelope."""
    answer = client.get(f"http://localhost:5000{path}")
    message = f"nothing is at {path}; /openapi.json lists what there is"
    assert (answer.status_code, answer.json()) == (404, {"status": "error", "message": message})


@pytest.mark.parametrize("path", CLOSED_GETS)
def test_unknown_parameter(client: TestClient, path: str) -> None:
    """Every question refuses a parameter that has no meaning there, by name."""
    answer = client.get(path, params={"windw": "1d"})
    message = answer.json()["message"]
    assert (answer.status_code, message.partition(";")[0]) == (400, "query parameter 'windw' has no meaning here")


def test_health(client: TestClient) -> None:
    """Liveness and readiness are plain and may be asked by anybody."""
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_not_ready(client: TestClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be used makes the application unready, without telling strangers where the store is."""

    def check() -> None:
        raise StoreUnavailable("full", "/secret/path is full", "make room")

    monkeypatch.setattr(runtime.store, "check", check)
    answer = client.get("/readyz")
    message = "store unavailable (full); 'otel-measure doctor' tells more"
    assert (answer.status_code, answer.json()) == (503, {"status": "error", "message": message})


def test_store_unavailable(client: TestClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that cannot be committed is a 503 that asks to come back, and not an acknowledgement."""

    def commit(records: object, *, durable: bool = False) -> None:
        raise StoreUnavailable("locked", "m.db is locked", "wait")

    monkeypatch.setattr(runtime.store, "accept", commit)
    for path, body in ((TRACK, EVENT), ("/api/v1/metrics/users/events/batch", {"events": [EVENT]})):
        answer = client.post(path, json=body)
        message = "store unavailable (locked): m.db is locked; wait"
        assert (answer.status_code, answer.json()) == (503, {"status": "error", "message": message})
        assert answer.headers["retry-after"] == "1"


def test_exposition(client: TestClient) -> None:
    """Both paths show the same families, in Prometheus's own type; `scope` narrows to the machine."""
    client.post(TRACK, json=EVENT)
    until(lambda: "system_cpu_utilization" in client.get("/metrics").text)  # which takes a second reading
    everything, same = client.get("/metrics"), client.get("/api/v1/metrics/infrastructure/prometheus")
    narrow = client.get("/api/v1/metrics/infrastructure/prometheus", params={"scope": "infrastructure"})
    assert {a.headers["content-type"] for a in (everything, same, narrow)} == {
        "text/plain; version=0.0.4; charset=utf-8"
    }

    def families(text: str) -> set[str]:
        return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}

    assert families(everything.text) == families(same.text)
    assert "otel_measure_users_events_total" in families(everything.text) - families(narrow.text)
    assert "system_cpu_time_seconds_total" in families(narrow.text) < families(everything.text)


def test_without_store(local: Local) -> None:
    """Without a store the machine is answered for, the exposition is this process's, and users are a 503."""
    runtime = Runtime(Settings(store=None))
    with local(create_app(runtime=runtime)) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.get("/api/v1/metrics/infrastructure/cpu").status_code == 200
        assert client.post(TRACK, json=EVENT).status_code == 201
        assert b"system_cpu_time_seconds_total" in client.get("/metrics").content
        answer = client.get("/api/v1/metrics/users/engagement")
    runtime.shutdown()
    assert (answer.status_code, answer.json()["message"]) == (
        503,
        "engagement needs a store and none is configured; call configure(store=...) or set OTEL_MEASURE_STORE",
    )


def part(client: TestClient, name: str, at: str = "") -> str:
    """Return the address of a part of the page, as the page names it."""
    digest = re.search(r'"static/([0-9a-f]{16})/app\.js"', client.get(f"{at}/").text)
    assert digest is not None
    return f"{at}/static/{digest[1]}/{quote(name, safe='')}"


@pytest.mark.parametrize(("name", "kind"), [("", "text/html"), ("app.js", "text/javascript")])
def test_page(client: TestClient, name: str, kind: str) -> None:
    """The page and its parts carry a policy that lets nothing else load, and are sniffed by nobody."""
    answer = client.get(part(client, name) if name else "/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert answer.headers["content-security-policy"] == POLICY
    assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e%2fapp.py", "nothing.js", "uPlot.LICENSE", "index.html"])
def test_no_other_file(client: TestClient, name: str) -> None:
    """Only the parts of the page can be had, whatever a path says."""
    assert client.get(part(client, name)).status_code == 404


def test_tokens(tmp_path: Path, local: Local) -> None:
    """With tokens each scope does its own; liveness and the page, which holds no figures, need none."""
    settings = Settings(store=str(tmp_path / "m.db"), token="all", read_token="look", write_token="put")
    runtime = Runtime(settings)
    with local(create_app(runtime=runtime)) as client:
        statuses = {
            (token, what): client.request(method, path, headers=bearer(token) if token else {}, json=body).status_code
            for token in ("", "nonsense", "look", "put", "all")
            for what, method, path, body in (
                ("open", "GET", "/healthz", None),
                ("page", "GET", "/", None),
                ("read", "GET", "/metrics", None),
                ("write", "POST", TRACK, EVENT),
                ("unknown", "GET", "/nothing", None),
            )
        }
    runtime.shutdown()
    expected = {
        "": [200, 200, 401, 401, 401],
        "nonsense": [200, 200, 401, 401, 401],
        "look": [200, 200, 200, 403, 404],
        "put": [200, 200, 403, 201, 404],
        "all": [200, 200, 200, 201, 404],
    }
    assert statuses == {
        (token, what): status
        for token, row in expected.items()
        for what, status in zip(("open", "page", "read", "write", "unknown"), row, strict=True)
    }


def test_strangers(app: Starlette) -> None:
    """Without a token a stranger may ask for liveness alone."""
    stranger = TestClient(app, base_url="http://localhost", client=("192.168.1.5", 1))
    paths = ("/healthz", "/readyz", "/", "/metrics", "/openapi.json", "/nothing")
    assert [stranger.get(path).status_code for path in paths] == [200, 200, 403, 403, 403, 403]


@pytest.mark.parametrize("parent", [FastAPI, Starlette])
@pytest.mark.parametrize("prefix", ["/measure", "/a b/ü"])
def test_mounted(app: Starlette, local: Local, parent: type[Starlette], prefix: str) -> None:
    """Mounted under a prefix, where no lifespan runs, the page, writes and names with a slash work."""
    outer = parent()
    outer.mount(prefix, app)
    client, at = local(outer), quote(prefix)
    assert client.get(at).status_code == 200
    assert client.get(f"{at}/").headers["content-type"] == "text/html; charset=utf-8"
    assert client.get(part(client, "app.js", at)).status_code == 200
    body = {"model_name": "org/llm", "model_version": "1/2", "latency_ms": 5}
    assert client.post(f"{at}/api/v1/metrics/ai/inferences/record", json=body).status_code == 201
    model = client.get(f"{at}/api/v1/metrics/ai/models/org%2Fllm/1%2F2").json()["data"]
    assert (model["model_name"], model["model_version"], model["inference_count"]) == ("org/llm", "1/2", 1)
    assert client.get(f"{at}/nothing").json()["status"] == "error"


def test_cors(tmp_path: Path, local: Local) -> None:
    """No origin may call from a browser unless it is configured."""
    origin = "https://app.example"
    for origins, allowed in (((), None), ((origin,), origin)):
        runtime = Runtime(Settings(store=str(tmp_path / "m.db"), cors_origins=origins))
        with local(create_app(runtime=runtime)) as client:
            answer = client.get("/healthz", headers={"origin": origin})
            preflight = client.options(
                TRACK, headers={"origin": origin, "access-control-request-method": "POST",
                                "access-control-request-headers": "content-type"},
            )  # fmt: skip
        runtime.shutdown()
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert preflight.headers.get("access-control-allow-origin") == allowed


def test_a_runtime_that_cannot_start(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting is no fault of the client: liveness answers, the rest is an internal error with an id."""
    monkeypatch.setenv("OTEL_MEASURE_PORT", "secret")
    client = local(create_app())
    assert client.get("/healthz").status_code == 200
    for path in ("/readyz", "/metrics"):
        answer = client.get(path)
        assert (answer.status_code, "secret" in answer.text) == (500, False)


def test_a_route_of_somebody_else_that_fails(app: Starlette, local: Local) -> None:
    """A route added to the application answers its faults in the envelope too."""

    def broken(request: object) -> None:
        raise KeyError("a secret")

    app.add_route("/mine", broken)  # type: ignore[arg-type]
    answer = local(app).get("/mine")
    assert (answer.status_code, answer.json()["message"].startswith("internal error")) == (500, True)


def test_what_is_not_counted_yet_is_said(local: Local, tmp_path: Path) -> None:
    """While facts wait to be counted, answers and `/readyz` say that the store is being brought up to date."""
    path, asked = str(tmp_path / "a.db"), "/api/v1/metrics/users/engagement"
    with closing(SqliteStore(path, definitions=Definitions(rules=RULES + 1))):
        pass
    runtime = Runtime(Settings(store=path))  # of older rules: it stores facts only, and counts none
    try:
        client = local(create_app(runtime=runtime))
        assert "definitions" not in client.get(asked).json()
        assert client.get("/readyz").json() == {"status": "ready"}
        with closing(SqliteStore(path, definitions=Definitions())) as older:
            older.accept([event("a")])
        assert client.get(asked).json()["definitions"] == "updating"
        assert client.get("/readyz").json() == {"status": "ready", "definitions": "updating"}
    finally:
        runtime.shutdown()


def test_days_of_earlier_definitions_are_said(local: Local, tmp_path: Path) -> None:
    """A report over days whose facts are gone, which a changed setting left as they were, says so: HTTP and Python."""
    path, now = str(tmp_path / "a.db"), 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
    with closing(SqliteStore(path, retention_days=4)) as before:
        before.accept([event(f"e{day}", ts=now - day * DAY) for day in range(8)])
        before.sweep(now)
        before.rebuild(Definitions(session_gap_s=600))
    runtime = Runtime(Settings(store=path, session_gap_s=600), clock=Clock(moment(now)))
    try:
        client, users = local(create_app(runtime=runtime)), "/api/v1/metrics/users"
        for window, said in (("4d", "current"), ("5d", "current"), ("6d", "earlier"), ("30d", "earlier")):
            for report in ("engagement", "conversion", "retention", "nps", "segments"):
                data = client.get(f"{users}/{report}", params={"window": window}).json()["data"]
                assert (report, window, data["window"]["definitions"]) == (report, window, said)
            assert runtime.users.get_engagement_metrics(window).window.definitions == said
        assert client.get("/api/v1/metrics/kpis").json()["data"]["definitions"] == "earlier"
        test = runtime.users.create_ab_test("colour", ["red", "blue"])
        assert runtime.users.get_ab_test_results(test).definitions == "current"
    finally:
        runtime.shutdown()
