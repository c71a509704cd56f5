"""What a store does when it cannot do what it is asked for: nothing by halves, and it says why."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreRejected, StoreUnavailable
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE
from otel_measure.store.types.models import Model
from tests.facts import event, inference
from tests.store.asking import asked
from tests.store.sqlite.exposed import value

Open = Callable[..., SqliteStore]
_encode = msgspec.json.encode


def test_what_is_acknowledged_survives_a_lock(opened: Open, tmp_path: Path) -> None:
    """The write that could not be made is all that is missing, and can be repeated as it was."""
    store = opened(tmp_path / "x.db")
    store.accept([event("a", "u")])
    with store._database.write() as connection:
        connection.execute("PRAGMA busy_timeout=10")
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for attempt in (
        lambda: store.accept([event("b", "new user"), inference("c", model="new model")]),
        lambda: store.register_model(Model("other new model", "1")),
        store.check,
        store.rebuild,
    ):
        with pytest.raises(StoreUnavailable, match="database is locked"):
            attempt()
    other.execute("ROLLBACK")
    other.close()
    store.check()
    assert asked(store, lambda m: m.models.models()) == []
    assert store.accept([event("a", "u"), event("b", "new user"), inference("c", model="new model")]) == [
        DUPLICATE,
        ACCEPTED,
        ACCEPTED,
    ]
    assert [model.name for model in asked(store, lambda m: m.models.models())] == ["new model"]


def test_a_full_disk_takes_no_acknowledged_record(opened: Open, tmp_path: Path) -> None:
    """503 while it is full; afterwards the same ids are accepted, and ids given in vain are forgotten."""
    store = opened(tmp_path / "x.db")
    assert store.accept([event("a")]) == [ACCEPTED]
    with store._database.write() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
    many = [event(f"b{n}", f"u{n}", properties={"x": "y" * 500}) for n in range(200)]
    with pytest.raises(StoreUnavailable) as raised:
        store.accept(many)
    assert raised.value.cause_name == "full"
    assert store.accept([event("a"), *many]) == [DUPLICATE] + [ACCEPTED] * 200
    assert value(store, "otel_measure.users.events") == 201


def test_a_store_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    """The error says why; no connection stays behind."""
    SqliteStore(str(tmp_path / "x.db"), definitions=Definitions(timezone="Europe/Paris")).close()
    with pytest.raises(StoreError) as raised:
        SqliteStore(str(tmp_path / "x.db"), definitions=Definitions())
    assert str(raised.value) == (
        f"store {tmp_path / 'x.db'} keeps timezone='Europe/Paris', the settings say timezone='UTC': "
        "set timezone='Europe/Paris' or run `otel-measure rebuild --timezone UTC`"
    )
    (tmp_path / "y.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="foreign"):
        SqliteStore(str(tmp_path / "y.db"))


def test_a_record_that_does_not_fit_is_refused_whole(opened: Open) -> None:
    """Its neighbours in the batch are not stored either, and can be without it."""
    store = opened()
    huge = inference("huge", input_tokens=2**70)
    with pytest.raises(StoreRejected, match="Python int too large"):
        store.accept([event("a"), huge])
    wrong = msgspec.structs.replace(inference("wrong"), latency_ms="fast")
    with pytest.raises(StoreRejected, match="cannot store TEXT value in REAL column"):
        store.accept([event("a"), wrong])
    assert store.accept([event("a")]) == [ACCEPTED]
