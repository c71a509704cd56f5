"""The tables of single models, tests and of users, as comma-separated values."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator

import msgspec
import pytest
from starlette.testclient import TestClient

from exporter.api import ROUTES
from exporter.app import create_app
from exporter.http.tables import AnyTable
from exporter.http.types import AnyRoute
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.exporter.conftest import NOW_US

BASE = "/api/v1/metrics"
CSV = {"accept": "text/csv"}
MODEL = f"{BASE}/ai/models/credit/1"
TABLES = [(route, table) for route in ROUTES for table in route.tables]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server that knows a model with features, truths and groups, users of every kind, and a test."""
    runtime = Runtime(Settings(store=str(tmp_path_factory.mktemp("tables") / "a.db")), clock=Clock(moment(NOW_US)))
    with TestClient(create_app(runtime=runtime), base_url="http://localhost:5000", client=("127.0.0.1", 1)) as opened:
        _fill(opened)
        income = [random.Random(1).gauss(0.0, 1.0) for _ in range(2000)]
        runtime.ai.set_drift_reference("credit", "1", predictions=[True, False] * 1000, features={"income": income})
        yield opened
    runtime.shutdown()


def _fill(client: TestClient) -> None:
    generator = random.Random(7)
    calls = [
        {
            "model_name": "credit", "model_version": "1", "latency_ms": 10.0, "prediction": i % 2 == 0,
            "ground_truth": i % 4 == 0, "groups": {"age": "old" if i % 5 == 0 else "=young"},
            "features": {"income": generator.gauss(1.0, 1.0), "rare": None if i else 1.0},
        }
        for i in range(1000)
    ]  # fmt: skip
    written = client.post(f"{BASE}/ai/inferences/batch", json={"inferences": calls}).json()
    assert written["data"]["accepted"] == len(calls), written
    post(client, "experiments", {"test_name": "Form", "variants": ["old", "new"]})
    for user in range(4):
        post(client, "experiments/form/assign", {"user_id": user})
        post(client, "users/nps/record", {"user_id": user, "score": (10, 9, 7, 0)[user]})
        post(client, "users/events/track", {"user_id": user, "event_type": "page_view", "event_name": "home"})
    post(client, "experiments/form/convert", {"user_id": 1})


def post(client: TestClient, path: str, body: object) -> None:
    """Write something."""
    assert client.post(f"{BASE}/{path}", json=body).status_code in (200, 201)


def table_of(client: TestClient, path: str, **parameters: str) -> list[list[str]]:
    """Return a table, its header first."""
    answer = client.get(path, params=parameters, headers=CSV)
    assert answer.headers["content-type"].startswith("text/csv"), answer.text
    return list(csv.reader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize(("route", "table"), TABLES, ids=[f"{route.path} {table.key}" for route, table in TABLES])
def test_every_table(client: TestClient, route: AnyRoute, table: AnyTable) -> None:
    """Each table of an answer leaves with its columns and its rows, as a file that is called by its path."""
    path = route.path.replace("{name}", "credit").replace("{version}", "1").replace("{id}", "form")
    needed = {field.name: {"name": "credit", "version": "1"}[field.name]
              for field in msgspec.structs.fields(route.query) if field.required}  # fmt: skip
    only = {"table": table.key} if len(route.tables) > 1 else {}
    header, *rows = table_of(client, path, **needed, **only)
    assert header == [column.name for column in table.columns]
    assert rows
    assert {len(row) for row in rows} == {len(header)}
    assert client.get(path, params=needed | only).json()["status"] == "success"


def test_how_groups_are_treated(client: TestClient) -> None:
    """A row for each group of each attribute; names of others are no formulas."""
    expected = [
        ["attribute", "group", "records", "selection_rate", "true_positive_rate", "false_positive_rate", "is_compared"],
        ["age", "'=young", "800", "0.5", "1.0", "0.3333333333333333", "true"],
        ["age", "old", "200", "0.5", "1.0", "0.3333333333333333", "true"],
    ]
    assert table_of(client, f"{MODEL}/fairness") == table_of(client, MODEL, table="groups") == expected


def test_how_classes_are_found(client: TestClient) -> None:
    """A row for each class."""
    assert (
        table_of(client, f"{MODEL}/accuracy")
        == table_of(client, MODEL, table="classes")
        == [
            ["class_name", "labelled", "precision", "recall", "f1"],
            ["false", "750", "1.0", "0.6666666666666666", "0.8"],
            ["true", "250", "0.5", "1.0", "0.6666666666666666"],
        ]
    )


def test_how_features_moved(client: TestClient) -> None:
    """A row for the prediction and for each feature, and of one without a verdict the reason."""
    header, *rows = table_of(client, MODEL, table="features")
    assert header == ["feature", "score", "drifted", "not_judged"]
    assert rows == table_of(client, f"{MODEL}/drift")[1:]
    by_name = {row[0]: row[1:] for row in rows}
    assert set(by_name) == {"(prediction)", "income", "rare"}
    assert (float(by_name["income"][0]) > 0.1, by_name["income"][1:]) == (True, ["true", ""])
    assert by_name["rare"][:2] == ["", "false"]
    assert by_name["rare"][2]


def test_a_model_of_which_nothing_is_known(client: TestClient) -> None:
    """Its tables have their columns and no rows."""
    call = {"model_name": "new", "model_version": "1", "latency_ms": 1.0}
    post(client, "ai/inferences/record", call)
    for table in ("features", "classes", "groups", "deductions"):
        assert len(table_of(client, f"{BASE}/ai/models/new/1", table=table)) == 1
    assert len(table_of(client, f"{BASE}/ai/models/new/1/drift")) == 1


def test_what_variants_did(client: TestClient) -> None:
    """A row for each variant, the control without an effect."""
    header, *rows = table_of(client, f"{BASE}/experiments/form")
    assert header[:6] == ["variant", "is_control", "weight", "users", "conversions", "conversion_rate"]
    assert header[-8:-4] == ["effect.absolute", "effect.absolute_ci.low", "effect.absolute_ci.high", "effect.relative"]
    assert [row[:3] for row in rows] == [["old", "true", "0.5"], ["new", "false", "0.5"]]
    assert (sum(int(row[3]) for row in rows), sum(int(row[4]) for row in rows)) == (4, 1)
    assert set(rows[0][-8:]) == {""}


def test_where_users_stand(client: TestClient) -> None:
    """Segments and answers add up to all."""
    assert table_of(client, f"{BASE}/users/segments")[:2] == [["segment", "users", "share"], ["new", "4", "1.0"]]
    assert table_of(client, f"{BASE}/users/nps") == [
        ["group", "answers", "share"], ["promoters", "2", "0.5"], ["passives", "1", "0.25"], ["detractors", "1", "0.25"]
    ]  # fmt: skip


def test_a_table_that_is_not_there(client: TestClient) -> None:
    """The answer names those that there are."""
    answer = client.get(MODEL, params={"table": "people"})
    message = "table must be one of deductions, features, classes, groups, not 'people'"
    assert (answer.status_code, answer.json()["message"]) == (400, message)
