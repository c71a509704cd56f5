"""`make soak`: a server with a small bound for half an hour, and whether what it takes of the machine stays flat.

The store is nearly full when it begins, so that the bound matters from the start, however fast the machine is. Writers
send 1,500 events a second whose times are spread over 30 days, readers ask meanwhile, a backup is made once a minute.
Memory, descriptors and files are sampled; from minute 5 on each has to stay within a tenth of its median, and file and
log within 110 % of the bound, always. Nothing acknowledged may be missing that is not older than the horizon.

    python -m tests.chaos.soak [--minutes 30] [--max-mib 64] [--rate 1500] [--warm-up-minutes 5]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil

from otel_measure.records.kinds import Origin, UserEvent
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.bound import used_bytes
from otel_measure.store.types.facts import ACCEPTED
from tests.chaos.victim import ROOT, victim

MIB: Final = 2**20
BATCH: Final = "/api/v1/metrics/users/events/batch"
QUESTIONS: Final = (
    "/metrics",
    "/api/v1/metrics/users/summary",
    "/api/v1/metrics/users/retention",
    "/api/v1/metrics/dashboard",
    "/readyz",
)
SPREAD: Final = timedelta(days=30)
WITHIN: Final = 0.10
SAMPLE_S: Final = 5.0
COPY_S: Final = 60.0
_WRITERS: Final = 3
_PER_REQUEST: Final = 200
_AT_ONCE: Final = 5000
_BYTES_OF_AN_EVENT: Final = 86  # with all that is rolled up of it, in a store of so many users and days
_MOST_FAULTS: Final = 50
_USERS: Final = 2000
_NOTED: Final = 0.02
FILLED: Final = 0.85


@dataclass(frozen=True, slots=True)
class SoakSample:
    """What the server takes at one moment."""

    at_s: float
    rss_mib: float
    descriptors: int
    threads: int
    file_mib: float
    log_mib: float
    copying: bool


@dataclass(slots=True)
class Traffic:
    """What clients did, and what they were told.

    Attributes:
        answers: by status, of writes and of questions.
        outcomes: what became of events.
        slowest_s: the slowest answer, by path.
        recent: acknowledged ids with their times, microseconds, some of them.
        copying: whether a backup is being made, which keeps the log from being emptied.
    """

    answers: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: dict[str, float] = field(default_factory=dict)
    recent: list[tuple[str, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    copying: bool = False

    def note(self, events: Sequence[dict[str, Any]], answer: dict[str, Any], rng: random.Random) -> None:
        """Take what became of events, and some of those that were taken."""
        for outcome in ("accepted", "duplicate", "rejected"):
            self.outcomes[outcome] += answer[outcome]
        for event, result in zip(events, answer["results"], strict=True):
            if result["status"] == "accepted" and rng.random() < _NOTED:
                ts = datetime.fromisoformat(event["timestamp"])
                self.recent.append((result["event_id"], round(ts.timestamp() * 1e6)))


class SoakClient:
    """One connection that is kept, and opened anew where it was lost."""

    def __init__(self, port: int, traffic: Traffic) -> None:
        self._port = port
        self._traffic = traffic
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._connection.close()

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """Return the body of the answer, b"" where none came."""
        began_s = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            sent = None if body is None else json.dumps(body)
            self._connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            self._traffic.answers[f"{path}: {type(error).__name__}"] += 1
            return b""
        took_s = time.monotonic() - began_s
        self._traffic.answers[f"{path}: {answer.status}"] += 1
        self._traffic.slowest_s[path] = max(self._traffic.slowest_s.get(path, 0.0), took_s)
        if answer.status >= 500:
            fault = f"{path}: {answer.status} {content[:300].decode(errors='replace')}"
            if fault not in self._traffic.faults and len(self._traffic.faults) < _MOST_FAULTS:
                self._traffic.faults.append(fault)
        return content if answer.status < 300 else b""


def made(rng: random.Random, ts: datetime, *, has_id: bool, text: str = "") -> dict[str, Any]:
    """Return an event of a time, with an id of its own that says nothing of it, or without one; with some text."""
    user = rng.randrange(_USERS)
    event: dict[str, Any] = {
        "user_id": user,
        "event_type": rng.choice(("page_view", "page_view", "click", "purchase")),
        "event_name": f"n{rng.randrange(50)}",
        # What is rolled up of persons outlives the facts: a session a day, as people have them.
        "session_id": f"{user}-{ts:%m%d}",
        "timestamp": ts.isoformat(),
        "properties": {"text": text} if text else None,
    }
    return event | {"event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4))} if has_id else event


def fill(store: Path, max_bytes: int, traffic: Traffic, share: float = FILLED, text: str = "") -> None:
    """Give a new store events of the same kind, until as much of the bound is used as is before the oldest ones go.

    They come in the order of their times, which is quicker, and leaves behind the same as any other order.
    """
    rng, origin, at_once = random.Random(99), Origin("soak", ""), _AT_ONCE if not text else _PER_REQUEST
    began = datetime.now(UTC) - SPREAD
    step = SPREAD / (share * max_bytes / (_BYTES_OF_AN_EVENT + len(text)))
    with closing(SqliteStore(str(store))) as filled, closing(sqlite3.connect(store)) as looked_at:
        filled.keep_time(round(time.time() * 1e6))
        while used_bytes(looked_at) < share * max_bytes and began < datetime.now(UTC) - SPREAD / 100:
            events = [made(rng, began + i * step, has_id=True, text=text) for i in range(at_once)]
            receipts = filled.accept([_record(event, origin) for event in events])
            traffic.outcomes["accepted"] += receipts.count(ACCEPTED)
            began += at_once * step


def _record(event: dict[str, Any], origin: Origin) -> UserEvent:
    ts = datetime.fromisoformat(str(event["timestamp"]))
    return UserEvent(
        id=str(event["event_id"]),
        ts=round(ts.timestamp() * 1e6),
        origin=origin,
        user_id=str(event["user_id"]),
        type=str(event["event_type"]),
        name=str(event["event_name"]),
        session_id=str(event["session_id"]),
        properties=event["properties"],
    )


def write(
    port: int,
    rate: float,
    traffic: Traffic,
    ended: threading.Event,
    seed: int,
    at_once: int = _PER_REQUEST,
    text: str = "",
) -> None:
    """Send events at a rate, so many in a request, until the end."""
    rng, next_s = random.Random(seed), time.monotonic()
    with closing(SoakClient(port, traffic)) as client:
        while not ended.is_set():
            now = datetime.now(UTC)
            events = [made(rng, now - rng.random() * SPREAD, has_id=seed % 2 == 1, text=text) for _ in range(at_once)]
            if told := client.ask("POST", BATCH, {"events": events}):
                traffic.note(events, json.loads(told)["data"], rng)
            next_s = max(next_s + at_once / rate, time.monotonic() - 1)  # what was missed is not caught up with
            ended.wait(max(next_s - time.monotonic(), 0))


def read(port: int, traffic: Traffic, ended: threading.Event) -> None:
    """Ask one question after the other."""
    with closing(SoakClient(port, traffic)) as client:
        while not ended.is_set():
            for path in QUESTIONS:
                client.ask("GET", path)
                ended.wait(0.2)


def back_up(store: Path, traffic: Traffic, ended: threading.Event) -> None:
    """Make a backup once a minute, of which two are kept."""
    backups = store.with_name("backups")
    backups.mkdir()
    command = [sys.executable, "-m", "exporter.cli", "backup", str(backups), "--keep", "2", "--store", str(store)]
    while not ended.wait(COPY_S):
        traffic.copying = True
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        traffic.answers[f"backup: exit code {done.returncode}"] += 1
        if done.returncode:
            traffic.faults.append(f"backup: {done.stderr}")
        traffic.copying = False


def sampled(process: psutil.Process, store: Path, began_s: float, copying: bool) -> SoakSample:
    """Look at the server now."""
    return SoakSample(
        time.monotonic() - began_s,
        process.memory_info().rss / MIB,
        process.num_fds(),
        process.num_threads(),
        size_mib(store),
        size_mib(store.with_name(f"{store.name}-wal")),
        copying,
    )


def size_mib(path: Path) -> float:
    """Return the size of a file, 0 for none."""
    with suppress(FileNotFoundError):
        return path.stat().st_size / MIB
    return 0.0


@contextmanager
def threads(*targets: Callable[[], None]) -> Iterator[None]:
    """Run some threads; whoever leaves has ended them."""
    running = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in running:
        thread.start()
    yield
    for thread in running:
        thread.join(60)


def judged(samples: Sequence[SoakSample], traffic: Traffic, store: Path, max_bytes: int, warm_up_s: float) -> list[str]:
    """Return what is not as it has to be."""
    wrong = []
    late = [sample for sample in samples if sample.at_s >= warm_up_s]
    for name in ("rss_mib", "descriptors", "file_mib"):
        values = [float(getattr(sample, name)) for sample in late]
        middle = statistics.median(values)
        if max(values) > (1 + WITHIN) * middle or min(values) < (1 - WITHIN) * middle:
            wrong.append(f"{name} is not flat: {min(values):.1f} to {max(values):.1f}, median {middle:.1f}")
    largest = max((each for each in samples if not each.copying), key=lambda each: each.file_mib + each.log_mib)
    if (largest.file_mib + largest.log_mib) * MIB > 1.1 * max_bytes:
        wrong.append(
            f"file and log had {largest.file_mib:.1f} and {largest.log_mib:.1f} MiB of {max_bytes / MIB:.0f} at minute"
            f" {largest.at_s / 60:.1f}"
        )
    wrong += missing(store, traffic)
    # A server that has as much to write as it can says that a write would take a while: it is told to whoever asks.
    return wrong + [fault for fault in traffic.faults if not fault.startswith("/readyz")]


def horizon_of(store: Path) -> int:
    """Return the time before which facts may be gone, microseconds, 0 for none."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return int(dict(connection.execute("SELECT key, value FROM meta")).get("horizon", 0))


