"""Where the programs of emitters run: an environment of its own for each, outside the tree.

`python -m tests.recordings.environments EMITTER …` installs those.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

from tests.recordings.emitters import EMITTERS, Emitter

PROGRAMS: Final = Path(__file__).parent / "programs"
CACHE: Final = Path(os.environ.get("XDGCACHE_HOME") or Path.home() / ".cache") / "otel-measure" / "recordings"


def folder_of(emitter: Emitter) -> Path:
    """Return the folder of the recording of an emitter, where what its environment is made of is pinned as well."""
    return Path(__file__).parent / emitter.name / emitter.version


def is_installed(emitter: Emitter) -> bool:
    """Return whether the environment of an emitter is there and made of what is pinned now."""
    return (_environment(emitter) / ".done").exists()


def command(emitter: Emitter) -> list[str]:
    """Return how the program of an emitter is run; what it needs is installed first, when it is not there."""
    return _COMMANDS[Path(emitter.program).suffix](emitter, _environment(emitter))


def _environment(emitter: Emitter) -> Path:
    return CACHE / f"{emitter.name}-{crc32(repr((emitter.packages, _pinned(emitter))).encode()):08x}"


def _pinned(emitter: Emitter) -> str:
    lock = folder_of(emitter) / _LOCKS[Path(emitter.program).suffix]
    return lock.read_text(encoding="utf-8") if lock.exists() else ""


def _python(emitter: Emitter, environment: Path) -> list[str]:
    lock = folder_of(emitter) / "requirements.txt"
    if not lock.exists():
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header"),
                *("--python-version", "3.11", "--prerelease", "allow", "-", "--output-file", str(lock)),
            ],
            input="\n".join(emitter.packages),
            text=True,
            check=True,
        )
        environment = _environment(emitter)
    program = [str(environment / "bin" / "python"), str(PROGRAMS / emitter.program)]
    if not (environment / ".done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [program[0], "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--requirement", str(lock)], check=True)
        (environment / ".done").touch()
    return [str(environment / "bin" / "opentelemetry-instrument"), *program] if emitter.is_instrumented else program


def _javascript(emitter: Emitter, environment: Path) -> list[str]:
    """Modules are looked for beside the program, so it is copied to them."""
    lock = folder_of(emitter) / "package-lock.json"
    if not (environment / ".done").exists():
        pinned = {name: version for name, _, version in _split(emitter)}
        package = {"name": emitter.name, "private": True, "dependencies": pinned}
        environment.mkdir(parents=True, exist_ok=True)
        (environment / "package.json").write_text(json.dumps(package, indent=1), encoding="utf-8")
        (environment / ".npmrc").write_text("omit-lockfile-registry-resolved=true\n", encoding="utf-8")
        is_pinned = lock.exists()
        if is_pinned:
            shutil.copy(lock, environment)
        npm = ["npm", "ci" if is_pinned else "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(npm, cwd=environment, check=True)
        if not is_pinned:
            shutil.copy(environment / "package-lock.json", lock)
            environment = environment.rename(_environment(emitter))
        (environment / ".done").touch()
    shutil.copy(PROGRAMS / emitter.program, environment)
    return ["node", str(environment / emitter.program)]


def _go(emitter: Emitter, environment: Path) -> list[str]:
    """Build a module of the program alone; what it is made of is pinned by the checksums beside the recording."""
    sums = folder_of(emitter) / "go.sum"
    environment.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROGRAMS / emitter.program, environment / "main.go")
    if not (environment / ".done").exists():
        requires = "".join(f"require {name} v{version}\n" for name, _, version in _split(emitter))
        (environment / "go.mod").write_text(f"module recordings\n\ngo 1.25\n\n{requires}", encoding="utf-8")
        is_pinned = sums.exists()
        if is_pinned:
            shutil.copy(sums, environment)
        subprocess.run(["go", "mod", "tidy"], cwd=environment, check=True, capture_output=True)
        if not is_pinned:
            shutil.copy(environment / "go.sum", sums)
            environment = environment.rename(_environment(emitter))
        (environment / ".done").touch()
    subprocess.run(["go", "build", "-o", "program", "."], cwd=environment, check=True)
    return [str(environment / "program")]


def _split(emitter: Emitter) -> list[tuple[str, str, str]]:
    return [package.rpartition("==") for package in emitter.packages]


_COMMANDS: Final = {".py": _python, ".mjs": _javascript, ".go": _go}
_LOCKS: Final = {".py": "requirements.txt", ".mjs": "package-lock.json", ".go": "go.sum"}


def main(names: Sequence[str]) -> None:
    """Install what the programs of these emitters need."""
    for emitter in EMITTERS:
        if emitter.name in names:
            folder_of(emitter).mkdir(parents=True, exist_ok=True)
            command(emitter)


if __name__ == "__main__":
    main(sys.argv[1:])
