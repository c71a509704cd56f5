"""What facts said of persons that retention removes: it is kept before they go, a day at a time.

The days, sessions, conversions and answers of persons, and what they met and did in tests, as far as questions ask for
it. A person is who it is at that time: nothing tells afterwards which of several ids it was. What is kept of a day has
a version, and counts once the day is marked with it: from then on the facts of the day count no more, whether they are
gone or not. The first mark of a day stays, so that two who do it at once, or one who ends in the middle, leave it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from otel_measure.conventions import semconv
from otel_measure.definitions.contributions import CLOCK_TOLERANCE_US
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, in_ids
from otel_measure.store.clickhouse.persons import ANSWER_ID, JOIN, MERGED
from otel_measure.store.clickhouse.sessions import past_background_sql, past_stretches_sql
from otel_measure.store.clickhouse.settling import BeingErased, new_version
from otel_measure.store.clickhouse.tables import AB_CONVERSION, EVENT, EXPOSURE, NPS_RESPONSE, PAST_DAY, PAST_NAME

_ATTEMPTS: Final = 5
_TS: Final = "toUnixTimestamp64Micro(ts)"
# table → columns beside those of every row, and the query of them from the facts of a day; of each row it has the
# environment and, as `user`, the person.
_OF_DAY: Final[Mapping[str, tuple[str, str]]] = {
    "past_activity": (
        "first",
        f"SELECT u.environment AS environment, {MERGED} AS person, min(u.first) FROM (SELECT environment, user,"
        " toUnixTimestamp64Micro(min(ts)) AS first FROM {db}.event WHERE active = 1 AND {of}"
        f" GROUP BY environment, user, day) AS u {JOIN} GROUP BY environment, person",
    ),
    "past_stretch": ("session, lo, hi, events, views, keys", past_stretches_sql()),
    "past_background": ("events", past_background_sql()),
    "past_conversion": (
        "goal, ts, currency, value_nano",
        f"SELECT u.environment, {MERGED}, u.goal, u.ts, u.currency, u.value_nano FROM (SELECT environment, user,"
        f" arrayJoin(arrayFilter(k -> k = type OR k = name, {{keys:Array(String)}})) AS goal, {_TS} AS ts,"
        " ifNull(currency, '') AS currency, value_nano FROM {db}.event FINAL"
        f" WHERE (type IN {{keys:Array(String)}} OR name IN {{keys:Array(String)}}) AND {{of}}) AS u {JOIN}",
    ),
    "past_answer": (
        "survey, ts, answer_id, score",
        f"SELECT environment, person, survey, last.1, last.2, last.3 FROM (SELECT u.environment AS environment,"
        f" {MERGED} AS person, u.survey AS survey, max((u.ts, u.answer_id, u.score)) AS last FROM (SELECT environment,"
        f" user, survey, score, {_TS} AS ts, {ANSWER_ID} AS answer_id FROM {{db}}.nps_response FINAL"
        f" WHERE {{of}}) AS u {JOIN} GROUP BY environment, person, survey)",
    ),
    "past_exposure": (
        "experiment, variant, first",
        f"SELECT u.environment AS environment, {MERGED} AS person, u.experiment AS experiment, u.variant AS variant,"
        f" min(u.at) FROM (SELECT environment, user, experiment, variant, {_TS} AS at FROM {{db}}.exposure FINAL"
        f" WHERE reason = '{semconv.FEATURE_FLAG_REASON_SPLIT}' AND variant != '' AND {{of}}) AS u {JOIN}"
        " GROUP BY environment, person, experiment, variant",
    ),
    "past_test_conversion": (
        "experiment, ts, tolerance",
        f"SELECT DISTINCT u.environment, {MERGED}, u.experiment, u.at, u.tolerance FROM (SELECT environment, user,"
        f" experiment, {_TS} AS at, toUInt64(if(client_clock = 1, {CLOCK_TOLERANCE_US}, 0)) AS tolerance"
        f" FROM {{db}}.ab_conversion FINAL WHERE {{of}} UNION ALL SELECT environment, user, experiment, {_TS} AS at,"
        " toUInt64(0) AS tolerance FROM {db}.event FINAL WHERE experiment != ''"
        f" AND type IN {{converting:Array(String)}} AND {{of}}) AS u {JOIN}",
    ),
    PAST_NAME.name: (
        "user_id",
        "SELECT '', user, any(user_id) FROM ("
        + " UNION ALL ".join(
            f"SELECT user, user_id FROM {{db}}.{table.name} WHERE {{of}}"
            for table in (EVENT, NPS_RESPONSE, EXPOSURE, AB_CONVERSION)
        )
        + f") WHERE user GLOBAL NOT IN (SELECT user FROM {{db}}.{PAST_NAME.name}) GROUP BY user",
    ),
}


def kept_from(database: ClickHouseDatabase) -> int:
    """Return the first day whose facts count: what those of earlier days said is past; 0 where nothing is."""
    ((last, n),) = database.rows("SELECT toUInt16(max(day)), count() FROM {db}.past_day")
    return int(last) + 1 if n else 0


def note_past(database: ClickHouseDatabase, day: int, version: int) -> None:
    """Say that a day is past, and of which version is what is kept of it: from now on its facts count no more."""
    database.insert(PAST_DAY.name, {"day": [day], "version": [version]})


class PastKeeper:
    """Keeps what facts said of persons.

    Args:
        database: of the store.
        definitions: of the store.
        being_erased: returns who is, as all processes know it.
        merged: returns the number of the person of each user that is another's.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        being_erased: Callable[[], BeingErased],
        merged: Callable[[], Mapping[int, int]],
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._being_erased = being_erased
        self._merged = merged

    def keep_before(self, day: int) -> None:
        """Keep what the facts of all days before one said that are still there, and have them count no more.

        Args:
            day: days since 1970.

        Raises:
            StoreUnavailable: the server has not done all of it; to do it again completes it.
        """
        some = " UNION DISTINCT ".join(
            f"SELECT DISTINCT day FROM {{db}}.{table.name} WHERE day >= toDate({kept_from(self._database):d})"
            f" AND day < toDate({day:d})"
            for table in (EVENT, NPS_RESPONSE, EXPOSURE, AB_CONVERSION)
        )
        for (each,) in self._database.rows(f"SELECT toUInt16(day) AS d FROM ({some}) ORDER BY d"):
            self._keep(each)

    def _keep(self, day: int) -> None:
        for _ in range(_ATTEMPTS):
            before, version = self._being_erased(), new_version(self._database)
            self._copy(day, version, before)
            # Whoever is erased from here on is removed from what is kept as well.
            if self._being_erased().begun == before.begun:
                note_past(self._database, day, version)
                return
        raise StoreUnavailable("clickhouse", "persons are erased faster than a day is kept", "try again")

    def _copy(self, day: int, version: int, being_erased: BeingErased) -> None:
        rules, merged = self._definitions, self._merged()
        of = f"day = toDate({day:d})"
        if being_erased.users:
            of += f" AND user NOT IN {in_ids(sorted(being_erased.users))}"
        given: dict[str, Any] = {
            "gap": rules.session_gap_us,
            "client_gap": rules.client_session_gap_us,
            "views": sorted(rules.view_event_types),
            "keys": sorted(rules.key_event_types),
            "passive": sorted(rules.passive_event_types),
            "converting": sorted(rules.experiment_event_types),
        }
        for table, (columns, sql) in _OF_DAY.items():
            self._database.run(
                f"INSERT INTO {{db}}.{table} (day, version, environment, user, {columns}) SELECT toDate({day:d}),"
                f" {version:d}, * FROM ({sql.replace('{of}', of)})",
                merged,
                **given,
            )
