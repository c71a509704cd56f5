"""The group of commands: its help, its versions, and errors as exit codes."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

from exporter.cli import exit_codes
from tests.exporter.cli.command_line import run


def test_help_shows_examples_and_exit_codes() -> None:
    """`--help` has what one types first, and every exit code a script may meet."""
    text = run("--help").output
    for line in (
        "otel-measure serve --demo                the same with a synthetic workload to look at",
        "0  done; `serve` was stopped and everything is committed, `status` was ended",
        "1  something is wrong: `doctor` says what",
        "2  a wrong argument or setting",
        "3  the port cannot be listened on",
        "4  the store cannot be used",
        "130  ended by Ctrl-C before it was done",
    ):
        assert line in text
    assert "OTEL_MEASURE_TOKEN=… otel-measure serve --host 0.0.0.0" in run("serve", "--help").output


def test_version() -> None:
    """`--version` names the versions that a bug report needs."""
    engines = r"SQLite \d\S*(, clickhouse-connect \d\S*)?"
    pattern = rf"otel-measure (\d\S*|\(run from its source, not installed\)), Python 3\.\d+\.\S+, {engines}\n"
    result = run("--version")
    assert (result.exit_code, bool(re.fullmatch(pattern, result.output))) == (0, True)


def test_version_of_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is installed `--version` says so."""

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert run("--version").output.startswith("otel-measure (run from its source, not installed), Python")


def test_a_setting_that_is_not_one() -> None:
    """A bad setting of the environment is named, with exit code 2."""
    result = run("serve", env={"OTEL_MEASURE_PROT": "1"})
    assert result.exit_code == exit_codes.USAGE
    assert result.output.startswith("otel-measure: unknown setting 'prot' (environment variable OTEL_MEASURE_PROT)")


def test_the_list_of_commands_says_whole_sentences() -> None:
    """No summary is cut off for want of room."""
    listed = run("--help").output.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(listed) >= 4
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_ctrl_c_is_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ends a command by Ctrl-C gets 130 and no more words."""

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exporter.cli.prometheus.load_settings", interrupted)
    result = run("rules")
    assert (result.exit_code, result.output) == (exit_codes.INTERRUPTED, "")


def test_what_a_message_quotes_is_harmless() -> None:
    """An argument that a message repeats cannot move the cursor."""
    result = run("status", "--store", "\x1b[2Jx")
    assert result.stderr.startswith(r"otel-measure: there is no store at \x1b[2Jx; name one with --store")


@pytest.mark.parametrize(
    ("args", "file"),
    [(("rules", "--output", "/nowhere/x.yml"), "/nowhere/x.yml"), (("dashboards", "/proc/x"), "/proc/x")],
)
def test_a_file_that_cannot_be_opened(args: tuple[str, ...], file: str) -> None:
    """One line names it, and no traceback."""
    result = run(*args)
    assert (result.exit_code, result.output) == (
        exit_codes.USAGE,
        f"otel-measure: {file} cannot be opened: No such file or directory\n",
    )


def test_a_pipe_that_nobody_reads_is_left_to_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system that names no file is none of an argument."""

    def gone(*args: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("exporter.cli.prometheus.load_settings", gone)
    assert run("rules").exit_code == 1


def test_a_port_that_is_none() -> None:
    """The message says what a port is."""
    assert "'abc' is not a valid port, a number from 0 to 65535." in run("serve", "--port", "abc").stderr