def missing(store: Path, traffic: Traffic) -> list[str]:
    """Return what was acknowledged, is not older than the horizon, and is not there; or not counted."""
    wrong, horizon = [], horizon_of(store)
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        kept = {str(uuid.UUID(bytes=key)) for (key,) in connection.execute("SELECT id FROM event")}
        (total,) = connection.execute(
            "SELECT sum(value) FROM total JOIN series ON id = series WHERE name = 'otel_measure.users.events'"
        ).fetchone()
    lost = [id for id, ts in traffic.recent if ts >= horizon and id not in kept]
    if lost:
        wrong.append(f"{len(lost)} of {len(traffic.recent)} acknowledged events are missing, such as {lost[0]}")
    if total != traffic.outcomes["accepted"]:
        wrong.append(f"the total says {total}, accepted were {traffic.outcomes['accepted']}")
    age_h = (time.time() - horizon / 1e6) / 3600
    print(f"kept at the end: {len(kept):,} events; the horizon lies {age_h:.1f} h back")
    return wrong


def soak(folder: Path, minutes: float, max_mib: int, rate: float, warm_up_minutes: float) -> list[str]:
    """Run it; return what is not as it has to be."""
    traffic, ended, samples = Traffic(), threading.Event(), list[SoakSample]()
    bound: dict[str, Any] = {"OTEL_MEASURE_STORE_MAX_BYTES": str(max_mib * MIB)}
    store = folder / "measure.db"
    fill(store, max_mib * MIB, traffic)
    print(f"filled with {traffic.outcomes['accepted']:,} events", flush=True)
    with victim(folder, **bound) as server:
        process, began_s = psutil.Process(server.process.pid), time.monotonic()
        writers = [
            lambda seed=seed: write(server.port, rate / _WRITERS, traffic, ended, seed) for seed in range(_WRITERS)
        ]
        with threads(
            *writers,
            lambda: read(server.port, traffic, ended),
            lambda: back_up(store, traffic, ended),
        ):
            while time.monotonic() - began_s < minutes * 60 and server.process.poll() is None:
                time.sleep(SAMPLE_S)
                samples.append(sampled(process, store, began_s, traffic.copying))
                if len(samples) % 6 == 1:
                    print(_line(samples[-1], traffic), flush=True)
            ended.set()
    _report(traffic)
    return judged(samples, traffic, store, max_mib * MIB, warm_up_minutes * 60)


