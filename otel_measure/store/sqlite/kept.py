"""The definitions that a store keeps beside what was counted by them: claimed once, compared at every opening."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from otel_measure.definitions.parameters import RULES, SETTABLE, ChangedDefinition, Definitions
from otel_measure.definitions.windows import CountedBy
from otel_measure.errors import StoreError
from otel_measure.store.sqlite.connection import Database

# Keys of `meta`.
CLOCK: Final = "clock"
DIGEST: Final = "digest"
ERASURES: Final = "erasures"
HORIZON: Final = "horizon"
_UPDATING: Final = "updating"
_DEFINITIONS: Final = "definitions"
_FROM_0008: Final = "timezone"  # all that a schema before 0009 kept of its definitions
_DEFAULT: Final = Definitions()
# What there is that cannot be counted anew.
FACTS: Final = "facts"
METRICS: Final = "metrics"
# What a store of such a schema was counted by: the first rules, and what was set, of which it kept the zone alone.
_OF_0008: Final = Definitions(
    engaged_s=10,
    engaged_views=2,
    view_event_types=frozenset({"page_view"}),
    key_event_types=frozenset({"conversion", "purchase", "signup", "form_submit"}),
    passive_event_types=frozenset({"session.start", "session.end", "feature_flag.evaluation"}),
    experiment_event_types=frozenset({"conversion"}),
    drift_reference_records=1000,
    rules=1,
)


class KeptDefinitions:
    """The definitions of a store as they were last read; read anew when the digest says others."""

    def __init__(self) -> None:
        self._digest = ""
        self._definitions = _DEFAULT

    def of(self, connection: sqlite3.Connection, digest: str) -> Definitions:
        """Return the definitions with this digest, which are those that the connection sees."""
        if self._digest != digest:
            self._definitions = Definitions.from_json(value(connection, _DEFINITIONS) or "{}")
            self._digest = digest
        return self._definitions


def kept(connection: sqlite3.Connection) -> Definitions | None:
    """Return the definitions of a store, `None` where nobody has claimed it yet; of an older schema, its zone alone."""
    text = value(connection, _DEFINITIONS)
    if text is not None:
        return Definitions.from_json(text)
    timezone = value(connection, _FROM_0008)
    return None if timezone is None else replace(_OF_0008, timezone=timezone)


class StoreState(NamedTuple):
    """What every transaction asks first.

    Attributes:
        digest: of the definitions by which the roll-ups were counted.
        updating: who counts the store anew, `None` for nobody.
        erasures: how many there were, so that each process forgets the users it knew; `None` for none.
        horizon: time before which facts are gone, microseconds; 0 when none are.
        clock: what the heartbeats have said, as it stands in `meta`; `None` before the first one.
        has_journal: whether there are facts that are not rolled up.
    """

    digest: str
    updating: str | None
    erasures: str | None
    horizon: int
    clock: str | None
    has_journal: bool

    @property
    def is_updating(self) -> bool:
        """Whether there are facts that are not counted by the definitions of the store: answers are behind by them."""
        return self.updating is not None or self.has_journal


NO_STATE: Final = StoreState("", None, None, 0, None, False)
_STATE: Final = (
    f"SELECT key, value FROM meta WHERE key IN ('{CLOCK}', '{DIGEST}', '{_UPDATING}', '{ERASURES}', '{HORIZON}')"
    " UNION ALL SELECT 'journal', '' WHERE EXISTS (SELECT 1 FROM journal)"
)


def state(connection: sqlite3.Connection) -> StoreState:
    """Return what the connection sees."""
    kept_values: dict[str, str] = dict(connection.execute(_STATE))
    get = kept_values.get
    return StoreState(
        get(DIGEST, ""), get(_UPDATING), get(ERASURES), int(get(HORIZON, 0)), get(CLOCK),
        "journal" in kept_values,
    )  # fmt: skip


def value(connection: sqlite3.Connection, key: str) -> str | None:
    """Return what stands under a key of `meta`."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def keep(connection: sqlite3.Connection, definitions: Definitions) -> None:
    """Write the definitions by which everything in the store is counted from now on."""
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [(_DEFINITIONS, definitions.to_json()), (DIGEST, definitions.digest)],
    )


