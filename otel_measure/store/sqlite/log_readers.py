"""Who reads a write-ahead log: a process that reads on keeps it from beginning anew, whatever it is too large for."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

# As SQLite's format of the shared memory has them: the byte that is locked for each mark of readers.
_MARKS: Final = range(123, 128)


class LogReader(NamedTuple):
    """A process that reads, and what it was started as, "" where that is not to be seen."""

    pid: int
    command: str


def log_readers(shared_memory: Path, proc: Path = Path("/proc")) -> list[LogReader]:
    """Return the processes that read now, as far as the system tells; the file itself is not opened.

    Opening and closing it would let go of what this process has locked in it.
    """
    try:
        inode = shared_memory.stat().st_ino
        lines = (proc / "locks").read_text().splitlines()
    except OSError:
        return []
    pids = {pid for line in lines if (pid := _reading(line.split(), inode)) is not None}
    return [LogReader(pid, _command(proc, pid)) for pid in sorted(pids)]


def _reading(words: list[str], inode: int) -> int | None:
    """Return whose lock a line tells of: number, kind, strictness, READ, process, major:minor:inode, first, last."""
    if len(words) < 8 or words[1] != "POSIX" or words[3] != "READ" or not words[6].isdigit():
        return None
    locks_mark = words[5].endswith(f":{inode}") and int(words[6]) in _MARKS
    return int(words[4]) if locks_mark else None


def _command(proc: Path, pid: int) -> str:
    try:
        return (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
