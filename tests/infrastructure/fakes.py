"""A machine whose every figure a test sets: a clock that stands still, a psutil made of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

from otel_measure.infrastructure.cgroup import Cgroup
from otel_measure.infrastructure.host import HostReader
from otel_measure.infrastructure.mounts import Mounts
from otel_measure.infrastructure.sampler import Sampler

GIB = 2**30


class MachineClock:
    """Monotonic and wall seconds that only a test moves."""

    def __init__(self, monotonic_s: float = 100.0, wall_s: float = 1_700_000_000.0) -> None:
        self.monotonic_s = monotonic_s
        self.wall_s = wall_s

    def __call__(self) -> float:
        return self.monotonic_s

    def wall(self) -> float:
        return self.wall_s

    def pass_s(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds


class Interface(NamedTuple):
    """psutil's counters of one interface, in its order."""

    bytes_sent: int = 0
    bytes_recv: int = 0
    packets_sent: int = 0
    packets_recv: int = 0
    errin: int = 0
    errout: int = 0
    dropin: int = 0
    dropout: int = 0


class FakePsutil(ModuleType):
    """psutil over attributes that tests set."""

    class NoSuchProcess(Exception):  # noqa: N818 - psutil's name
        """As psutil's."""

    class AccessDenied(Exception):  # noqa: N818 - psutil's name
        """As psutil's."""

    def __init__(self) -> None:
        super().__init__("psutil")
        self.times = {"user": 10.0, "nice": 1.0, "system": 5.0, "idle": 80.0, "iowait": 2.0, "irq": 0.5, "softirq": 0.5}
        self.times |= {"steal": 1.0}
        self.memory = {"total": 8 * GIB, "available": 6 * GIB, "used": 2 * GIB, "free": 5 * GIB}
        self.memory |= {"cached": GIB, "buffers": 0}
        self.swap = {"total": 4 * GIB, "used": GIB, "free": 3 * GIB}
        self.partitions = [SimpleNamespace(device="/dev/sda1", mountpoint="/", fstype="ext4", opts="rw,relatime")]
        self.disks: dict[str, SimpleNamespace] = {"sda1": disk(100), "sda": disk(1000), "loop0": disk(7)}
        self.interfaces = {"lo": Interface(10, 10, 1, 1), "eth0": Interface(1000, 2000, 10, 20, 1, 2, 3, 4)}
        self.process = SimpleNamespace(
            oneshot=nullcontext,
            cpu_times=lambda: SimpleNamespace(user=3.0, system=1.0),
            memory_info=lambda: SimpleNamespace(rss=100, vms=200),
            num_threads=lambda: 4,
            num_fds=lambda: 9,
            cpu_affinity=lambda: [0, 1],
        )
        self.sockets: Callable[[], list[SimpleNamespace]] = list

    def cpu_times(self) -> SimpleNamespace:
        return SimpleNamespace(**self.times)

    def cpu_count(self) -> int:
        return 4

    def virtual_memory(self) -> SimpleNamespace:
        return SimpleNamespace(**self.memory)

    def swap_memory(self) -> SimpleNamespace:
        return SimpleNamespace(**self.swap)

    def disk_partitions(self) -> list[SimpleNamespace]:
        return self.partitions

    def disk_io_counters(self, perdisk: bool) -> Mapping[str, SimpleNamespace]:
        assert perdisk
        return self.disks

    def net_io_counters(self, pernic: bool) -> Mapping[str, Interface]:
        assert pernic
        return self.interfaces

    def net_connections(self, kind: str) -> list[SimpleNamespace]:
        assert kind == "inet"
        return self.sockets()

    def getloadavg(self) -> tuple[float, float, float]:
        return 0.5, 1.5, 2.5

    def boot_time(self) -> float:
        return 1_699_999_000.0

    def Process(self, pid: int | None = None) -> SimpleNamespace:  # noqa: N802 - psutil's name
        return self.process


def disk(count: int) -> SimpleNamespace:
    """Counters of one device as psutil has them, all derived from one number."""
    names = {"read_bytes": count * 512, "write_bytes": count * 1024, "read_count": count, "write_count": count * 2}
    return SimpleNamespace(**names, busy_time=count * 10)


def space(_: str) -> tuple[int, int, int]:
    """100 GiB, of which 40 are used and 50 open to users."""
    return 100 * GIB, 40 * GIB, 50 * GIB


class Machine:
    """A fake host over temporary files, and a sampler that looks at it.

    Attributes:
        space: bytes of its filesystem: all, used, open to users.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = MachineClock()
        self.psutil = FakePsutil()
        self.proc, self.cgroup_root = folder / "proc", folder / "cgroup"
        (self.proc / "net").mkdir(parents=True)
        (self.proc / "self").mkdir()
        self.cgroup_root.mkdir()
        (self.proc / "vmstat").write_text("pgfault 1000\npgmajfault 10\n")
        self.sockets(tcp=["01", "01", "0A"], udp=["07"])
        self.sys_block = folder / "block"
        for name in ("sda", "loop0"):
            (self.sys_block / name).mkdir(parents=True)
        self.errors: list[str] = []
        self.space = space("/")
        self.sys_net = folder / "net"
        for name in ("lo", "eth0"):
            (self.sys_net / name).mkdir(parents=True)
        mounts = Mounts(
            self.psutil.disk_partitions,
            clock=self.clock,
            timeout_s=5,
            usage=lambda _: self.space,
            is_file=lambda path: False,
            real_path=str,
        )
        self.host = HostReader(
            self.psutil,
            clock=self.clock,
            wall=self.clock.wall,
            mounts=mounts,
            cgroup=Cgroup(self.cgroup_root, self.proc, clock_ticks=100),
            on_error=lambda part, error: self.errors.append(f"{part}: {error!r}"),
            proc=self.proc,
            sys_block=self.sys_block,
            sys_net=self.sys_net,
            uptime_s=lambda: 5000.0,
        )
        self.sampler = Sampler(self.psutil, clock=self.clock, wall=self.clock.wall, host=self.host)

    def sockets(self, **tables: list[str]) -> None:
        for name, states in tables.items():
            lines = ["  sl  local_address rem_address   st tx_queue\n"]
            lines += [f"   {n}: 0100007F:1F90 00000000:0000 {state} 0:0\n" for n, state in enumerate(states)]
            (self.proc / "net" / name).write_text("".join(lines))

    def spend(self, seconds: float, **modes: float) -> None:
        """Let time pass in which the CPUs spend these seconds in each mode."""
        self.clock.pass_s(seconds)
        for mode, spent_s in modes.items():
            self.psutil.times[mode] += spent_s

    def limit(self, *, cores: float, memory_bytes: int, used_s: float, working_set_bytes: int) -> None:
        """Put the process into a v2 cgroup."""
        (self.proc / "self" / "cgroup").write_text("0::/\n")
        (self.proc / "self" / "mountinfo").write_text("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        files = {
            "cpu.max": f"{round(cores * 100_000)} 100000",
            "cpu.stat": f"usage_usec {round(used_s * 1e6)}\nuser_usec {round(used_s * 75e4)}\n"
            f"system_usec {round(used_s * 25e4)}\nthrottled_usec 1000000\n",
            "memory.max": str(memory_bytes),
            "memory.current": str(working_set_bytes + 1000),
            "memory.stat": "inactive_file 1000\n",
            "memory.events": "oom_kill 3\n",
            "memory.swap.max": "2000",
            "memory.swap.current": "500",
        }
        for name, text in files.items():
            (self.cgroup_root / name).write_text(text)
