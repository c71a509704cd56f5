"""The cgroup reader, over fake trees of each kind and over a real group where root allows one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from math import isnan, nan
from pathlib import Path

import pytest

from otel_measure.infrastructure.cgroup import Cgroup
from otel_measure.infrastructure.readings import Container, ContainerCpu

MIB = 2**20
HOST_CORES, HOST_MEMORY = 4.0, 8 * 2**30

V2_GROUP = {
    "cpu.max": "50000 100000\n",
    "cpu.stat": "usage_usec 7500000\nuser_usec 5000000\nsystem_usec 2500000\nthrottled_usec 1250000\n",
    "memory.max": f"{256 * MIB}\n",
    "memory.current": f"{100 * MIB}\n",
    "memory.stat": f"anon 1\nactive_file 2\ninactive_file {30 * MIB}\n",
    "memory.events": "low 0\nmax 4\noom 3\noom_kill 2\n",
    "memory.swap.max": f"{64 * MIB}\n",
    "memory.swap.current": f"{16 * MIB}\n",
}
V2_READING = Container(
    cpu_limit=0.5,
    memory_limit_bytes=256 * MIB,
    cpu=ContainerCpu(7.5, 5.0, 2.5),
    throttled_s=1.25,
    memory_usage_bytes=100 * MIB,
    working_set_bytes=70 * MIB,
    swap_total_bytes=64 * MIB,
    swap_used_bytes=16 * MIB,
    oom_kills=2,
)
V1_CPU = {"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n", "cpu.stat": "throttled_time 1250000000\n"}
V1_CPUACCT = {"cpuacct.usage": "7500000000\n", "cpuacct.stat": "user 500\nsystem 250\n"}
V1_MEMORY = {
    "memory.limit_in_bytes": f"{256 * MIB}\n",
    "memory.usage_in_bytes": f"{100 * MIB}\n",
    "memory.stat": f"inactive_file 1\ntotal_inactive_file {30 * MIB}\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
}
V1_READING = Container(
    cpu_limit=0.5,
    memory_limit_bytes=256 * MIB,
    cpu=ContainerCpu(7.5, 5.0, 2.5),
    throttled_s=1.25,
    memory_usage_bytes=100 * MIB,
    working_set_bytes=70 * MIB,
    oom_kills=2,
)
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
OTHER_MOUNT = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


class Tree:
    """A machine's cgroup files in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.proc = root / "cgroup", root / "proc"
        (self.proc / "self").mkdir(parents=True)
        self.root.mkdir()

    def group(self, path: str, files: dict[str, str]) -> Tree:
        (self.root / path).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (self.root / path / name).write_text(text)
        return self

    def process(self, membership: str, mountinfo: str) -> Cgroup:
        (self.proc / "self" / "cgroup").write_text(membership)
        (self.proc / "self" / "mountinfo").write_text(mountinfo)
        return Cgroup(self.root, self.proc, clock_ticks=100)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty machine."""
    return Tree(tmp_path)


def v1_mount(controllers: str, top: str = "/", point: str = "") -> str:
    """The mountinfo line of a v1 hierarchy."""
    return f"31 30 0:27 {top} /sys/fs/cgroup/{point or controllers} rw,nosuid - cgroup cgroup rw,{controllers}\n"


def same(a: Container | None, b: Container) -> bool:
    """Equal field by field, with nan equal to itself."""
    return repr(a) == repr(b)  # nan is itself here


def test_v2_container_sees_its_limits_at_the_top(tree: Tree) -> None:
    """In a cgroup namespace the group is the root of the mount, and has every figure."""
    cgroup = tree.group("", V2_GROUP).process("0::/\n", OTHER_MOUNT + V2_MOUNT)
    assert cgroup.read(HOST_CORES, HOST_MEMORY) == V2_READING
    assert cgroup.cpu() == ContainerCpu(7.5, 5.0, 2.5)


def test_v2_takes_each_smallest_limit_of_the_ancestors_and_the_usage_of_its_group(tree: Tree) -> None:
    """CPU is bounded by the grandparent and memory by the parent: each figure comes from the group that bounds it."""
    unlimited = V2_GROUP | {"cpu.max": "max 100000", "memory.max": "max", "memory.current": "1", "cpu.stat": ""}
    cpu_only = V2_GROUP | {"memory.max": "max"}
    memory_only = V2_GROUP | {"cpu.max": "300000 100000"}
    tree.group("slice", cpu_only).group("slice/pod", memory_only).group("slice/pod/app", unlimited)
    assert tree.process("0::/slice/pod/app\n", V2_MOUNT).read(HOST_CORES, HOST_MEMORY) == V2_READING


@pytest.mark.parametrize(
    ("cpus", "quota", "limit"),
    [
        ("0\n", "max 100000", 1),
        ("0-1\n", "300000 100000", 2),
        ("0,2-3\n", "150000 100000", 1.5),
        ("\n", "max 1", nan),
    ],
)
def test_v2_set_of_cpus_is_a_limit(tree: Tree, cpus: str, quota: str, limit: float) -> None:
    """The CPUs that may be used bound a process as a quota does, and the smaller of the two holds."""
    files = V2_GROUP | {"cpuset.cpus.effective": cpus, "cpu.max": quota}
    container = tree.group("", files).process("0::/\n", V2_MOUNT).read(HOST_CORES, HOST_MEMORY)
    assert container is not None
    assert repr((container.cpu_limit, container.throttled_s)) == repr((limit, 1.25))
    assert container.cpu == (ContainerCpu(7.5, 5.0, 2.5))


def test_v1_set_of_cpus_is_a_limit_with_the_usage_of_the_same_group(tree: Tree) -> None:
    """The set has a hierarchy of its own; the time used by its group is read where that is accounted."""
    tree.group("cpu,cpuacct/docker/abc", V1_CPU | V1_CPUACCT | {"cpu.cfs_quota_us": "-1\n"})
    tree.group("cpuset/docker/abc", {"cpuset.cpus": "0-3\n", "cpuset.effective_cpus": "1\n"})
    cgroup = tree.process(
        "2:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n", v1_mount("cpu,cpuacct") + v1_mount("cpuset")
    )
    container = cgroup.read(HOST_CORES, HOST_MEMORY)
    assert container is not None
    assert (container.cpu_limit, container.cpu) == (1.0, ContainerCpu(7.5, 5.0, 2.5))


def test_v2_without_a_namespace_takes_the_part_of_the_path_below_the_mount(tree: Tree) -> None:
    """A bind-mounted hierarchy shows the group at the mount point, though its path is longer."""
    mount = V2_MOUNT.replace("0:26 / ", "0:26 /docker/abc ")
    tree.group("", V2_GROUP | {"memory.max": "max"}).group("inner", V2_GROUP)
    assert tree.process("0::/docker/abc/inner\n", mount).read(HOST_CORES, HOST_MEMORY) == V2_READING
    assert tree.process("0::/elsewhere\n", mount).read(HOST_CORES, nan) is not None


def test_v2_group_outside_the_namespace_falls_back_to_the_top(tree: Tree) -> None:
    """A path that climbs out of the namespace cannot be followed; what is visible at the top holds."""
    assert tree.group("", V2_GROUP).process("0::/../other\n", V2_MOUNT).read(HOST_CORES, HOST_MEMORY) == V2_READING


@pytest.mark.parametrize(("cpu", "cpuacct"), [("cpu,cpuacct", "cpu,cpuacct"), ("cpu", "cpuacct")])
def test_v1_reads_each_controller_where_it_is_mounted(tree: Tree, cpu: str, cpuacct: str) -> None:
    """Controllers have a hierarchy each, or share one, and usage counts in ns and ticks."""
    tree.group(f"{cpu}/docker/abc", V1_CPU).group(f"{cpuacct}/docker/abc", V1_CPUACCT)
    tree.group("memory/docker/abc", V1_MEMORY)
    names = {cpu, cpuacct, "memory"}
    membership = "".join(f"{n}:{name}:/docker/abc\n" for n, name in enumerate(names, 2)) + "1:name=systemd:/\n"
    cgroup = tree.process(membership, "".join(v1_mount(name) for name in names))
    assert same(cgroup.read(HOST_CORES, HOST_MEMORY), V1_READING)
    assert cgroup.cpu() == ContainerCpu(7.5, 5.0, 2.5)


def test_v1_container_sees_its_own_group_as_the_mount(tree: Tree) -> None:
    """Without a cgroup namespace the mount shows the container's part, its path the whole way."""
    tree.group("cpu,cpuacct", V1_CPU | V1_CPUACCT).group("memory", V1_MEMORY)
    membership = "3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n"
    mounts = v1_mount("cpu,cpuacct", top="/docker/abc") + v1_mount("memory", top="/docker/abc")
    assert same(tree.process(membership, mounts).read(HOST_CORES, HOST_MEMORY), V1_READING)


