"""What the cgroup of this process may use and uses: v2, v1 and both at once (hybrid).

A limit may stand on any ancestor, so every group from the process's own up to the top of the mount is
asked and the smallest answer holds. Usage is read from the group whose limit that is: it is what the
kernel compares with the limit. CPUs are limited by a quota and by the set of them that may be used (a cpuset).

Sources: Linux ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/{cpuacct,cpusets,memory}.rst``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, isinf, nan
from pathlib import Path
from typing import Final

from otel_measure.infrastructure.readings import Container, ContainerCpu

MOUNT_POINT: Final = "/sys/fs/cgroup"
_MICROSECONDS: Final = 1_000_000
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The groups of this process in one hierarchy, its own first and the top of the mount last."""

    version: int
    groups: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo: where a hierarchy (or a part of it) can be seen."""

    controllers: frozenset[str]
    top: str
    point: Path


class Cgroup:
    """Reads the limits and the usage of the cgroup that this process is in.

    Args:
        root: Where the hierarchies are mounted; stands for ``/sys/fs/cgroup`` in mountinfo.
        proc: The ``/proc`` of the same machine.
        clock_ticks: Ticks per second in which v1 counts user and system time.
    """

    def __init__(self, root: Path = Path(MOUNT_POINT), proc: Path = Path("/proc"), *, clock_ticks: int = 0) -> None:
        """Remember where to look; nothing is read yet."""
        self._root = root
        self._proc = proc
        self._clock_ticks = clock_ticks or (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
        self._cpu_reader: Callable[[], ContainerCpu] | None = None

    def read(self, host_cores: float, host_memory_bytes: float) -> Container | None:
        """What is limited below the size of the host, with its usage; None when nothing is."""
        hierarchies = self._hierarchies()
        controller, (cpu_limit, cpu_group) = min(
            (("cpu", _smallest(hierarchies.get("cpu"), _cpu_limit)),
             ("cpuset", _smallest(hierarchies.get("cpuset"), _cpuset_size))),
            key=lambda each: each[1][0],
        )  # fmt: skip
        memory_limit, memory_group = _smallest(hierarchies.get("memory"), _memory_limit)
        cpu_limit = cpu_limit if cpu_limit < host_cores else nan
        memory_limit = memory_limit if memory_limit < host_memory_bytes else nan
        if cpu_limit != cpu_limit and memory_limit != memory_limit:
            self._cpu_reader = None
            return None
        self._cpu_reader = self._cpu_usage_reader(hierarchies, controller, cpu_group)
        throttled_s = _throttled(_smallest(hierarchies.get("cpu"), _cpu_limit)[1])
        return Container(cpu_limit, memory_limit, self._cpu_reader(), throttled_s, *_memory(memory_group))

    def cpu(self) -> ContainerCpu | None:
        """CPU time of the group found by the last `read`: three small files instead of a dozen."""
        return self._cpu_reader() if self._cpu_reader else None

    def _hierarchies(self) -> Mapping[str, Hierarchy]:
        """The hierarchy that has each of the controllers cpu, cpuacct, cpuset and memory."""
        mounts = list(_mounts(_text(self._proc / "self" / "mountinfo"), self._root))
        by_controller: dict[str, Hierarchy] = {}
        unified: Hierarchy | None = None
        for line in _text(self._proc / "self" / "cgroup").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" and not controllers:
                unified = Hierarchy(2, _groups(_mount_of("", mounts, self._root), path))
                continue
            for controller in {"cpu", "cpuacct", "cpuset", "memory"} & set(controllers.split(",")):
                by_controller[controller] = Hierarchy(1, _groups(_mount_of(controller, mounts, self._root), path))
        if unified:
            by_controller = {"cpu": unified, "cpuset": unified, "memory": unified} | by_controller
        return by_controller

    def _cpu_usage_reader(
        self, hierarchies: Mapping[str, Hierarchy], controller: str, bounding: tuple[int, Path] | None
    ) -> Callable[[], ContainerCpu]:
        if bounding is None:
            return ContainerCpu
        version, group = bounding
        if version == 2:
            return lambda: _cpu_v2(group)
        accounting = hierarchies.get("cpuacct")
        name = _name_in(hierarchies[controller], group)
        twin = next((g for g in accounting.groups if _name_in(accounting, g) == name), None) if accounting else None
        if twin is not None:
            return lambda: _cpu_v1(twin, self._clock_ticks)
        # The accounting hierarchy puts us elsewhere, so its figure is not that of the limited group.
        return lambda: _cpu_of_members(group, self._proc, self._clock_ticks)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float:
    text = _text(path).strip()
    if text == "max":
        return inf
    return int(text) if text.lstrip("-").isdigit() else nan


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(None, 1) for line in _text(path).splitlines() if " " in line.strip())


def _field(path: Path, name: str, per_unit: int = 1) -> float:
    value = _fields(path).get(name, "").strip()
    if not value.isdigit():
        return nan
    return int(value) / per_unit if per_unit != 1 else int(value)


def _mounts(mountinfo: str, root: Path) -> Iterator[Mount]:
    """The cgroup mounts, with ``/sys/fs/cgroup`` seen at `root`; the unified one has no controllers."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, *rest = after.split() or [""]
        if kind not in ("cgroup", "cgroup2"):
            continue
        top, point = before.split()[3:5]
        under = point.removeprefix(MOUNT_POINT).lstrip("/") if point.startswith(MOUNT_POINT) else None
        controllers = frozenset(rest[-1].split(",")) if kind == "cgroup" else frozenset({""})
        yield Mount(controllers, top, Path(point) if under is None else root / under)


