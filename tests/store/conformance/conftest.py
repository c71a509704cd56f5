"""Every test here that takes an `engine` runs for each row of the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from otel_measure.store.clickhouse import snapshots
from tests.store.conformance.engines import CLICKHOUSE, ENGINES, EngineCase, serving
from tests.store.conformance.not_yet import BY_CHANCE, NOT_YET, TOO_MANY_WRITES

_SETTINGS = "_hypothesis_internal_use_settings"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise by value, and not by a fixture: hypothesis runs one test many times."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ENGINES, ids=[engine.name for engine in ENGINES])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect of ClickHouse that what is not there yet fails: whoever builds it takes it off the list."""
    for item in items:
        if isinstance(item, pytest.Function) and _engine_of(item) is CLICKHOUSE:
            name = f"{item.path.stem}.{item.originalname}"
            item.add_marker(pytest.mark.e2e)
            if name in TOO_MANY_WRITES:
                item.add_marker(pytest.mark.skip(reason=TOO_MANY_WRITES[name]))
            elif name in NOT_YET:
                is_certain = name not in BY_CHANCE
                item.add_marker(pytest.mark.xfail(reason=NOT_YET[name], strict=is_certain))


@pytest.fixture(autouse=True)
def _have_a_server(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the server that a store is on, and take few examples of a property: each is a new database."""
    if _engine_of(request.node) is not CLICKHOUSE:
        yield
        return
    few = settings(settings.default, max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    with pytest.MonkeyPatch.context() as patched, serving(request.getfixturevalue("clickhouse")):
        patched.setattr(snapshots, "KEPT_S", 1)
        if hasattr(request.function, _SETTINGS):
            patched.setattr(request.function, _SETTINGS, few)
        yield


def _engine_of(item: pytest.Item) -> EngineCase | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("engine")