def _line(sample: SoakSample, traffic: Traffic) -> str:
    return (
        f"{sample.at_s / 60:5.1f} min  rss {sample.rss_mib:6.1f} MiB  fds {sample.descriptors:3}  threads"
        f" {sample.threads:3}  file {sample.file_mib:6.1f} MiB  log {sample.log_mib:5.1f} MiB "
        f" accepted {traffic.outcomes['accepted']:,}  refused {traffic.outcomes['rejected']:,}"
    )


def _report(traffic: Traffic) -> None:
    for answer, n in sorted(traffic.answers.items()):
        print(f"{n:10,}  {answer}")
    print("slowest: " + ", ".join(f"{path} {took_s:.2f} s" for path, took_s in sorted(traffic.slowest_s.items())))
    for fault in traffic.faults:
        print(f"fault: {fault}")


def main() -> None:
    """Run it by the arguments of the command line; end with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--max-mib", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1500)
    parser.add_argument("--warm-up-minutes", type=float, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("SOAK_FOLDER")) as folder:
        wrong = soak(Path(folder), given.minutes, given.max_mib, given.rate, given.warm_up_minutes)
    for each in wrong:
        print(f"WRONG: {each}")
    print("flat, bounded, and nothing lost" if not wrong else f"{len(wrong)} things are wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
