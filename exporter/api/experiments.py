"""Experiments: creating them, assigning users, recording conversions, and what they say."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from exporter.api.tables import EXPERIMENT
from exporter.http.batch import is_duplicate
from exporter.http.fields import SentAt
from exporter.http.lists import Listing
from exporter.http.query import EnvironmentQuery, ExperimentSeriesQuery
from exporter.http.types import API, AnyRoute, Call, NoBody, NoQuery, get, post
from otel_measure.definitions.series import Series
from otel_measure.experiments.service import AbTestResults
from otel_measure.records.limits import MAX_NAME_CHARS
from otel_measure.stats.ab_test import AbTest

_BASE: Final = f"{API}/experiments"
_UserId = Annotated[int | str, Meta(description='`1` and `"1"` are the same user.')]
_Share = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 1})]


class ExperimentBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test, with the arguments of `create_ab_test`."""

    test_name: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_NAME_CHARS})]
    variants: Annotated[
        list[str], Meta(description="The control first.", extra_json_schema={"minItems": 2, "uniqueItems": True})
    ]
    weights: Annotated[list[_Share] | None, Meta(description="Together 1; equal when absent.")] = None
    coverage: Annotated[_Share, Meta(description="The share of the users that take part, above 0.")] = 1.0
    key: Annotated[str | None, Meta(description="The id; made of the name when absent.")] = None


class Created(msgspec.Struct, frozen=True):
    """The id of a test."""

    test_id: str


class StopBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a test ends, with the arguments of `stop_ab_test`."""

    winner: Annotated[str | None, Meta(description="What everybody gets; the control when absent.")] = None


class Stopped(msgspec.Struct, frozen=True):
    """The variant that everybody gets of a test that was stopped."""

    test_id: str
    served_variant: str


class AssignBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who meets the test."""

    user_id: _UserId


class Assigned(msgspec.Struct, frozen=True):
    """The variant of a user; `null` for who takes no part."""

    variant: str | None


class ConvertBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who converted, with the arguments of `record_ab_conversion`."""

    user_id: _UserId
    timestamp: Annotated[dt.datetime | None, Meta(description="With a time zone; now when absent.")] = None
    event_id: Annotated[str | None, Meta(description="Makes a retry safe: an id counts once.")] = None
    sent_at: SentAt | None = None


class Converted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The id of a committed conversion; `duplicate` when it was there already."""

    event_id: str
    duplicate: bool = False


def experiments(call: Call[EnvironmentQuery, NoBody]) -> AbTestResults:
    """Answer what every test says so far."""
    return call.runtime.experiments.list_ab_tests(environment=call.query.environment)


def experiment(call: Call[EnvironmentQuery, NoBody]) -> AbTest:
    """Answer what the test that the path names says so far."""
    return call.runtime.experiments.get_ab_test_results(call.path_params["id"], environment=call.query.environment)


def series(call: Call[ExperimentSeriesQuery, NoBody]) -> Series:
    """Answer what the test that the path names said at the end of each day or week."""
    query = call.query
    return call.runtime.experiments.get_ab_test_series(
        call.path_params["id"], query.window, step=query.step, as_of=query.as_of, environment=query.environment
    )


def create(call: Call[NoQuery, ExperimentBody]) -> Created:
    """Create a test, or find the same one again."""
    body = call.body
    return Created(
        call.runtime.experiments.create_ab_test(
            body.test_name, body.variants, weights=body.weights, coverage=body.coverage, key=body.key
        )
    )


def stop(call: Call[NoQuery, StopBody]) -> Stopped:
    """Count no more for a test, and give everybody one variant."""
    test_id = call.path_params["id"]
    return Stopped(test_id, call.runtime.experiments.stop_ab_test(test_id, call.body.winner))


async def assign(call: Call[NoQuery, AssignBody]) -> Assigned:
    """Commit the exposure, if the user takes part, together with what arrives at the same time."""
    assignment = call.runtime.experiments.assignment(call.path_params["id"], call.body.user_id)
    if assignment.exposure is not None:
        is_duplicate(await call.commits.add(assignment.exposure))
    return Assigned(assignment.variant)


async def convert(call: Call[NoQuery, ConvertBody]) -> Converted:
    """Commit the conversion together with what arrives at the same time."""
    conversion = call.runtime.experiments.conversion_record(call.path_params["id"], **msgspec.structs.asdict(call.body))
    return Converted(conversion.id, is_duplicate(await call.commits.add(conversion)))


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        _BASE, experiments, EnvironmentQuery,
        "Every experiment", "What each says so far, the oldest first.",
        lists=(Listing("experiments", ("test_id", "test_name", "verdict", "winner")),),
    ),
    post(
        _BASE, create, ExperimentBody,
        "Create an experiment, or raise its coverage",
        "Its id, once it is committed; the same definition again is the same experiment.",
        access="admin",
    ),
    get(
        f"{_BASE}/{{id}}", experiment, EnvironmentQuery,
        "One experiment", "Rates, effects, and a verdict that may be looked at at any time.", tables=EXPERIMENT,
    ),
    get(
        f"{_BASE}/{{id}}/series", series, ExperimentSeriesQuery,
        "One experiment over time", "Per day: each variant's users, its effect with its interval, and its p-value.",
    ),
    post(
        f"{_BASE}/{{id}}/stop", stop, StopBody,
        "Stop an experiment", "What everybody gets from now on; nothing is counted any more.",
        status=200, access="admin",
    ),
    post(
        f"{_BASE}/{{id}}/assign", assign, AssignBody,
        "Assign a user", "The variant, once the exposure is committed.",
        status=200,
    ),
    post(
        f"{_BASE}/{{id}}/convert", convert, ConvertBody,
        "Record that a user converted", "The id of the event, once it is committed.",
    ),
)  # fmt: skip
