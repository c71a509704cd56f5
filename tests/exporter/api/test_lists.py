"""Every list of the API: a page of it, sorted and searched on the server, and the same as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from starlette.testclient import TestClient

from exporter.api import ROUTES
from exporter.app import create_app
from exporter.http.lists import BoundListing, answer_type
from exporter.http.types import AnyRoute, Content
from otel_measure.config import Settings
from otel_measure.definitions.columns import is_record, without_none
from otel_measure.definitions.days import moment
from otel_measure.definitions.series import Series
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.exporter.conftest import NOW_US
from tests.facts import inference

BASE = "/api/v1/metrics"
LISTS = [(route, each) for route in ROUTES for each in route.lists]
# Lists that are answered whole, each with the reason.
WHOLE = {
    ("/users/summary", "retention.cohorts"): "a row for each day; /users/retention has pages of them",
    ("/dashboard", "users.retention.cohorts"): "likewise",
    **{(f"/users/{path}export", name): "all that is stored of one person, who may take it elsewhere"
       for path in ("", "{user_id}/") for name in ("ids", "facts")},
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server with some of everything that recording makes."""
    clock = Clock(moment(NOW_US))
    runtime = Runtime(Settings(store=str(tmp_path_factory.mktemp("lists") / "measure.db")), clock=clock)
    app = create_app(runtime=runtime)
    with TestClient(app, base_url="http://localhost:5000", client=("127.0.0.1", 50_000)) as client:
        _fill(client)
        yield client
    runtime.shutdown()


def _fill(client: TestClient) -> None:
    for n in range(4):
        call = {"model_name": f"m{n}", "model_version": "1", "latency_ms": 100.0 * (4 - n), "user_id": f"u{n}"}
        failed = call | {"error_type": f"E{n}", "cost_usd": n}
        for body in (call, failed):
            assert client.post(f"{BASE}/ai/inferences/record", json=body).status_code == 201
        assert client.post(f"{BASE}/infrastructure/services/register", json={"name": f"s{n}"}).status_code == 201
    for name in ("t0", "=t4"):
        assert client.post(f"{BASE}/experiments", json={"test_name": name, "variants": ["a", "b"]}).status_code == 201


def path_of(route: AnyRoute) -> str:
    """Return a path of a route that there is."""
    return route.path.replace("{name}", "m0").replace("{version}", "1")


def needed(route: AnyRoute) -> dict[str, str]:
    """Return the parameters without which a route cannot be asked."""
    given = {"model": "m0", "version": "1", "baseline": "1"}
    return {field.name: given[field.name] for field in msgspec.structs.fields(route.query) if field.required}


def shown(answer: Any, key: str) -> list[dict[str, Any]]:
    """Return a list of an answer."""
    for part in key.split("."):
        answer = answer[part]
    rows: list[dict[str, Any]] = answer
    return rows