def _mount_of(controller: str, mounts: list[Mount], root: Path) -> Mount:
    default = Mount(frozenset({controller}), "/", root / controller)
    return next((mount for mount in mounts if controller in mount.controllers), default)


def _groups(mount: Mount, path: str) -> tuple[Path, ...]:
    """The directories from the group at `path` up to the top of the mount, as far as they can be seen from here."""
    if mount.top != "/":
        inside = path == mount.top or path.startswith(f"{mount.top}/")
        path = path.removeprefix(mount.top) if inside else ""
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # the group lies outside our cgroup namespace
        parts = []
    chain = [mount.point.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return tuple(group for group in chain if group.is_dir())


def _name_in(hierarchy: Hierarchy, group: Path) -> str:
    return str(group.relative_to(hierarchy.groups[-1]))


def _smallest(
    hierarchy: Hierarchy | None, limit_of: Callable[[int, Path], float]
) -> tuple[float, tuple[int, Path] | None]:
    """The smallest limit over the groups and the innermost group that has it (the own one where none is limited)."""
    if hierarchy is None or not hierarchy.groups:
        return inf, None
    limits = [(limit_of(hierarchy.version, group), group) for group in hierarchy.groups]
    limit, group = min(limits, key=lambda pair: pair[0])
    return limit, (hierarchy.version, group)


def _cpu_limit(version: int, group: Path) -> float:
    if version == 2:
        quota, _, period = _text(group / "cpu.max").strip().partition(" ")
    else:
        quota, period = (_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else inf


def _cpuset_size(version: int, group: Path) -> float:
    """How many CPUs the tasks of a group may run on: ``0-3,8`` are five."""
    names = ("cpuset.cpus.effective",) if version == 2 else ("cpuset.effective_cpus", "cpuset.cpus")
    spans = next((text for name in names if (text := _text(group / name).strip())), "")
    ends = [span.partition("-") for span in spans.split(",")]
    if not all(first.isdigit() and (not dash or last.isdigit()) for first, dash, last in ends):
        return inf
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def _memory_limit(version: int, group: Path) -> float:
    limit = _number(group / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
    return limit if limit >= 0 else inf


def _cpu_v2(group: Path) -> ContainerCpu:
    stat = _fields(group / "cpu.stat")
    usage, user, system = (stat.get(f"{name}_usec", "") for name in ("usage", "user", "system"))
    return ContainerCpu(*(int(v) / _MICROSECONDS if v.strip().isdigit() else nan for v in (usage, user, system)))


def _cpu_v1(group: Path, clock_ticks: int) -> ContainerCpu:
    stat = group / "cpuacct.stat"
    user, system = (_field(stat, name) / clock_ticks for name in ("user", "system"))
    return ContainerCpu(_number(group / "cpuacct.usage") / _NANOSECONDS, user, system)


def _cpu_of_members(group: Path, proc: Path, clock_ticks: int) -> ContainerCpu:
    """Sum over the living processes of the group, children that they waited for included."""
    user = system = 0
    read = False
    for pid in _text(group / "cgroup.procs").split():
        stat = _text(proc / pid / "stat").rpartition(")")[2].split()
        if len(stat) > 14:
            read = True
            user += int(stat[11]) + int(stat[13])
            system += int(stat[12]) + int(stat[14])
    ticks = (user + system, user, system)
    return ContainerCpu(*(count / clock_ticks for count in ticks)) if read else ContainerCpu()


def _throttled(bounding: tuple[int, Path] | None) -> float:
    if bounding is None:
        return nan
    version, group = bounding
    name, per_s = ("throttled_usec", _MICROSECONDS) if version == 2 else ("throttled_time", _NANOSECONDS)
    return _field(group / "cpu.stat", name, per_s)


def _memory(bounding: tuple[int, Path] | None) -> tuple[float, float, float, float, float]:
    """Usage, working set, swap limit, swap usage (bytes) and the number of OOM kills."""
    if bounding is None:
        return nan, nan, nan, nan, nan
    version, group = bounding
    names = ("memory.current", "inactive_file", "memory.events")
    if version == 1:
        names = ("memory.usage_in_bytes", "total_inactive_file", "memory.oom_control")
    usage = _number(group / names[0])
    inactive = _field(group / "memory.stat", names[1])
    swap_limit = _number(group / "memory.swap.max") if version == 2 else nan
    swap_usage = _number(group / "memory.swap.current") if version == 2 else nan
    return (
        usage,
        max(0, usage - inactive) if usage == usage and inactive == inactive else nan,
        nan if isinf(swap_limit) else swap_limit,
        swap_usage,
        _field(group / names[2], "oom_kill"),
    )
