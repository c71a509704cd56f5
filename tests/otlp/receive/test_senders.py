from __future__ import annotations

import pytest

from otel_measure.otlp.receive.senders import Resource, resource_of, text
from otel_measure.records.kinds import Json, Origin


def test_what_a_resource_says() -> None:
    """Service, environment (also by its older name), process, host; all but private attributes is kept as text."""
    said: dict[str, Json] = {
        "service.name": "shop",
        "deployment.environment": "prod",
        "service.instance.id": "i",
        "host.name": "h",
        "container.id": "c",
        "process.pid": 7,
        "otel_measure.own_facts": True,
        "process.command_args": ["a", "b"],
        "absent": None,
    }
    assert resource_of(said) == Resource(
        Origin("shop", "prod"),
        "i",
        "h",
        "c",
        True,
        {
            "service.name": "shop",
            "deployment.environment": "prod",
            "service.instance.id": "i",
            "host.name": "h",
            "container.id": "c",
            "process.pid": "7",
            "otel_measure.own_facts": "true",
        },
    )
    assert resource_of(said, keeps_text=True).attributes["process.command_args"] == '["a","b"]'


@pytest.mark.parametrize(
    ("said", "instance"),
    [
        ({"service.instance.id": "i", "host.name": "h", "process.pid": 1}, "i"),
        ({"k8s.pod.uid": "p", "process.pid": 1, "host.name": "h"}, "p/1"),
        ({"container.id": "c", "process.pid": 1}, "c/1"),
        ({"host.name": "h", "process.pid": 1, "host.id": "x"}, "h/1"),
        ({"host.id": "x", "process.pid": 1}, "x/1"),
        ({}, "4f53cda18c2baa0c"),
    ],
)
def test_what_tells_processes_apart(said: dict[str, Json], instance: str) -> None:
    """The id of the instance, else process and place, else all that is said."""
    assert resource_of(said).instance == instance


def test_processes_are_told_apart_over_services() -> None:
    """Two services may give equal ids to their processes."""
    assert resource_of({"service.name": "a"}).source != resource_of({"service.name": "b"}).source
    assert resource_of({}).origin == Origin("unknown_service")
    assert resource_of({"k8s.node.name": "n"}).host == "n"


def test_values_as_text() -> None:
    """As labels show them."""
    values: list[Json] = ["x", True, False, 1, 1.5, [1], None]
    assert [text(value) for value in values] == [*("x", "true", "false", "1", "1.5", "[1]", "null")]
