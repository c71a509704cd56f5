"""Questions about experiments: definitions from the replica, arms from exposures and conversions as they are now.

The server finds what each person met first and by when the person converted, and counts persons of whom that is the
same; what such a person adds to an experiment, `definitions.contributions` says of each kind of person once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from otel_measure.conventions import semconv
from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.contributions import CLOCK_TOLERANCE_US, add_unit
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import HOUR_US, CountedBy
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.past import kept_from
from otel_measure.store.clickhouse.persons import KEPT, PAST, of_persons
from otel_measure.store.clickhouse.times import END_US
from otel_measure.store.questions import ExperimentQuestions
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest

_TS: Final = "toUnixTimestamp64Micro(ts)"
_OF_TEST: Final = "environment = {environment:String} AND experiment = {experiment:String}"
_MET: Final = (
    f"(SELECT user, variant, {_TS} AS at FROM {{db}}.exposure FINAL WHERE {_OF_TEST} AND {KEPT}"
    f" AND reason = '{semconv.FEATURE_FLAG_REASON_SPLIT}' AND variant != ''"
    f" UNION ALL SELECT user, variant, first AS at FROM {{db}}.past_exposure WHERE {_OF_TEST} AND {PAST})"
)
# (person, arms): what each person met, and when first; the first arm first.
_ARMS: Final = (
    "SELECT person, arraySort(groupArray((first, variant))) AS arms FROM"
    " (SELECT {person} AS person, u.variant AS variant, min(u.at) AS first"
    f" FROM (SELECT * FROM {_MET} WHERE at < {{stopped:Int64}}) AS u {{join}} GROUP BY person, variant) GROUP BY person"
)
# A conversion counts from when somebody met the test, or a little before as a clock may be off: no earlier day is read.
_DAYS_MET: Final = (
    f"SELECT day FROM {{db}}.exposure WHERE {_OF_TEST} UNION ALL SELECT day FROM {{db}}.past_exposure WHERE {_OF_TEST}"
)
_SINCE: Final = f"day >= (SELECT toDate(toUInt16(greatest(toUInt16(min(day)), 1) - 1)) FROM ({_DAYS_MET}))"
_WHILE_IT_RAN: Final = f"{_SINCE} AND ts < fromUnixTimestamp64Micro({{stopped:Int64}})"
# (person, told): when each person converted, and by how much that may be told to lie too early.
_CONVERTED: Final = (
    "SELECT {person} AS person, groupArray((u.at, u.tolerance)) AS told FROM"
    f" (SELECT user, {_TS} AS at, if(client_clock = 1, {CLOCK_TOLERANCE_US}, 0) AS tolerance"
    f" FROM {{db}}.ab_conversion FINAL WHERE {_OF_TEST} AND {KEPT} AND {_WHILE_IT_RAN}"
    f" UNION ALL SELECT user, {_TS} AS at, 0 AS tolerance FROM {{db}}.event FINAL"
    f" WHERE {_OF_TEST} AND {KEPT} AND type IN {{converting:Array(String)}} AND {_WHILE_IT_RAN}"
    f" UNION ALL SELECT user, ts AS at, tolerance FROM {{db}}.past_test_conversion WHERE {_OF_TEST} AND {PAST}"
    " AND ts < {stopped:Int64}) AS u {join} GROUP BY person"
)
# The persons of whom everything that is counted is the same, and how many those are. Hours are since 1970; where there
# is no conversion and no second arm they are -1.
_ALIKE: Final = (
    "SELECT arms[1].2 AS variant, intDiv(arms[1].1, {hour:Int64}) AS met,"
    " if(length(arms) > 1, intDiv(arms[2].1, {hour:Int64}), -1) AS crossed,"
    " if(empty(counted), -1, intDiv(greatest(arrayMin(counted), arms[1].1), {hour:Int64})) AS converted, count() FROM"
    " (SELECT a.arms AS arms, arrayMap(c -> c.1, arrayFilter(c -> c.1 + c.2 >= a.arms[1].1, t.told)) AS counted"
    f" FROM ({_ARMS}) AS a LEFT ANY JOIN ({_CONVERTED}) AS t ON t.person = a.person)"
    " GROUP BY variant, met, crossed, converted"
)
_FIRST: Final = f"SELECT argMin(variant, (at, variant)), count() FROM {_MET} WHERE user IN {{users:Array(UInt128)}}"
_LATEST: Final = (
    "SELECT max(at), count() FROM (SELECT {at} AS at FROM {db}.exposure WHERE experiment = {experiment:String}"
    " UNION ALL SELECT {at} AS at FROM {db}.ab_conversion WHERE experiment = {experiment:String}"
    " UNION ALL SELECT {at} AS at FROM {db}.event WHERE experiment = {experiment:String}"
    " AND type IN {converting:Array(String)})"
).replace("{at}", _TS)
_OTHER_ARM: Final = "another"


class ClickHouseExperimentQuestions:
    """Satisfies `otel_measure.store.questions.ExperimentQuestions`.

    Args:
        database: of the store.
        definitions: of the store.
        merged: users that are somebody else, by their numbers.
        replica: the same questions to the replica, which has the definitions and who is who.
        number_of: returns the number of a user as facts have it.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        merged: Mapping[int, int],
        replica: ExperimentQuestions,
        number_of: Callable[[str], int],
    ) -> None:
        self.environment: Final = replica.environment
        self._database = database
        self._definitions = definitions
        self._merged = merged
        self._replica = replica
        self._number_of = number_of

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions persons in tests are counted: those whose facts are gone stay as they were."""
        return self._replica.counted_by(start, end)

    def experiments(self, key: str | None = None) -> list[Experiment]:
        """Return every definition (or that of one key, if there is one), the oldest first."""
        return self._replica.experiments(key)

    def hours(self, key: str) -> list[ArmHour]:
        """Return what each hour added to the arms of an experiment, sorted by hour, variant and age."""
        defined = self._replica.experiments(key)
        stopped = defined[0].stopped if defined else None
        changes = CellChanges()
        for variant, met, crossed, converted, persons in self._rows(
            _ALIKE,
            key,
            stopped=END_US if stopped is None else min(stopped, END_US),
            hour=HOUR_US,
            converting=sorted(self._definitions.experiment_event_types),
        ):
            arms = [(variant, met * HOUR_US)]
            if crossed >= 0:
                arms.append((_OTHER_ARM, max(crossed * HOUR_US, arms[0][1] + 1)))
            add_unit(changes, key, arms, converted * HOUR_US if converted >= 0 else None, persons)
        hours = [
            ArmHour(int(hour), str(variant), users, conversions, int(within))
            for _, cells in changes
            for (_, hour, variant, within), (users, conversions) in cells
        ]
        return sorted(hours, key=lambda one: (one.hour, one.variant, one.within_hours))

    def person_in_test(self, key: str, user_id: str) -> PersonInTest:
        """Return the person behind a user id, as a test knows them."""
        unit = self._replica.person_in_test(key, user_id).unit
        person = self._number_of(unit)
        mine = [person, *(user for user, other in self._merged.items() if other == person)]
        ((variant, met),) = self._rows(_FIRST, key, users=mine)
        return PersonInTest(unit, variant if met else None)

    def _rows(self, sql: str, key: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        given = {
            "environment": self.environment,
            "experiment": key,
            "kept_from": kept_from(self._database),
            **parameters,
        }
        sql = of_persons(sql, is_anybody_merged=bool(self._merged))
        return self._database.rows(sql, self._merged, **given)


def latest_in_test(database: ClickHouseDatabase, definitions: Definitions, key: str) -> int | None:
    """Return the time of the last exposure or conversion that was accepted of a test, `None` for none.

    A test is stopped after it, so that what was counted stays so.
    """
    converting = sorted(definitions.experiment_event_types)
    ((latest, n),) = database.rows(_LATEST, experiment=key, converting=converting)
    return int(latest) if n else None
