"""What runs beside our code: under which licences it stands, and that known holes of it are asked for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.test_docs import cells, text
from tests.test_project import pins

ROOT = Path(__file__).resolve().parents[1]
# What may be combined with ours, Apache-2.0, in a product of somebody else, by SPDX.
ALLOWED = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0", "Unlicense", "0BSD"}
)
# Those that say it in older words.
SPELLED = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def licence(name: str) -> str:
    """Return the licence of an installed distribution as SPDX spells it, as far as it says so."""
    about = metadata.distribution(name).metadata
    classified = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    fields = [line for key in ("License-Expression", "License") for line in about.get_all(key) or []]
    said = [field for field in fields if field and "\n" not in field]
    first = said[0] if said else " OR ".join(SPELLED.get(c, c) for c in classified)
    return SPELLED.get(first, first) or "unknown"


def installed_runtime() -> Iterator[tuple[str, str]]:
    """Yield name and licence of each distribution that the lock file of `make serve` pins for this platform."""
    for name in sorted(pins("requirements.lock")):
        try:
            yield name, licence(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue


def is_allowed(expression: str) -> bool:
    """Tell whether one may choose allowed licences alone: of `OR` one has to be, of `AND` each."""
    choices = re.split(r"\s+OR\s+", expression.replace("(", "").replace(")", ""))
    return any(all(part in ALLOWED for part in re.split(r"\s+AND\s+", choice)) for choice in choices)


def test_licences_that_are_no_choice() -> None:
    """One that is unknown, or not on the list, is refused."""
    one_of_ours = ("MIT", "MIT OR GPL-3.0-only", "Apache-2.0 AND BSD-2-Clause")
    others = ("GPL-3.0-only", "MIT AND GPL-3.0-only", "unknown")
    assert [is_allowed(each) for each in (*one_of_ours, *others)] == [True] * 3 + [False] * 3


def test_licences_are_allowed_and_on_the_page() -> None:
    """Each distribution that runs with ours has a licence of the list, and stands with it in docs/dependencies.md."""
    found = dict(installed_runtime())
    assert {name: said for name, said in found.items() if not is_allowed(said)} == {}
    rows = [cells(row) for row in text("docs/dependencies.md").splitlines() if row.startswith("| `")]
    listed = {name.strip("`"): said for name, said, *_ in rows}
    assert {name: listed.get(name) for name in found} == found
    assert set(listed) <= set(pins("requirements.lock"))


# ---------------------------------------------------------------- known holes


@contextmanager
def advisories(holes: dict[str, list[str]]) -> Iterator[str]:
    """Run a data base of advisories that knows these holes by distribution; yield its address."""

    class OfOsv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked: list[dict[str, Any]] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            results = [
                {"vulns": [{"id": i} for i in ids]} if (ids := holes.get(q["package"]["name"])) else {} for q in asked
            ]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"results": results}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), OfOsv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audited(url: str, lock: Path) -> tuple[int, str]:
    """Run the audit of the gate; return its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/audit", str(lock)],
        env=os.environ | {"OSV_URL": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_known_holes_fail_the_gate(tmp_path: Path) -> None:
    """A pinned version with an advisory is named with it; without one, and without a data base, the gate goes on."""
    lock = tmp_path / "x.lock"
    lock.write_text("left==1.0 \\\n    --hash=sha256:0\nright==2.0 ; python_version < '4' \\\n    --hash=sha256:0\n")
    with advisories({"right": ["GHSA-1", "PYSEC-2"]}) as url:
        assert audited(url, lock) == (1, "right 2.0: GHSA-1, PYSEC-2\n== advisories: 1 of 2 pins have known holes\n")
    with advisories({}) as url:
        assert audited(url, lock) == (0, "== advisories: 0 of 2 pins have known holes\n")
    exit_code, said = audited(url, lock)
    assert (exit_code, said.partition(":")[2].strip().startswith("SKIPPED, 2 pins are not audited")) == (0, True)