def test_v1_limit_of_an_ancestor_holds(tree: Tree) -> None:
    """A group without a quota is bounded by its parent's."""
    unlimited = {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}
    tree.group("cpu,cpuacct/pod", V1_CPU | V1_CPUACCT).group("cpu,cpuacct/pod/app", unlimited)
    tree.group("memory/pod", V1_MEMORY).group("memory/pod/app", {"memory.limit_in_bytes": str(2**63 - 4096)})
    mounts = v1_mount("cpu,cpuacct") + v1_mount("memory")
    cgroup = tree.process("3:memory:/pod/app\n2:cpu,cpuacct:/pod/app\n", mounts)
    assert same(cgroup.read(HOST_CORES, HOST_MEMORY), V1_READING)


def test_hybrid_takes_controllers_from_v1_and_the_rest_from_v2(tree: Tree) -> None:
    """Where v2 is mounted beside v1, a controller is asked in the hierarchy that has it."""
    tree.group("memory/app", V1_MEMORY).group("unified/app", V2_GROUP | {"memory.max": "1"})
    mounts = v1_mount("memory") + V2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    reading = tree.process("4:memory:/app\n1:name=systemd:/app\n0::/app\n", mounts).read(HOST_CORES, HOST_MEMORY)
    assert same(reading, V1_READING)


