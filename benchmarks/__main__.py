"""Run the benchmarks, each file in a process of its own, and print the table.

python -m benchmarks [--events 1000000] [recording storing receiving tracing http asking exposition ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module

from benchmarks.report import Row

ALL = (
    "recording", "storing", "receiving", "tracing", "http", "asking", "exposition", "collecting", "starting", "judging",
    "past_one_machine",
)  # fmt: skip


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the store before P3, P6 and P10")
    parser.add_argument("--json", action="store_true", help="print one JSON row a line")
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(ALL)}; all when none is named")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(ALL):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    if arguments.json:
        for name in arguments.names:
            for row in import_module(f"benchmarks.{name}").rows(arguments.events):
                print(json.dumps(asdict(row)), flush=True)
        return
    print(f"{'':5}{'what':75}{'ours':>14}{'reference':>14}{'ratio':>9}{'budget':>9}")
    missed = 0
    for name in arguments.names or ALL:
        command = [sys.executable, "-m", "benchmarks", "--json", "--events", str(arguments.events), name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                row = Row(**json.loads(line))
                missed += not row.met
                print(_line(row), flush=True)
        if process.returncode:
            sys.exit(f"{name} failed, see above")
    print(f"{missed} over budget" if missed else "all within budget")


def _line(row: Row) -> str:
    reference = "" if row.reference is None else f"{row.reference:,.1f}"
    sign = "≤" if row.better == "low" else "≥"
    mark = "" if row.met else "  OVER"
    return (
        f"{row.key:5}{row.what:75}{row.ours:>10,.1f} {row.unit:3}{reference:>14}"
        f"{row.ratio:>9.2f}{sign + format(row.budget, 'g'):>9}{mark}"
    )


if __name__ == "__main__":
    main()
