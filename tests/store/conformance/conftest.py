"""Every test here that takes an `engine` runs for each row of the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from otel_measure.store.clickhouse import snapshots, state
from tests.store.conformance.engines import CLICKHOUSE, ENGINES, IN_MEMORY, EngineCase, serving
from tests.store.conformance.not_yet import NOT_YET, TOO_MANY_WRITES

_SETTINGS = "_hypothesis_internal_use_settings"
# Each example is a new database on a server; and what a file does is what memory does, by the same code.
_EXAMPLES = {CLICKHOUSE: 2, IN_MEMORY: 10}
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


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
                item.add_marker(pytest.mark.xfail(reason=NOT_YET[name], strict=True))


@pytest.fixture(autouse=True)
def _have_a_server(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the server that a store is on, and take as many examples of a property as its row can bear."""
    engine = _engine_of(request.node)
    with pytest.MonkeyPatch.context() as patched:
        if engine in _EXAMPLES and hasattr(request.function, _SETTINGS):
            few = settings(settings.default, max_examples=_EXAMPLES[engine], phases=_PHASES)
            patched.setattr(request.function, _SETTINGS, few)
        if engine is not CLICKHOUSE:
            yield
            return
        # Whoever reads the log less often than its entries are kept asks for a snapshot, however busy the machine is.
        patched.setattr(snapshots, "KEPT_S", 1)
        patched.setattr(state, "STALE_S", 0.5)
        with serving(request.getfixturevalue("clickhouse")):
            yield


def _engine_of(item: pytest.Item) -> EngineCase | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("engine")