def test_hybrid_with_an_empty_v2_is_v1(tree: Tree) -> None:
    """The hybrid layout of systemd mounts v2 without controllers, and v1 answers."""
    tree.group("cpu,cpuacct/app", V1_CPU | V1_CPUACCT).group("memory/app", V1_MEMORY).group("unified", {"cpu.stat": ""})
    mounts = v1_mount("cpu,cpuacct") + v1_mount("memory")
    mounts += V2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    cgroup = tree.process("4:memory:/app\n3:cpu,cpuacct:/app\n0::/\n", mounts)
    assert same(cgroup.read(HOST_CORES, HOST_MEMORY), V1_READING)


def test_v1_accounting_elsewhere_is_not_taken_for_the_limited_group(tree: Tree) -> None:
    """When cpuacct puts the process in another group, the members of the limited one are added up."""
    members = {"cgroup.procs": "7\n8\n9\n"}
    tree.group("cpu/app", V1_CPU | members).group("cpuacct", V1_CPUACCT | {"cpuacct.usage": "999000000000"})
    for pid, ticks in ((7, "100 50 20 10"), (8, "1 2 3 4")):
        (tree.proc / str(pid)).mkdir()
        (tree.proc / str(pid) / "stat").write_text(f"{pid} (a b) c) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 20 0 1 0")
    cgroup = tree.process("2:cpu:/app\n3:cpuacct:/\n", v1_mount("cpu") + v1_mount("cpuacct"))
    reading = cgroup.read(HOST_CORES, HOST_MEMORY)
    assert reading is not None
    assert reading.cpu == ContainerCpu(1.9, 1.24, 0.66)


@pytest.mark.parametrize(
    "limits",
    [
        {"cpu.max": "max 100000", "memory.max": "max"},
        {"cpu.max": "400000 100000", "memory.max": str(HOST_MEMORY)},
        {"cpu.max": "900000 100000", "memory.max": str(HOST_MEMORY + 1)},
        {"cpu.max": "junk", "memory.max": "junk"},
        {"cpu.max": "", "memory.max": ""},
        {"cpu.max": "1000 0"},
    ],
)
def test_what_is_not_below_the_host_is_no_limit(tree: Tree, limits: dict[str, str]) -> None:
    """No limit, one as large as the host, or an unreadable one, make no container."""
    cgroup = tree.group("", limits).process("0::/\n", V2_MOUNT)
    assert cgroup.read(HOST_CORES, HOST_MEMORY) is None
    assert cgroup.cpu() is None


def test_memory_limit_alone_leaves_the_cpu_limit_unknown(tree: Tree) -> None:
    """Each resource is a container's only where it is limited."""
    reading = tree.group("", V2_GROUP | {"cpu.max": "max 100000"}).process("0::/\n", V2_MOUNT).read(4.0, HOST_MEMORY)
    assert reading is not None
    assert isnan(reading.cpu_limit)
    assert reading.memory_limit_bytes == 256 * MIB


def test_missing_files_are_unknown_not_nothing(tree: Tree) -> None:
    """A kernel that does not tell a figure leaves it nan; unlimited swap has no total."""
    files = {"cpu.max": "50000 100000", "memory.max": str(256 * MIB), "memory.swap.max": "max", "cpu.stat": "x"}
    reading = tree.group("", files).process("0::/\n", V2_MOUNT).read(HOST_CORES, HOST_MEMORY)
    assert same(reading, Container(0.5, 256 * MIB))


def test_machine_without_cgroups_has_no_container(tree: Tree) -> None:
    """Without the files of Linux nothing is limited and nothing raises."""
    assert Cgroup(tree.root, tree.proc).read(HOST_CORES, HOST_MEMORY) is None


def test_cpu_limit_without_a_memory_hierarchy_is_read(tree: Tree) -> None:
    """A controller that is not mounted leaves its own figures unknown and no others."""
    cgroup = tree.group("cpu/a", V1_CPU).process("2:cpu:/a\n", v1_mount("cpu"))
    reading = cgroup.read(HOST_CORES, HOST_MEMORY)
    assert same(reading, Container(0.5, throttled_s=1.25))


