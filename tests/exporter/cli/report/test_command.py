"""`otel-measure report`."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from exporter.cli.report.command import FORMATS
from exporter.cli.views.plain import plain
from otel_measure.store.sqlite import SqliteStore
from tests.exporter.cli.command_line import ROOT, run
from tests.exporter.cli.seeded import HOSTILE, seed

OURS = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "footer", "h1", "h2", "h3", "p", "div", "span",
    "small", "b", "i", "table", "thead", "tbody", "tr", "th", "td", "svg", "line", "text", "path", "circle",
}  # fmt: skip
SUBJECTS = ("models", "users", "experiments", "machine")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store in which everything has a hostile name."""
    path = tmp_path_factory.mktemp("hostile") / "measure.db"
    seed(path, HOSTILE)
    return str(path)


class Tags(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name in ("href", "src", "srcset", "data", "action")]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_hostile_names_are_harmless(hostile: str, subject: str, form: str) -> None:
    """No name moves the cursor, adds a cell or a heading, or becomes markup, whatever it holds."""
    result = run("report", subject, "--store", hostile, "--format", form)
    assert (result.exit_code, result.stderr) == (0, "")
    assert plain(result.output.replace("\n", "")) == result.output.replace("\n", "")
    if form == "json" and subject in ("models", "experiments"):
        name = {"models": "model_name", "experiments": "test_name"}[subject]
        assert json.loads(result.output)["data"][subject][0][name] == HOSTILE
    if form == "html":
        page = Tags(result.output)
        assert page.tags <= OURS
        assert page.addresses == []
        assert not [name for name in page.attributes if name.startswith("on")]
        assert "url(" not in result.output
        assert "@import" not in result.output
    if form == "markdown":
        tables = re.findall(r"(?:^\|.*\n)+", result.output, re.MULTILINE)
        for table in tables:
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
        headings = re.findall(r"^#+ .*", result.output, re.MULTILINE)
        assert [heading for heading in headings if re.search(r"^# h", heading)] == []
        assert not re.search(r"<img|\]\(|\*\*b|`c`", re.sub(r"\\.", "", result.output))


def test_what_is_reported(tmp_path: Path) -> None:
    """Every report has the numbers of the store, and a file gets what a pipe would get."""
    path = str(tmp_path / "measure.db")
    seed(tmp_path / "measure.db")
    models = run("report", "models", "--store", path)
    assert re.search(r"\n  churn  churn +30 +33\.3 % +9\d\d ms +9\d\d ms +\$0\.30 +\$0\.01 +– +\d+\n", models.output)
    assert re.search(r"\n  Requests +30 +of 1 model\n", models.output)
    assert re.search(r"\n  Active today +10 +so far\n", run("report", "users", "--store", path).output)
    told = run("report", "experiments", "--store", path).output
    assert re.search(r"\n  churn +not enough data +\S+ [+−]?\S+ points|–", told)
    assert re.search(r"\n  churn +down for \d+ s ", run("report", "machine", "--store", path).output)
    for form in FORMATS:
        file = tmp_path / f"models.{form}"
        args = ("report", "models", "--store", path, "--format", form)
        result = run(*args, "--output", str(file))
        assert (result.exit_code, result.output) == (0, "")
        times = r"\d\d:\d\d|\d{4}-\d\d-\d\dT[^\"]*"
        assert re.sub(times, "", file.read_text()) == re.sub(times, "", run(*args).output)


@pytest.mark.parametrize("subject", ["models", "users", "experiments"])
def test_an_empty_store_says_what_writes_into_it(tmp_path: Path, subject: str) -> None:
    """The line is one of a shell, and what it records is in the next report."""
    path = tmp_path / "it's mine.db"
    with closing(SqliteStore(str(path))):
        pass
    told = run("report", subject, "--store", str(path)).output
    line = next(line.strip() for line in told.splitlines() if "OTEL_MEASURE_STORE=" in line)
    assert "<pre><code>OTEL_MEASURE_STORE=" in run("report", subject, "--store", str(path), "--format", "html").output
    assert f"```sh\n{line}\n```" in run("report", subject, "--store", str(path), "--format", "markdown").output
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}:{':'.join(filter(None, sys.path))}"}
    subprocess.run(["sh", "-c", line], check=True, env=env, cwd=tmp_path, timeout=120)
    assert "OTEL_MEASURE_STORE=" not in run("report", subject, "--store", str(path)).output


def foreign(path: Path) -> None:
    """Make a database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
        connection.commit()


def newer(path: Path) -> None:
    """Make a store of a version that is not there yet."""
    with closing(SqliteStore(str(path))):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99999")


def held(path: Path) -> None:
    """Make a text."""
    path.write_text("no database")


@pytest.mark.parametrize(
    ("make", "code", "complaint"),
    [
        (lambda path: None, exit_codes.USAGE, r"there is no store at .*; name one with --store or OTEL_MEASURE_STORE"),
        (foreign, exit_codes.STORE, r"store unavailable \(foreign\): .* is an SQLite database of another program"),
        (newer, exit_codes.STORE, r"store unavailable \(newer\): .* has schema 99999, .*; upgrade otel-measure"),
        (held, exit_codes.STORE, r"store unavailable \(foreign\): .* is a text file; .*"),
        (Path.mkdir, exit_codes.STORE, r"store unavailable \(foreign\): .* is a directory; .*"),
    ],
)
@pytest.mark.parametrize("command", [("report", "models"), ("status",)])
def test_a_store_that_cannot_be_read(
    tmp_path: Path, make: object, code: int, complaint: str, command: tuple[str, ...]
) -> None:
    """One line says what is wrong with which file, and the way out."""
    path = tmp_path / "measure.db"
    assert callable(make)
    make(path)
    result = run(*command, "--store", str(path))
    assert (result.exit_code, result.stdout) == (code, "")
    assert re.fullmatch(rf"otel-measure: {complaint}.*\n", result.stderr)


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("models", "--window", "soon"), 'window must be a number and a unit (m, h, d, w) such as "24h"'),
        (("users", "--start", "2026-01-31T12:00Z"), "--start must be a day such as 2026-01-31"),
        (("machine", "--end", "2026-01-31"), "--end needs a --start"),
        (("models", "--start", "2999-01-01"), "start must lie before end, and before now"),
        (("models", "--output", "/nowhere/a.html"), "/nowhere/a.html cannot be opened: No such file"),
    ],
)
def test_wrong_arguments(tmp_path: Path, args: tuple[str, ...], complaint: str) -> None:
    """Each is named with the rule that it breaks."""
    path = tmp_path / "measure.db"
    with closing(SqliteStore(str(path))):
        pass
    result = run("report", *args, "--store", str(path))
    assert (result.exit_code, result.stdout) == (exit_codes.USAGE, "")
    assert result.stderr.startswith(f"otel-measure: {complaint}")


def test_no_store_is_wanted() -> None:
    """Settings without a store are said to be so."""
    result = run("report", "models", env={"OTEL_MEASURE_STORE": "none"})
    assert (result.exit_code, result.stderr) == (
        exit_codes.USAGE,
        "otel-measure: the settings want no store; name one with --store or OTEL_MEASURE_STORE\n",
    )
