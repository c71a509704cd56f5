"""`doctor`: the table of checks names what is wrong and the way out, and changes nothing."""

from __future__ import annotations

from pathlib import Path

from exporter.cli.doctor import otlp
from exporter.cli.doctor.checks import Check, examine
from exporter.cli.doctor.surroundings import Surroundings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.types.findings import Finding, ok, warning
from tests.exporter.cli.doctor.good_surroundings import around
from tests.folders import not_to_be_entered


def test_nothing_is_wrong_with_a_good_store(store: Path) -> None:
    """On a store in good order every check is there, in order, and well; and the store is as it was."""
    before = store.read_bytes()
    findings = examine(around(store))
    assert [finding.check for finding in findings] == [
        "store", "store directory", "store file system", "store disk", "store privacy", "store integrity",
        "store bound", "store log", "store clock", "store writable", "store schema", "store time zone",
        "store definitions", "store counting", "store environment", "otlp senders", "alerts",
        "port", "grpc port", "access", "clock", "time zone data", "python", "sqlite", "clickhouse-connect",
        "opentelemetry", "opentelemetry settings", "opentelemetry internals", "application views", "otlp endpoint",
        "prices",
    ]  # fmt: skip
    assert [(f.check, f.verdict, f.what) for f in findings if f.verdict != "ok" or f.way_out] == []
    assert store.read_bytes() == before


def test_a_directory_that_may_not_be_entered(store: Path) -> None:
    """Whether there is a store cannot be seen; that is a finding, the only one about it, and no end of all checks."""
    with not_to_be_entered(store.parent):
        findings = {f.check: f for f in examine(around(store)) if f.verdict != "ok"}
    assert findings == {
        "store": Finding(
            "wrong",
            f"{store} cannot be looked at: Permission denied",
            "let this user enter the directory and read it (chmod or chown), or set OTEL_MEASURE_STORE",
            "store",
        )
    }


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is named as such, and nothing that would open it is tried."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    findings = {finding.check: finding for finding in examine(around(path))}
    assert findings["store"] == Finding(
        "wrong",
        f"{path} is a text file",
        "set OTEL_MEASURE_STORE to another path; this file is left as it is",
        "store",
    )
    assert findings.keys().isdisjoint({"store integrity", "store log", "store writable", "store definitions"})
    assert list(tmp_path.iterdir()) == [path]


def test_a_check_that_fails_is_a_finding() -> None:
    """A fault of a check never hides what the others found."""

    def broken(surroundings: Surroundings) -> Finding:
        raise RuntimeError("boom")

    assert examine(around(), (Check("broken", broken), Check("otlp", otlp.endpoint))) == [
        Finding("warning", "could not be checked: RuntimeError: boom", check="broken"),
        Finding("ok", "none: nothing is sent", check="otlp"),
    ]


def test_what_the_store_refuses_is_wrong_with_its_way_out() -> None:
    """An error of the store is a finding in the store's own words."""

    def refused(surroundings: Surroundings) -> Finding:
        raise StoreUnavailable("locked", "a.db: database is locked", "wait")

    assert examine(around(), [Check("store writable", refused)]) == [
        Finding("wrong", "a.db: database is locked", "wait", "store writable")
    ]


def test_what_may_be_fixed_is(tmp_path: Path) -> None:
    """Only where it is asked for, and of what is not well; the finding says what was found before."""
    done: list[str] = []
    look = lambda _: warning("bad") if not done else ok("good")  # noqa: E731
    table = [Check("a", look, lambda: done.append("a")), Check("b", lambda _: ok("well"), lambda: done.append("b"))]
    table.append(Check("c", lambda _: warning("stays bad", "do it yourself")))
    assert [f.what for f in examine(around(tmp_path / "a.db"), table)] == ["bad", "well", "stays bad"]
    assert done == []
    fixed = examine(around(tmp_path / "a.db"), table, fixes=True)
    assert [f.what for f in fixed] == ["fixed: good; before: bad", "well", "stays bad"]
    assert done == ["a"]


def test_what_could_not_be_fixed(tmp_path: Path) -> None:
    """A store that another process holds is told as it was found."""

    def locked() -> None:
        raise StoreUnavailable("locked", "a.db: database is locked", "try again")

    (found,) = examine(around(tmp_path / "a.db"), [Check("a", lambda _: warning("bad"), locked)], fixes=True)
    assert (found.verdict, found.what, found.way_out) == (
        "warning", "bad", "could not be fixed: store unavailable (locked): a.db: database is locked; try again"
    )  # fmt: skip