@pytest.mark.parametrize(("route", "listing"), LISTS, ids=[f"{route.path} {each.key}" for route, each in LISTS])
def test_every_list(filled: TestClient, route: AnyRoute, listing: BoundListing) -> None:
    """Pages add up to the list, every column sorts it, words are sought, and a table has its columns and rows."""
    path, only = path_of(route), needed(route) | ({"list": listing.key} if len(route.lists) > 1 else {})
    whole = filled.get(path, params=needed(route)).json()
    rows = shown(whole["data"], listing.key)
    assert "lists" not in whole or listing.listing.has_own_order
    first = filled.get(path, params=only | {"limit": 1}).json()
    assert first["lists"][listing.key] == {"total": len(rows), "matched": len(rows)}
    assert len(shown(first["data"], listing.key)) == min(len(rows), 1)
    for sort in listing.sortable:
        answer = filled.get(path, params=only | {"sort": sort, "limit": 3})
        assert len(shown(answer.json()["data"], listing.key)) == min(len(rows), 3), sort
    wrong = filled.get(path, params=only | {"sort": "nobody"})
    assert wrong.status_code == 400
    assert all(name in wrong.json()["message"] for name in listing.sortable)
    nothing = filled.get(path, params=only | {"q": "nobody is called so"}).json()
    assert nothing["lists"][listing.key] == {"total": len(rows), "matched": 0}
    table = filled.get(path, params=only, headers={"accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    header, *lines = csv.reader(io.StringIO(table.text, newline=""))
    assert header == [column.name for column in listing.columns]
    assert (len(lines), table.headers["x-total-count"]) == (len(rows), str(len(rows)))


@pytest.mark.parametrize(
    "route", [each for each in ROUTES if answer_type(each.handler) is Series], ids=lambda r: r.path
)
def test_every_series(filled: TestClient, route: AnyRoute) -> None:
    """A series is a table with a line for each step, whose columns are those of the answer."""
    path = path_of(route).replace("{service}", "s0").replace("{id}", "t0")
    series = filled.get(path).json()["data"]
    table = filled.get(path, headers={"accept": "text/csv"})
    header, *lines = csv.reader(io.StringIO(table.text, newline=""))
    assert header[: 2 + len(series["columns"])] == ["start", "partial", *series["columns"]]
    assert [line[0] for line in lines] == series["start"]


def lists_in(kind: Any, way: str = "", depth: int = 3) -> Iterator[str]:
    """Yield the ways to the lists of records in a type of answers."""
    kind = without_none(kind)
    if get_origin(kind) in (tuple, list) and is_record(get_args(kind)[0]):
        yield way
    elif is_record(kind) and depth:
        for name, of_field in get_type_hints(kind).items():
            yield from lists_in(of_field, f"{way}.{name}".strip("."), depth - 1)


def test_no_list_is_forgotten() -> None:
    """Every list of records in an answer to a question is in the table of lists, but those that belong to one thing."""
    forgotten = {
        (route.path.removeprefix(BASE), way)
        for route in ROUTES
        if route.method == "GET" and answer_type(route.handler) not in (Content, Series)
        for way in lists_in(answer_type(route.handler))
        if way not in {each.key for each in route.lists} | {each.key for each in route.tables}
    }
    assert forgotten == {*WHOLE}


def test_models_in_their_order(filled: TestClient) -> None:
    """The page of models is chosen on the server: by what is asked, with what all did together beside it."""

    def asked(**parameters: str | int) -> tuple[list[str], dict[str, Any] | None]:
        answer = filled.get(f"{BASE}/ai/models", params=parameters).json()
        assert answer["data"]["total_models"] == 4
        assert answer["data"]["total_inferences"] == answer["data"]["summary"]["inference_count"] == 8
        return [model["model_name"] for model in answer["data"]["models"]], answer.get("lists", {}).get("models")

    assert asked() == (["m0", "m1", "m2", "m3"], None)
    assert asked(sort="latency.p95_ms", limit=2)[0] == ["m3", "m2"]
    assert asked(sort="-cost.total_usd", limit=2, offset=1)[0] == ["m2", "m1"]
    assert asked(sort="health_score", limit=1) == (["m0"], {"total": 4, "matched": 4})
    assert asked(q="M2 1") == (["m2"], {"total": 4, "matched": 1})


def test_more_than_a_page_says_so(client: TestClient, runtime: Runtime) -> None:
    """A list of more than a thousand is answered up to a thousand, and how many there are is said."""
    assert runtime.store is not None
    runtime.store.accept([inference(f"i{n}", runtime.clock(), model=f"m{n:04}") for n in range(1001)])
    answer = client.get(f"{BASE}/ai/models").json()
    assert (len(answer["data"]["models"]), answer["data"]["total_models"]) == (1000, 1001)
    assert answer["lists"] == {"models": {"total": 1001, "matched": 1001}}
    last = client.get(f"{BASE}/ai/models?offset=1000").json()["data"]["models"]
    assert [model["model_name"] for model in last] == ["m1000"]


def test_what_a_table_is_not(filled: TestClient) -> None:
    """Errors are JSON whatever is wanted, and formulas text; both forms say that they depend on what is wanted."""
    models, as_csv = f"{BASE}/ai/models", {"accept": "text/csv"}
    assert filled.get(f"{models}?sort=nothing", headers=as_csv).json()["status"] == "error"
    table = filled.get(f"{BASE}/experiments?sort=test_name&limit=1", headers=as_csv)
    assert [line.split(",")[:2] for line in table.text.splitlines()] == [["test_id", "test_name"], ["t4", "'=t4"]]
    assert {filled.get(models, headers=each).headers["vary"] for each in ({}, as_csv)} == {"accept, accept-encoding"}
    assert filled.get(f"{BASE}/ai/summary", headers=as_csv).headers["content-type"] == "application/json"
