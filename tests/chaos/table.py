"""The table of attacks: `python -m tests.chaos.table [PART OF A NAME…]` runs them and prints what each costs."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from tests.chaos import bodies, connecting
from tests.chaos.victim import TOKENS, Observed, Victim, observed, victim

Attack: TypeAlias = Callable[[Victim, int], None]
CONNECTING: Final[dict[str, Attack]] = {
    each.__name__: each
    for each in (
        *(connecting.header_lines, connecting.one_header_line, connecting.trailers, connecting.pipelined),
        *(connecting.tiny_chunks, connecting.many_segments),
        *(connecting.idle, connecting.slow_heads, connecting.half_heads, connecting.unread_answers),
        *(connecting.garbage, connecting.upgrades, connecting.readiness),
    )
}
SENDING: Final[dict[str, Attack]] = {
    each.__name__: each for each in (bodies.plain_empty_records, bodies.unfinished, bodies.slow)
} | (bodies.GROWING | bodies.GROWING_LESS)


class Outcome(NamedTuple):
    """What an attack cost.

    Attributes:
        seen: by honest clients and the operating system.
        log_lines: that the server wrote meanwhile.
    """

    seen: Observed
    log_lines: int


def attacked(attack: Attack, scale: int, folder: Path) -> Outcome:
    """Attack a server that is started for it, and return what that cost."""
    with victim(folder, **TOKENS) as server:
        while server.status("/readyz") != 200:  # what starting takes is not what is measured
            time.sleep(0.1)
        with observed(server) as seen:
            attack(server, scale)
        return Outcome(seen, server.log.read_text().count("\n"))


def main(words: list[str]) -> None:
    """Print one row for each attack whose name has one of the words in it."""
    print(f"{'attack':<46} {'memory':>9} {'took':>8} {'slowest':>9} {'own':>7} {'answered':>9} {'not':>4} {'log':>6}")
    for name, attack in (CONNECTING | SENDING).items():
        if not words or any(word in name for word in words):
            with tempfile.TemporaryDirectory() as folder:
                seen, log_lines = attacked(attack, 1, Path(folder))
            print(
                f"{name:<46} {seen.memory_mib:5.0f} MiB {seen.took_s:6.1f} s {seen.slowest_s:7.2f} s "
                f"{seen.slowest_own_s:5.2f} s {seen.answered:9} {len(seen.faults):4} {log_lines:6}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
