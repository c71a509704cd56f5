"""The files that mypy judges (`api.py`, `reports.py`) leave no public call and no keyword out; all they call works."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import pytest

import otel_measure
from exporter import create_app
from otel_measure.ai.service import AiModelService
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.middleware import AsgiMiddleware, WsgiMiddleware
from otel_measure.testing import Capture
from otel_measure.users.service import UserAnalyticsService
from tests.typing import api, reports

SERVICES: Final = (InfrastructureService, AiModelService, UserAnalyticsService)
# Methods of the services that the packages call themselves; no document tells a user of them.
INTERNAL: Final = frozenset(
    {
        *(
            "after_fork_in_child",
            "beat",
            "before_fork",
            "families",
            "first_judged",
            "judged_and_page",
            "judged_models",
            "keep_watch",
            "load_prices",
            "models_page",
            "spending_page",
            "stop_watching",
            "warm",
        ),
        *("ground_truth_record", "inference_record", "inference_records"),
        *("get_users_overview", "knows_model", "knows_service", "list_availability", "list_hosts", "list_services"),
        *("list_lifetimes", "observed_seconds"),
    }
)
JUDGED: Final = (api, reports)
CALLS: Final = [
    node
    for module in JUDGED
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
]


def public_calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield name and function of everything a user may call."""
    for name in otel_measure.__all__:
        if inspect.isfunction(function := getattr(otel_measure, name)):
            yield name, function
    for service in SERVICES:
        for name, method in inspect.getmembers(service, inspect.isfunction):
            if not name.startswith("_") and name not in INTERNAL:
                yield name, method
    yield from (("create_app", create_app), ("AsgiMiddleware", AsgiMiddleware), ("WsgiMiddleware", WsgiMiddleware))


def parameters(function: Callable[..., Any]) -> dict[str, int | None]:
    """Return the place of each parameter, `None` for one that is given by keyword only; keywords of a TypedDict too."""
    found: dict[str, int | None] = {}
    for place, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        if parameter.kind is parameter.VAR_KEYWORD:
            (keywords,) = get_args(get_type_hints(function)[name])
            found |= dict.fromkeys(get_type_hints(keywords))
        else:
            found[name] = None if parameter.kind is parameter.KEYWORD_ONLY else place
    shift = "self" in found
    found.pop("self", None)
    return {name: place if place is None else place - shift for name, place in found.items()}


def called(name: str) -> list[ast.Call]:
    """Return the calls of a name in the files that mypy judges, as a function or as a method."""
    return [call for call in CALLS if name in (getattr(call.func, "id", ""), getattr(call.func, "attr", ""))]


PUBLIC: Final = list(public_calls())


@pytest.mark.parametrize(("name", "function"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_every_parameter_is_given(name: str, function: Callable[..., Any]) -> None:
    """Every public call is there, and each of its parameters is given once at least."""
    calls = called(name)
    assert calls
    keywords = {keyword.arg for call in calls for keyword in call.keywords}
    most = max(len(call.args) for call in calls)
    missing = [
        parameter
        for parameter, place in parameters(function).items()
        if parameter not in keywords and (place is None or place >= most)
    ]
    assert missing == []


def test_every_public_name_is_used() -> None:
    """Every public name of the package is imported."""
    assert [name for name in otel_measure.__all__ if not any(hasattr(module, name) for module in JUDGED)] == []


def test_what_a_user_writes_works() -> None:
    """Every call that mypy accepts is accepted at run time."""
    with Capture():
        for use in (api.services, api.caller, api.machine, api.availability, api.recording, api.around_a_call,
                    reports.model_reports, reports.model_reports_between, api.tracking, reports.user_reports,
                    api.experiment):  # fmt: skip
            use()
        asyncio.run(api.awaited())
    api.a_test_of_an_application()


def test_the_types_reach_the_user() -> None:
    """Both packages carry the marker that has type checkers read their annotations where they are installed."""
    root = Path(otel_measure.__file__).parents[1]
    assert [package for package in ("otel_measure", "exporter") if not (root / package / "py.typed").is_file()] == []
