"""The small integers that stand for long names, cached: an id, once given, never changes its meaning."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from otel_measure.conventions import semconv
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.measurements import Attributes
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite.chunks import marks, rows_in

K = TypeVar("K")
V = TypeVar("V")
_NOWHERE: Final = Origin("")
HIDDEN: Final = "\0"  # begins the ids of whoever is being erased; no id that anybody gives has it


def series_labels(attributes: Attributes, origin: Origin) -> str:
    """Return the labels of a fact series; they say where it comes from as well."""
    own = [(semconv.ATTR_SERVICE_NAME, origin.service)]
    if origin.environment:
        own.append((semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME, origin.environment))
    return escaped((*attributes, *own))


class Cache(Generic[K, V]):
    """A bounded map that forgets everything when it is full: memory does not grow with users or models.

    Attributes:
        get: returns the id known for a key, or `None`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: dict[K, V] = {}
        self.get: Callable[[K], V | None] = self._ids.get

    def put(self, key: K, value: V) -> V:
        """Remember an id and return it."""
        if len(self._ids) >= self._limit:
            self._ids.clear()
        self._ids[key] = value
        return value

    def clear(self) -> None:
        """Forget everything: a transaction that gave ids was rolled back."""
        self._ids.clear()


class Names:
    """Ids of models, origins, users and series, within the transaction of `connection`."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection
        self._models: Cache[tuple[str, str], int] = Cache(20_000)
        self._origins: Cache[Origin, int] = Cache(10_000)
        self._last_origin: tuple[Origin | None, int] = (None, 0)
        self._uids: Cache[str, int] = Cache(50_000)
        self._series: Cache[tuple[str, Attributes, Origin], tuple[int, int]] = Cache(50_000)

    def clear(self) -> None:
        """Forget all ids, after a roll-back."""
        for cache in (self._models, self._origins, self._uids, self._series):
            cache.clear()
        self._last_origin = (None, 0)

    def model(self, name: str, version: str) -> int:
        """Return the id of a model, which is registered by the first record that names it."""
        key = (name, version)
        return self._models.get(key) or self._models.put(
            key, self._find_or_insert("SELECT id FROM model WHERE name=? AND version=?", "model (name, version)", key)
        )

    def origin(self, origin: Origin) -> int:
        """Return the id of a service in an environment."""
        if origin is self._last_origin[0]:
            return self._last_origin[1]
        known = self._origins.get(origin)
        if known is not None:
            self._last_origin = (origin, known)
            return known
        self._find_or_insert("SELECT id FROM environment WHERE name=?", "environment (name)", (origin.environment,))
        select = "SELECT id FROM origin WHERE service=? AND environment=?"
        key = (origin.service, origin.environment)
        return self._origins.put(origin, self._find_or_insert(select, "origin (service, environment)", key))

    def _find_or_insert(self, select: str, into: str, key: tuple[str, ...]) -> int:
        found = self.connection.execute(select, key).fetchone()
        if found:
            return int(found[0])
        insert = f"INSERT INTO {into} VALUES {marks(len(key))} RETURNING id"
        return int(self.connection.execute(insert, key).fetchone()[0])

    def origins(self, origins: Sequence[Origin]) -> Sequence[int]:
        """Return the ids of services in environments; most often all are one."""
        first = origins[0]
        if all(origin is first for origin in origins):
            return [self.origin(first)] * len(origins)
        return list(map(self.origin, origins))

    def uids(self, user_ids: Sequence[str]) -> Sequence[int]:
        """Return the ids of users; the unknown ones become persons."""
        known = self._uids.get
        self._learn([user for user in set(user_ids) if known(user) is None])
        return [known(user) or self.uid(user) for user in user_ids]

    def _learn(self, user_ids: Sequence[str]) -> None:
        """Look up many users at once."""
        select = "SELECT distinct_id, uid FROM alias WHERE distinct_id IN"
        for user, uid in rows_in(self.connection, select, user_ids):
            self._uids.put(user, uid)

    def uid(self, user_id: str) -> int:
        """Return the id of a user."""
        known = self._uids.get(user_id)
        if known is not None:
            return known
        found = self.connection.execute("SELECT uid FROM alias WHERE distinct_id=?", (user_id,)).fetchone()
        if found is None:
            found = self.connection.execute("INSERT INTO person DEFAULT VALUES RETURNING uid").fetchone()
            self.connection.execute("INSERT INTO alias VALUES (?, ?)", (user_id, found[0]))
        return self._uids.put(user_id, int(found[0]))

    def series(self, name: str, attributes: Attributes, origin: Origin) -> tuple[int, int]:
        """Return id and rank of a fact series; labels carry where it comes from."""
        key = (name, attributes, origin)
        known = self._series.get(key)
        if known is not None:
            return known
        return self._series.put(key, self._series_id(name, series_labels(attributes, origin)))

    def overflow(self, name: str) -> int:
        """Return the id of the series in which everything beyond the cap is summed; its rank is 0."""
        key = (name, semconv.OVERFLOW, _NOWHERE)
        return (
            self._series.get(key) or self._series.put(key, self._series_id(name, escaped(semconv.OVERFLOW), rank=0))
        )[0]

    def _series_id(self, name: str, labels: str, rank: int | None = None) -> tuple[int, int]:
        found = self.connection.execute(
            "SELECT id, rank FROM series WHERE name=? AND labels=?", (name, labels)
        ).fetchone()
        if found:
            return int(found[0]), int(found[1])
        if rank is None:
            last = "SELECT coalesce(max(rank), 0) FROM series WHERE name=?"
            rank = int(self.connection.execute(last, (name,)).fetchone()[0]) + 1
        insert = "INSERT INTO series (name, labels, rank) VALUES (?, ?, ?) RETURNING id"
        return int(self.connection.execute(insert, (name, labels, rank)).fetchone()[0]), rank
