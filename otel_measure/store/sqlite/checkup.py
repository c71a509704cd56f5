"""Checks of a store that SQLite keeps: its place, its file where there is one, the library. None changes anything."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from otel_measure.definitions.environments import UNNAMED, environment_asked
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import checkup_alerts, checkup_limits, checkup_senders, journal, kept
from otel_measure.store.sqlite.checked_file import MIB, StoreFile, existing, mib, opened, size_of
from otel_measure.store.sqlite.damage import noted_damage, way_out_of_noted
from otel_measure.store.sqlite.faults import RECOVER
from otel_measure.store.sqlite.file import MEMORY, OWN_IT, has_lost_log
from otel_measure.store.sqlite.one_moment import CHANGED
from otel_measure.store.sqlite.ownership import look, refuse_foreign
from otel_measure.store.sqlite.place import (
    others_who_may_read,
    refuse_network_file_system,
    refuse_planted_link,
)
from otel_measure.store.sqlite.recounting import began, is_being_copied
from otel_measure.store.sqlite.schema_scripts import latest
from otel_measure.store.types.findings import Finding, StoreCheck, ok, warning, wrong

_LEAST_FREE_BYTES: Final = 256 * MIB
_LOOKS: Final = 3  # at a file that others write to just then
_STRICT_TABLES: Final = (3, 37, 0)


def _always(s: StoreFile) -> bool:
    return True


def _is_file(s: StoreFile) -> bool:
    return s.settings.store != MEMORY


def _exists(s: StoreFile) -> bool:
    return _is_file(s) and os.path.isfile(s.path)


def _is_ours(s: StoreFile) -> bool:
    # Opening what is not ours would change it, or make files beside it; `place` says whose it is.
    try:
        if _exists(s):
            refuse_foreign(s.path)
            return True
    except StoreUnavailable:
        pass
    return False


def _can_be_opened(s: StoreFile) -> bool:
    # Whoever opened it beside those that hold the removed log would begin another one.
    return _is_ours(s) and not has_lost_log(str(s.path))


def place(s: StoreFile) -> Finding:
    """Where records go, whether that can exist, and whether what is there is ours."""
    if s.settings.store == MEMORY:
        return ok("in memory: it ends with the process")
    try:
        refuse_planted_link(s.path)
        refuse_foreign(s.path)
    except StoreUnavailable as refusal:
        return wrong(refusal.what, refusal.way_out)
    return ok(f"{s.path}, exists" if os.path.exists(s.path) else f"{s.path}, made at the first start")


def privacy(s: StoreFile) -> Finding:
    """Whether its owner alone may read the file."""
    others = others_who_may_read(s.path)
    if not others:
        return ok("its owner alone may read it")
    return warning(f"{' and '.join(others)} may read {s.path}", f"chmod 600 {s.path}*, which its log is among")


def directory(s: StoreFile) -> Finding:
    """Whether the directory, or the nearest one above it that exists, may be written."""
    place = existing(s.path.parent)
    if s.may_write(place):
        return ok(f"{place} may be written")
    return wrong(f"{place} may not be written by this user", f"chown or chmod {place}, or set OTEL_MEASURE_STORE")


def file_system(s: StoreFile) -> Finding:
    """Whether the locks of the file system can be trusted."""
    refuse_network_file_system(s.path, s.mounts())
    return ok("local")


def disk(s: StoreFile) -> Finding:
    """Whether the disk has room for what the store may grow to."""
    free, size = s.free_bytes(existing(s.path.parent)), size_of(s.path)
    bound = s.settings.store_max_bytes
    what = f"{mib(free)} free; the store has {mib(size)} and may grow to {mib(bound)}"
    if free < _LEAST_FREE_BYTES:
        return wrong(what, "free disk space; until then records are refused, not lost silently")
    if free < bound - size:
        return warning(what, f"lower store_max_bytes below {mib(size + free)}")
    return ok(what)


def integrity(s: StoreFile) -> Finding:
    """Whether the file opens and its pages agree with each other, and no process has met damage."""
    with opened(s) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        return wrong("; ".join(problems), RECOVER)
    if noted := noted_damage(str(s.path)):
        return wrong(noted, way_out_of_noted(str(s.path)))
    return ok("opens; quick_check finds nothing")


def writable(s: StoreFile) -> Finding:
    """Whether a write would go through now."""
    if not s.may_write(s.path):
        return wrong(f"{s.path} may not be written by this user", OWN_IT)
    with opened(s, "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return ok("a transaction can begin")


def schema(s: StoreFile) -> Finding:
    """Whether the tables are those of this version of otel-measure; a newer one's are not opened."""
    version, known = look(s.path).user_version, latest()
    what = f"schema {version}, this otel-measure knows {known}"
    return ok(what if version == known else f"{what}; brought up to date at the next start")


