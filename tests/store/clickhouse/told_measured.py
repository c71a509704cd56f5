"""What calls that others told of cost each process: `python -m tests.store.clickhouse.told_measured [CALLS]`.

CPU time, and the pages of the small state, of which each question takes a copy when it has changed.
"""

from __future__ import annotations

import sys
import time
import zlib

from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.facts import EVERYTHING
from tests.facts import DAY, HOUR, NOON
from tests.store.clickhouse.storing import DEFINITIONS
from tests.store.conformance.telling import told

_AT_ONCE = 2_000


def _new_replica() -> Replica:
    return Replica(DEFINITIONS, b"k" * 32)


def _say(what: str, replica: Replica) -> None:
    """Say how large it is, as it lies in memory and as a snapshot."""
    with replica._database.read() as connection:
        pages, size = (connection.execute(f"PRAGMA {each}").fetchone()[0] for each in ("page_count", "page_size"))
    began = time.process_time()
    contents = replica.contents()
    snapshot_s, began = time.process_time() - began, time.process_time()
    with replica.asking(EVERYTHING):
        copied_s = time.process_time() - began
    loaded, began = _new_replica(), time.process_time()
    loaded.load(contents)
    print(
        f"{what}: {pages * size / 2**20:.1f} MiB, a copy {copied_s * 1000:.0f} ms; as a snapshot"
        f" {len(contents) / 2**20:.1f} MiB ({len(zlib.compress(contents)) / 2**20:.1f} compressed),"
        f" made in {snapshot_s:.2f} s, loaded in {time.process_time() - began:.2f} s"
    )
    loaded.close()


def main(calls: int = 100_000) -> None:
    """Tell of calls of a day of 25 models, forget what told of them, and have them go to the facts."""
    replica = _new_replica()
    _say("nothing", replica)
    began = time.process_time()
    for first in range(0, calls, _AT_ONCE):
        replica.take_tellings(
            [
                told(1, trace=n + 1, began=NOON + n * DAY // calls, model=f"m{n % 25}", response=f"response {n}")
                for n in range(first, min(first + _AT_ONCE, calls))
            ]
        )
    print(f"{calls:,} spans: {(time.process_time() - began) / calls * 1e6:.0f} µs each")
    _say("with what told of them", replica)
    now = NOON + DAY + 4 * HOUR
    replica.sweep_by(now, 400, 30)
    _say("without it", replica)
    began = time.process_time()
    while (batch := replica.begin_final_calls(now, _AT_ONCE)).has_begun:
        replica.end_final_calls(batch.number)
    print(f"to go to the facts: {(time.process_time() - began) / calls * 1e6:.0f} µs each, without the server's part")
    replica.sweep_by(now, 400, 30)
    _say("when they have gone", replica)
    replica.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