def change(connection: sqlite3.Connection, wanted: Definitions, frozen_until: int) -> None:
    """Keep other definitions, and until when what cannot be counted anew was counted by those before.

    Args:
        connection: a write transaction.
        wanted: the definitions.
        frozen_until: the time before which facts are gone, or too many of them.
    """
    before = kept(connection)
    if before is not None and value(connection, DIGEST) != wanted.digest:
        ends = {FACTS: frozen_until, METRICS: _last_metrics(connection)}
        for source, until in ends.items():
            connection.execute(
                "INSERT INTO counted_by SELECT ?1, ?2, ?3, ?4"
                " WHERE ?2 > coalesce((SELECT max(before) FROM counted_by WHERE source = ?1), 0)",
                (source, until, value(connection, DIGEST), value(connection, _DEFINITIONS)),
            )
    keep(connection, wanted)


def counted_by(
    connection: sqlite3.Connection, seen: StoreState, start: int, end: int, source: str | None = None
) -> CountedBy:
    """Return by which definitions a time is counted.

    Args:
        connection: to the store.
        seen: what it sees.
        start: microseconds.
        end: microseconds, excluded.
        source: what in it cannot be counted anew, `FACTS` that are gone or `METRICS`; `None` where all can.
    """
    if seen.is_updating:
        return "updating"
    since = 0
    rows = connection.execute("SELECT before, digest FROM counted_by WHERE source = ? ORDER BY before", (source,))
    for before, digest in rows:
        if digest != seen.digest and start < before and since < end:
            return "earlier"
        since = before
    return "current"


def _last_metrics(connection: sqlite3.Connection) -> int:
    (start,) = connection.execute("SELECT max(start) FROM received_cell WHERE seconds = 60").fetchone()
    return 0 if start is None else int(start) + 60_000_000


def mark(connection: sqlite3.Connection, token: str) -> None:
    """Say who counts the store anew: from now on nobody rolls up."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_UPDATING, token))


def unmark(connection: sqlite3.Connection) -> None:
    """Say that nobody counts the store anew any more."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_UPDATING,))


# ---------------------------------------------------------------- opening


def claim(database: Database, wanted: Definitions | None) -> Definitions:
    """Return by which definitions this process counts in a store.

    Args:
        database: the store.
        wanted: what the settings say; `None` takes what the store keeps, and of a new store the defaults.

    Raises:
        StoreError: the store keeps others, and no newer version is why.
    """
    with database.read() as connection:
        found = _claimed(connection)
    if found is None:
        with database.write(durable=True) as connection:
            found = _claimed(connection) or _first_claim(connection, wanted or _DEFAULT)
    if wanted is None:
        return replace(found, rules=min(found.rules, RULES))
    if differences := wanted.refused(found):
        raise StoreError(f"store {database.path} {told(differences)}: {ways_out(differences)}")
    return wanted


def _claimed(connection: sqlite3.Connection) -> Definitions | None:
    return kept(connection) if value(connection, DIGEST) else None


def _first_claim(connection: sqlite3.Connection, wanted: Definitions) -> Definitions:
    """Keep the definitions of a store that keeps none: a new one, or one of a schema before 0009."""
    of_0008 = kept(connection)
    if of_0008 is not None:
        unsaid = {field: getattr(wanted, field) for field in SETTABLE - {"timezone"}}
        wanted = replace(of_0008, **unsaid)
        connection.execute("DELETE FROM meta WHERE key = ?", (_FROM_0008,))
    keep(connection, wanted)
    return wanted


def told(differences: Iterable[ChangedDefinition]) -> str:
    """Return in which fields the store and the settings differ, with both values."""
    there = ", ".join(f"{d.field}={_shown(d.kept)}" for d in differences)
    here = ", ".join(f"{d.field}={_shown(d.wanted)}" for d in differences)
    return f"keeps {there}, the settings say {here}"


def ways_out(differences: Sequence[ChangedDefinition]) -> str:
    """Return the two ways out: the settings as the store was counted, or the store as the settings say."""
    back = ", ".join(f"{d.field}={_shown(d.kept)}" for d in differences)
    return f"set {back} or run {rebuild_command(differences)}"


def rebuild_command(differences: Iterable[ChangedDefinition]) -> str:
    """Return the command that counts a store by what is wanted."""
    zone = "".join(f" --timezone {d.wanted}" for d in differences if d.field == "timezone")
    others = " ".join(
        f"OTEL_MEASURE_{d.field.upper()}={d.wanted}" for d in differences if d.field in SETTABLE - {"timezone"}
    )
    with_others = f" with {others}" if others else ""
    return f"`otel-measure rebuild{zone}`{with_others}"


def _shown(value: object) -> str:
    return repr(sorted(value)) if isinstance(value, frozenset) else repr(value)
