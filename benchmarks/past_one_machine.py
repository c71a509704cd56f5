"""P16: what a store in ClickHouse costs to write, and each report against hand-written SQL over the same rows.

A fiftieth of the events is written by the store; the server copies those rows as other users and other ids until there
are as many as were asked for, so that every row is as the store writes it and 50 million take minutes.

Figures are CPU time of all cores, of the server and, for our own, of the process that asks. The reference is the SQL
that somebody would write who knows the columns; it counts each row once too (`FINAL`).
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import psutil

from benchmarks.report import Row
from otel_measure.config import Settings
from otel_measure.definitions.pages import MAX_PAGE
from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Exposure, Inference, NpsResponse, Origin, Record, UserEvent
from otel_measure.runtime import Runtime
from otel_measure.store.clickhouse.tables import EVENT, EXPOSURE, INFERENCE, NPS_RESPONSE
from otel_measure.store.types.experiments import Experiment

if TYPE_CHECKING:
    from tests.clickhouse import ClickHouseServer

COPIES: Final = 50
DAYS: Final = 120
_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
START_US: Final = 1_767_225_600_000_000  # 2026-01-01
END_US: Final = START_US + DAYS * _DAY_US
BATCH: Final = 5_000
_ORIGIN: Final = Origin("shop", "production")
_TYPES: Final = ("page_view",) * 6 + ("click",) * 3 + ("feature_use",)
_TEST: Final = Experiment("checkout", "Checkout", ("a", "b"), (0.5, 0.5), 1.0)
_DATABASE: Final = "measure"
_NO_BUDGET: Final = float("inf")
_ROUNDS: Final = 8  # of each report; the CPU time of a process is told in hundredths of a second
# How a copy differs from its row; `k` is its number. The half of an id that tells the time stays.
_ID: Final = "bitOr(bitShiftLeft(bitShiftRight(id, 64), 64), toUInt128(cityHash64(id, k)))"
_COPIED: Final = {
    "id": _ID,
    "user": f"if(user = id, {_ID}, reinterpretAsUInt128(sipHash128(user, k)))",
    "user_id": "concat(user_id, '.', toString(k))",
    "session_id": "concat(session_id, '.', toString(k))",
    "session": "if(session = 0, 0, cityHash64(session, k))",
    "rank": "rank - k",
}


class Visits:
    """Visits of people some of whom come often: events seconds to minutes apart, in the order in which they began."""

    def __init__(self, events: int, seed: int = 1) -> None:
        self._dice = random.Random(seed)
        self._events = events
        self._users = max(events // 50, 100)
        self._at = START_US
        self._ids = Uuid7(lambda: self._at, self._dice.randbytes)

    def records(self) -> Iterator[Record]:
        """Yield events, a call for every tenth of them, an answer and an exposure for some visits."""
        dice, told, met = self._dice, 0, set[int]()
        visits = self._events // 6
        for visit in range(visits):
            self._at = START_US + visit * DAYS * _DAY_US // visits
            user = int(dice.random() ** 3 * self._users)  # a tenth of them are here for half of the visits
            session = f"s{visit}" if dice.random() < 0.7 else None
            for _ in range(min(dice.randrange(1, 12), self._events - told)):
                self._at = min(self._at + dice.randrange(3_000_000, 150_000_000), END_US - 1)
                yield self._event(user, session)
                told += 1
                if told % 10 == 0:
                    yield self._call(user)
            if dice.random() < 0.05:
                yield NpsResponse(**self._by(user), score=dice.randrange(11))
            if visit > visits // 2 and user not in met and dice.random() < 0.3:
                met.add(user)
                yield Exposure(**self._by(user), experiment=_TEST.key, variant=dice.choice(_TEST.variants))

    def _by(self, user: int) -> dict[str, Any]:
        return {"id": self._ids(), "ts": self._at, "origin": _ORIGIN, "user_id": f"u{user}"}

    def _event(self, user: int, session: str | None) -> UserEvent:
        dice = self._dice
        buys = dice.random() < 0.02
        return UserEvent(
            **self._by(user),
            type="purchase" if buys else dice.choice(_TYPES),
            name=f"n{dice.randrange(20)}",
            page_url=f"/p/{dice.randrange(500)}",
            session_id=session,
            value=round(dice.uniform(5, 90), 2) if buys else None,
            currency="EUR" if buys else None,
        )

    def _call(self, user: int) -> Inference:
        dice = self._dice
        return Inference(
            **self._by(user),
            model=f"m{dice.randrange(25)}",
            version="1",
            latency_ms=dice.lognormvariate(5, 0.6),
            input_tokens=dice.randrange(10, 2000),
            output_tokens=dice.randrange(1, 500),
            cost_usd=0.001 * dice.randrange(1, 20),
            cost_source="caller",
            provider="openai",
            operation="chat",
        )


def fill(server: ClickHouseServer, events: int) -> list[Row]:
    """Fill an empty server, and tell what it took to write what the store wrote itself."""
    process, clock = psutil.Process(server.process.pid), [START_US]
    runtime = Runtime(settings(server), clock=lambda: clock[0])
    store = runtime.store
    assert store is not None
    store.define_experiment(_TEST)
    records = list(Visits(events // COPIES).records())
    ours, servers = time.process_time(), server_seconds(process)
    for i in range(0, len(records), BATCH):
        batch = records[i : i + BATCH]
        clock[0] = batch[-1].ts
        store.accept(batch)
    ours, servers = time.process_time() - ours, server_seconds(process) - servers
    again = server_seconds(process) + time.process_time()
    store.accept(batch)
    again = server_seconds(process) + time.process_time() - again
    runtime.shutdown()
    _copy(server)
    n = len(records)
    return [
        Row("P16", f"a record written, batches of {BATCH:,}: the client", ours / n * 1e6, None, _NO_BUDGET, "µs"),
        Row("P16", "the same: the server", servers / n * 1e6, None, _NO_BUDGET, "µs"),
        Row("P16", "a record of a batch that is sent again", again / len(batch) * 1e6, None, _NO_BUDGET, "µs"),
    ]


def settings(server: ClickHouseServer) -> Settings:
    """Return the settings of a process of the store."""
    return Settings(store=server.url(_DATABASE), environment="production", service_name="shop", retention_days=400)


def server_seconds(process: psutil.Process) -> float:
    """Return the CPU time that the server has taken, all cores together."""
    return sum(process.cpu_times()[:2])


def _copy(server: ClickHouseServer) -> None:
    """Let the server copy what was written, a day at a time, so that a day is one part as after its last merge."""
    at_once = {"max_partitions_per_insert_block": 0, "min_insert_block_size_rows": 10**8, "max_insert_threads": 1}
    at_once |= {"min_insert_block_size_bytes": 2**32, "max_block_size": 10**6, "max_insert_block_size": 10**8}
    client = server.client(**at_once)
    for table in (EVENT, INFERENCE, NPS_RESPONSE, EXPOSURE):
        columns = ", ".join(table.all_columns)
        client.command(
            f"CREATE TABLE {_DATABASE}.base ENGINE = MergeTree ORDER BY day"
            f" AS SELECT {columns} FROM {_DATABASE}.{table.name}"
        )
        client.command(f"TRUNCATE TABLE {_DATABASE}.{table.name}")
        chosen = ", ".join(
            f"if(k = 0, {name}, {_COPIED[name]})" if name in _COPIED else name for name in table.all_columns
        )
        for day in range(DAYS) if table.partition == "day" else range(0, DAYS, 30):
            days = f"toUInt16(day) - {START_US // _DAY_US} " + (
                f"= {day}" if table.partition == "day" else f"BETWEEN {day} AND {day + 29}"
            )
            client.command(
                f"INSERT INTO {_DATABASE}.{table.name} ({columns}) SELECT {chosen}"
                f" FROM {_DATABASE}.base CROSS JOIN (SELECT number AS k FROM numbers({COPIES})) AS copies WHERE {days}"
            )
        client.command(f"DROP TABLE {_DATABASE}.base")


def references() -> dict[str, list[str]]:
    """Return the statements of each report, by its name, in `past_one_machine.sql`."""
    of_report: dict[str, list[str]] = {}
    for part in Path(__file__).with_suffix(".sql").read_text("utf-8").split("\n\n")[1:]:
        name, _, statements = part.partition("\n")
        of_report[name.removeprefix("-- ")] = statements.rstrip(";\n").split(";\n")
    return of_report


def asked(runtime: Runtime) -> dict[str, Callable[[], object]]:
    """Return the reports, by their names."""
    users, ai = runtime.users, runtime.ai
    return {
        "engagement": users.get_engagement_metrics,
        "retention": users.get_retention_metrics,
        "conversion": lambda: users.get_conversion_metrics("purchase"),
        "nps": users.get_nps_metrics,
        "segments": users.segment_users,
        "user series": users.get_user_series,
        "models, 30 days": lambda: ai.get_models_summary(window="30d"),
        "model series, 24 hours": ai.get_model_series,
        "spending, 30 days": lambda: ai.get_spending(window="30d", limit=MAX_PAGE),
        "experiment": lambda: runtime.experiments.get_ab_test_results(_TEST.key),
    }


def compared(server: ClickHouseServer) -> Iterator[Row]:
    """Yield each report beside its reference: means of some rounds, after one that does not count."""
    process, client = psutil.Process(server.process.pid), server.client(do_not_merge_across_partitions_select_final=1)
    runtime = Runtime(settings(server), clock=lambda: END_US - _HOUR_US)
    store, before, days = runtime.store, server_seconds(process), 0
    assert store is not None
    while store.bring_up_to_date("benchmark", END_US):
        days += 1
    if days:
        took = server_seconds(process) - before
        yield Row("P16", f"a day of {DAYS} settled: the server", took / days * 1000, None, _NO_BUDGET, "ms")
    today, written_by_hand = END_US // _DAY_US - 1, references()
    for name, ask in asked(runtime).items():
        ours, by_clock, reference = [], [], []
        for _ in range(1 + _ROUNDS):
            began, before = time.perf_counter(), server_seconds(process) + time.process_time()
            ask()
            ours.append(server_seconds(process) + time.process_time() - before)
            by_clock.append(time.perf_counter() - began)
            before = server_seconds(process)
            for sql in written_by_hand[name]:
                client.query(sql.replace("{today}", str(today)))
            reference.append(server_seconds(process) - before)
        took_ms, clock_s, reference_ms = fmean(ours[1:]) * 1000, fmean(by_clock[1:]), fmean(reference[1:]) * 1000
        yield Row("P16", f"{name}, {clock_s:.2f} s by the clock", took_ms, reference_ms, 1.5, "ms")
    runtime.shutdown()


def rows(events: int) -> Iterator[Row]:
    """Fill a server, settle the days that are over, and ask."""
    from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra

    with (
        tempfile.TemporaryDirectory() as folder,
        without_what_is_not_of_the_extra(),
        ClickHouseServer(Path(folder)).run() as server,
    ):
        yield from fill(server, events)
        yield from compared(server)
