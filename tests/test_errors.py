"""The errors of the package: their kinds, messages and HTTP statuses."""

from __future__ import annotations

import pickle

import pytest

from otel_measure.errors import (
    ConfigurationError,
    Conflict,
    MeasureError,
    NoStore,
    NotFound,
    StoreError,
    StoreRejected,
    StoreUnavailable,
)

EVERY = [
    (ConfigurationError("unknown key 'colour'"), ValueError, 400, "unknown key 'colour'"),
    (StoreError("broken"), MeasureError, 503, "broken"),
    (StoreRejected("store measure.db: too large"), StoreError, 400, "store measure.db: too large"),
    (
        StoreUnavailable("locked", "measure.db is held by process 7", "stop it or wait"),
        StoreError,
        503,
        "store unavailable (locked): measure.db is held by process 7; stop it or wait",
    ),
    (
        NoStore("retention"),
        StoreError,
        503,
        "retention needs a store and none is configured; call configure(store=...) or set OTEL_MEASURE_STORE",
    ),
    (NotFound("model", "gpt-4/1.0"), LookupError, 404, "no model named 'gpt-4/1.0'"),
    (Conflict("test 'a' exists with other variants"), ValueError, 409, "test 'a' exists with other variants"),
]


@pytest.mark.parametrize(("error", "kind", "status", "message"), EVERY)
def test_every_error_is_a_measure_error_with_a_kind_a_status_and_a_message(
    error: MeasureError, kind: type[Exception], status: int, message: str
) -> None:
    """Each error is a MeasureError, is caught by the standard kind it belongs to, and prints its whole message."""
    assert isinstance(error, MeasureError)
    assert isinstance(error, kind)
    assert (error.http_status, str(error)) == (status, message)


@pytest.mark.parametrize("error", [row[0] for row in EVERY])
def test_an_error_survives_pickling(error: MeasureError) -> None:
    """An error crosses a process border (a pool, a test runner) with its message and fields."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_an_unavailable_store_names_cause_and_way_out() -> None:
    """The cause and the way out are fields, so that doctor prints them without parsing the message."""
    error = StoreUnavailable("full", "no space left for measure.db", "free some space")
    assert (error.cause_name, error.way_out) == ("full", "free some space")
