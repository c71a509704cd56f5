from __future__ import annotations

import logging
from typing import Any

import pytest

from otel_measure.telemetry.instrumentations import DISABLED, installed, turn_off, turn_on
from tests.components import requires_module


class Instrumentor:
    """An instrumentation that notes what is done to it."""

    def __init__(self, *, on: bool = False, broken: bool = False) -> None:
        self.is_instrumented_by_opentelemetry = on
        self._broken = broken

    def instrument(self) -> None:
        """Turn on."""
        if self._broken:
            raise RuntimeError("no such client")
        self.is_instrumented_by_opentelemetry = True

    def uninstrument(self) -> None:
        """Turn off."""
        self.is_instrumented_by_opentelemetry = False
        if self._broken:
            raise RuntimeError("stuck")


class FakeEntryPoint:
    """An entry point."""

    def __init__(self, name: str, instrumentor: Instrumentor) -> None:
        self.name = name
        self._instrumentor = instrumentor

    def load(self) -> Any:
        """Return what makes the instrumentor."""
        return lambda: self._instrumentor


def test_those_of_genai_clients_are_found() -> None:
    """The official ones that are installed, and no other."""
    requires_module("opentelemetry.instrumentation.genai.openai", "opentelemetry-instrumentation-genai-openai")
    assert [point.name for point in installed()] == ["openai"]


def test_what_was_off_is_turned_on_and_off_again(caplog: pytest.LogCaptureFixture) -> None:
    """What is on already, or unwanted, is left alone; one that fails is logged and counted."""
    faults: list[str] = []
    off, on, unwanted, broken = Instrumentor(), Instrumentor(on=True), Instrumentor(), Instrumentor(broken=True)
    points: Any = [
        FakeEntryPoint("off", off),
        FakeEntryPoint("on", on),
        FakeEntryPoint("unwanted", unwanted),
        FakeEntryPoint("broken", broken),
    ]
    with caplog.at_level(logging.WARNING, "otel_measure"):
        turned_on = turn_on(points, {DISABLED: "x, unwanted"}, faults.append)
    assert (turned_on, faults) == ([off], ["auto_instrument"])
    assert "the instrumentation broken could not be turned on: RuntimeError('no such client')" in caplog.text
    assert [one.is_instrumented_by_opentelemetry for one in (off, on, unwanted)] == [True, True, False]
    turn_off([off, broken])
    assert not off.is_instrumented_by_opentelemetry
    assert "could not be turned off" in caplog.text
    assert turn_on(points, {DISABLED: "*"}, faults.append) == []