def time_zone(s: StoreFile) -> Finding:
    """Whether the days of the store are those of the settings."""
    keeps, wanted = _kept(s), s.settings.timezone
    if keeps is None or keeps.timezone == wanted:
        return ok(f"days are those of {wanted}")
    return wrong(
        f"days are kept in {keeps.timezone}, the settings say {wanted}",
        f"set OTEL_MEASURE_TIMEZONE={keeps.timezone}, or run `otel-measure rebuild --timezone {wanted}`",
    )


def definitions(s: StoreFile) -> Finding:
    """Whether the store is counted as the settings say."""
    keeps = _kept(s)
    differences = () if keeps is None else s.definitions.refused(keeps)
    if not differences:
        return ok("counted by the definitions of the settings")
    return wrong(kept.told(differences), kept.ways_out(differences))


def counting(s: StoreFile) -> Finding:
    """Whether all that is stored is counted, by the rules of this version."""
    keeps = _kept(s)
    with opened(s) as connection:
        if keeps is None or look(s.path).user_version < latest():
            return ok("begins with the next start")
        state, is_copied = kept.state(connection), is_being_copied(connection)
        waiting = journal.length(connection)
    what = f"{waiting:,} entries of the journal wait" if waiting else "nothing waits"
    if state.updating is not None:
        step = "the result is being copied" if is_copied else "facts are being counted anew"
        return ok(f"updating by a process that began at {began(state.updating):%Y-%m-%d %H:%M:%S} UTC: {step}, {what}")
    if keeps.rules < s.definitions.rules:
        return ok(f"updating from rules {keeps.rules} to {s.definitions.rules} begins with the next process, {what}")
    return ok(f"updating: {what}" if waiting else "all that is stored is counted")


def environment(s: StoreFile) -> Finding:
    """Whether records that name no environment are in the answers that name none."""
    with opened(s) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'environment'").fetchone():
            return ok("not known before the next process starts")
        seen = [name for (name,) in connection.execute("SELECT name FROM environment ORDER BY id")]
    answered = environment_asked(s.settings.environment or None, seen)
    others = [repr(name) for name in seen if name not in (answered, UNNAMED)]
    what = f"answers are about {repr(answered) if answered else 'records of no environment'}" + (
        f"; the store has {', '.join(others)} too" if others else ""
    )
    if answered and UNNAMED in seen:
        return warning(
            f"{what}; the store has records of no environment, which are not among them",
            "give each process that records (`serve` too, for what it is told over HTTP) its OTEL_MEASURE_ENVIRONMENT;"
            " ?environment= asks for those that have none",
        )
    return ok(what)


def _kept(s: StoreFile) -> Definitions | None:
    with opened(s) as connection:
        has_meta = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        return kept.kept(connection) if has_meta else None


def library(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """Whether SQLite has what the schema uses."""
    has, needs = (".".join(map(str, v)) for v in (version, _STRICT_TABLES))
    if version >= _STRICT_TABLES:
        return ok(has)
    return wrong(f"{has} has no STRICT tables", f"use a Python with SQLite {needs} or newer")


class _Check(NamedTuple):
    """A row of the table; `fix` is what a person may have done who has looked at the finding."""

    name: str
    look: Callable[[StoreFile], Finding]
    applies: Callable[[StoreFile], bool]
    fix: Callable[[StoreFile], None] | None = None


_CHECKS: Final = (
    _Check("store", place, _always),
    _Check("store directory", directory, _is_file),
    _Check("store file system", file_system, _is_file),
    _Check("store disk", disk, _is_file),
    _Check("store privacy", privacy, _exists),
    _Check("store integrity", integrity, _can_be_opened),
    _Check("store bound", checkup_limits.bound, _can_be_opened),
    _Check("store log", checkup_limits.log, _is_ours),
    _Check("store clock", checkup_limits.clock, _can_be_opened, checkup_limits.confirm_clock),
    _Check("store writable", writable, _can_be_opened),
    _Check("store schema", schema, _is_ours),
    _Check("store time zone", time_zone, _can_be_opened),
    _Check("store definitions", definitions, _can_be_opened),
    _Check("store counting", counting, _can_be_opened),
    _Check("store environment", environment, _can_be_opened),
    _Check("otlp senders", checkup_senders.senders, _can_be_opened),
    _Check("alerts", checkup_alerts.alerts, _can_be_opened),
)


def checks(file: StoreFile) -> tuple[StoreCheck, ...]:
    """Return the checks that have something to look at, in their order."""
    applies = {each: each(file) for each in dict.fromkeys(row.applies for row in _CHECKS)}
    return tuple(
        StoreCheck(row.name, partial(_looked, row, file), row.fix and partial(row.fix, file))
        for row in _CHECKS
        if applies[row.applies]
    )


def _looked(row: _Check, file: StoreFile) -> Finding:
    for _ in range(_LOOKS - 1):
        try:
            return row.look(file)
        except StoreUnavailable as refusal:
            if refusal.cause_name != CHANGED:
                raise
    return row.look(file)
