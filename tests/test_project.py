"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import otel_measure

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CORE: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: list[str] = [line for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]

# Written in pieces, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a home folder of one machine": re.compile(r"(?<![\w.])/(?:home|Users)" + r"/\w+/|(?<![\w.])/ro" + r"ot/"),
    "a work folder of one machine": re.compile(r"(?<![\w./])/wo" + r"rk/(?:main|shared)|(?<![\w.])/t" + r"mp/v/"),
    "a package registry's host": re.compile(
        r"pypi\.o"
        + r"rg|pythonhosted\.o"
        + r"rg|registry\.np"
        + r"mjs|crates\.i"
        + r"o/|proxy\.go"
        + r"lang|deb\.deb"
        + r"ian"
    ),
    "a secret": re.compile(r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY|\bAK" + r"IA[0-9A-Z]{16}\b|\bgh[pous]_" + r"\w{36}\b"),
}


def pins(lock: str) -> dict[str, list[tuple[Version, str]]]:
    """Return the versions that a lock file pins per distribution, each with its environment marker."""
    found: dict[str, list[tuple[Version, str]]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+))? ?\\?$", line):
            name, version, marker = match.groups()
            found.setdefault(canonicalize_name(name), []).append((Version(version), marker or ""))
    return found


def tracked_files() -> list[Path]:
    """Return the files that git tracks and that are there."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_a_wheel_has_all_that_git_tracks_of_the_packages(tmp_path: Path) -> None:
    """What pip installs from a checkout has every module, schema, asset and marker of both packages."""
    tracked = {
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.relative_to(ROOT).parts[0] in {"otel_measure", "exporter"}
    }
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as contents:
        assert tracked - set(contents.namelist()) == set()


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("requirements.lock", [*CORE, *GROUPS["build"]]),
        ("requirements-dev.lock", [*CORE, *EXTRAS, *GROUPS["build"], *GROUPS["dev"]]),
    ],
)
def test_lock_satisfies_pyproject(lock: str, requirements: list[str]) -> None:
    """Every requirement of pyproject.toml is pinned in its lock file at a version it allows; `make lock` mends it."""
    pinned = pins(lock)
    wanted = [Requirement(line) for line in requirements]
    unmet = [
        str(want)
        for want in wanted
        if not (versions := pinned.get(canonicalize_name(want.name)))
        or not all(want.specifier.contains(version, prereleases=True) for version, _ in versions)
    ]
    assert unmet == []


def test_core_lock_is_part_of_dev_lock() -> None:
    """What `make serve` installs has the versions that `make test` tests."""
    dev = pins("requirements-dev.lock")
    versions = {name: {version for version, _ in found} for name, found in pins("requirements.lock").items()}
    assert {name: found for name, found in versions.items() if not found <= {v for v, _ in dev.get(name, [])}} == {}


def test_every_pin_has_a_hash() -> None:
    """A lock file line that pins a version is followed by a hash, and no line names an index."""
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert all(re.match(r"[a-z0-9]|    --hash=sha256:[0-9a-f]{64}", line) for line in lines)
        assert all(after.startswith("    --hash=") for line, after in pairwise(lines) if "==" in line)


def test_tracked_files_name_no_machine_and_no_secret() -> None:
    """No tracked text file names a folder of one machine, a registry's host or a secret."""
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"
            for what, pattern in FORBIDDEN.items()
            for match in pattern.finditer(text)
        ]
    assert found == []


def test_imports_point_one_way() -> None:
    """The import-linter contracts of pyproject.toml hold."""
    linter = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linter.returncode == 0, linter.stdout + linter.stderr


def test_only_telemetry_uses_the_opentelemetry_sdk() -> None:
    """`opentelemetry.sdk` is imported by `otel_measure.telemetry` and `otel_measure.testing`, nowhere else."""
    users = set()
    for path in [*(ROOT / "otel_measure").rglob("*.py"), *(ROOT / "exporter").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ImportFrom(module=str(module), names=names):
                    modules = [module, *(f"{module}.{alias.name}" for alias in names)]
                case ast.Import(names=names):
                    modules = [alias.name for alias in names]
                case _:
                    modules = []
            if any(module == "opentelemetry.sdk" or module.startswith("opentelemetry.sdk.") for module in modules):
                users.add(path.relative_to(ROOT).with_suffix("").parts[:2])
    assert users <= {("otel_measure", name) for name in ("telemetry", "testing")}


def test_importing_the_sdk_loads_no_server() -> None:
    """`import otel_measure` loads neither a web server, nor the exporter, nor a number cruncher."""
    unwanted = ["starlette", "uvicorn", "exporter", "click", "rich", "numpy", "pandas", "scipy", "clickhouse_connect"]
    code = f"import sys, otel_measure; print(*sorted(set(sys.modules) & set({unwanted})))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_public_names_are_sorted_and_there() -> None:
    """`otel_measure.__all__` is sorted, holds no name twice, and each of its names exists."""
    names = list(otel_measure.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(otel_measure, name)] == []