def test_memory_limit_without_a_cpu_hierarchy_is_read(tree: Tree) -> None:
    """Without a cpu controller there is no CPU time to tell."""
    cgroup = tree.group("memory/a", V1_MEMORY).process("2:memory:/a\n", "")
    reading = cgroup.read(HOST_CORES, HOST_MEMORY)
    assert reading is not None
    assert same(reading, Container(nan, 256 * MIB, ContainerCpu(), nan, 100 * MIB, 70 * MIB, oom_kills=2))


# A real group: half a CPU and 256 MiB

PROBE = """
    import json, time
    import psutil
    from otel_measure.infrastructure import reports
    from otel_measure.infrastructure.cgroup import Cgroup
    from otel_measure.infrastructure.sampler import Sampler

    def throttled_s():
        told = dict(line.split() for line in open(STAT))
        return int(told["throttled_usec"]) / 1e6 if "throttled_usec" in told else int(told["throttled_time"]) / 1e9

    sampler = Sampler(cgroup=Cgroup())
    ballast = bytearray(64 * 2**20)
    began_s, spent_s = sampler.sample().now.cpu.monotonic_s, time.process_time()
    while time.monotonic() < began_s + 1.2:
        pass
    throttled_before = throttled_s()
    snapshot, spent_s = sampler.sample(), time.process_time() - spent_s
    cpu, memory = reports.cpu(snapshot), reports.memory(snapshot)
    print(json.dumps({
        "cpu": [cpu.scope, cpu.core_count, cpu.usage_percent],
        "own_percent": 100 * spent_s / 0.5 / (snapshot.now.cpu.monotonic_s - began_s),
        "host_cpu": [cpu.host.scope, cpu.host.core_count == psutil.cpu_count()],
        "memory": [memory.scope, memory.total_bytes, memory.used_bytes],
        "host_memory": [memory.host.scope, memory.host.total_bytes == psutil.virtual_memory().total],
        "throttled_s": [throttled_before, snapshot.now.container.throttled_s, throttled_s()],
    }))
"""


@pytest.fixture
def real_group() -> Iterator[list[Path]]:
    """Directories whose ``cgroup.procs`` puts a process under half a CPU and 256 MiB."""
    groups: list[Path] = []
    name = f"otel-measure-test-{os.getpid()}"
    try:
        try:
            _limit(Path("/sys/fs/cgroup"), name, groups)
        except OSError as error:
            pytest.skip(f"this machine does not let us create a limited cgroup: {error}")
        yield groups
    finally:
        for group in groups:
            group.rmdir()


def _limit(root: Path, name: str, groups: list[Path]) -> None:
    def create(parent: Path, files: dict[str, str]) -> None:
        group = parent / name
        group.mkdir()
        groups.append(group)
        for file, value in files.items():
            (group / file).write_text(value)

    memory = str(256 * MIB)
    if (root / "cgroup.controllers").exists():
        create(root, {"cpu.max": "50000 100000", "memory.max": memory})
        return
    create(root / "cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"})
    if (root / "cpu").resolve() != (root / "cpuacct").resolve():
        create(root / "cpuacct", {})
    create(root / "memory", {"memory.limit_in_bytes": memory})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may create cgroups")
@pytest.mark.parametrize("accounted", [True, False], ids=["own cpuacct group", "cpuacct elsewhere"])
def test_real_group_of_half_a_cpu_and_256_mib_is_reported_truly(real_group: list[Path], accounted: bool) -> None:
    """A busy process in a real limited group reads its own share of the quota; the host's figures stand beside."""
    joined = [group for group in real_group if accounted or group.parent.name != "cpuacct"]
    join = "".join(f"open({str(group / 'cgroup.procs')!r}, 'w').write('0');" for group in joined)
    stat = next(group / "cpu.stat" for group in real_group if (group / "cpu.stat").exists())
    script = f"{join}\nSTAT = {str(stat)!r}\n{textwrap.dedent(PROBE)}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    scope, cores, usage = seen["cpu"]
    assert (scope, cores) == ("container", 0.5)
    assert usage == pytest.approx(min(100, seen["own_percent"]), abs=5)
    assert seen["host_cpu"] == ["host", True]
    scope, total, used = seen["memory"]
    assert (scope, total) == ("container", 256 * MIB)
    assert 64 * MIB <= used <= 256 * MIB
    assert seen["host_memory"] == ["host", True]
    before, throttled_s, after = seen["throttled_s"]  # none at all where the machine is too busy to grant half a CPU
    assert before <= throttled_s <= after
