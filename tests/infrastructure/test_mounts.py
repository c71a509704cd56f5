"""Filesystems: their sizes, which of them count, and mounts that do not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from otel_measure.infrastructure.mounts import MOST_HANGING, UNKNOWN, Mounts, Space
from otel_measure.infrastructure.readings import Filesystem
from tests.infrastructure.fakes import GIB, MachineClock, space
from tests.waiting import until

FULL = Space(100 * GIB, 40 * GIB, 50 * GIB)
FILES = frozenset({"/etc/hosts", "/etc/resolv.conf"})
LINKS = {"/dev/mapper/vg0-root": "/dev/dm-1"}


def mount(point: str, device: str, fstype: str = "ext4", opts: str = "rw") -> SimpleNamespace:
    """An entry of the partition list."""
    return SimpleNamespace(mountpoint=point, device=device, fstype=fstype, opts=opts)


def mounts(
    *entries: SimpleNamespace, usage: Callable[[str], tuple[int, int, int]] = space, timeout_s: float = 5.0
) -> Mounts:
    """A reader of these mounts."""
    return Mounts(
        lambda: entries,
        clock=time.monotonic,
        timeout_s=timeout_s,
        usage=usage,
        is_file=FILES.__contains__,
        real_path=lambda path: LINKS.get(path, path),
    )


class Hanging:
    """A filesystem call that hangs on ``/dead`` until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def __call__(self, path: str) -> tuple[int, int, int]:
        self.asked.append(path)
        if path.startswith("/dead"):
            self.let_go.wait(60)
        return space(path)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """A filesystem call that is let go at the end."""
    usage = Hanging()
    yield usage
    usage.let_go.set()


def test_each_device_counts_once_under_its_shortest_path() -> None:
    """Bind mounts of a device are one filesystem, images are none, read-only is told."""
    found = mounts(
        mount("/etc/hosts", "/dev/sda1"),
        mount("/", "/dev/sda1"),
        mount("/var/lib/x", "/dev/sda1"),
        mount("/data", "/dev/sdb1", "xfs", "ro,noatime"),
        mount("/snap/core", "/dev/loop0", "squashfs", "ro"),
    ).read()
    assert found == (
        Filesystem("/", "/dev/sda1", "ext4", False, *FULL, "sda1"),
        Filesystem("/data", "/dev/sdb1", "xfs", True, *FULL, "sdb1"),
    )


def test_disk_of_a_container_is_called_by_its_root() -> None:
    """Single files that the engine mounts from the host's disk are no names of it, a folder of that disk is."""
    mounted = mounts(
        mount("/etc/resolv.conf", "/dev/vda1"), mount("/etc/hosts", "/dev/vda1"), mount("/var/lib/volume", "/dev/vda1")
    ).read()
    assert mounted == (
        Filesystem("/var/lib/volume", "/dev/vda1", "ext4", False, *FULL, "vda1"),
        Filesystem("/", "", "", False, *FULL),
    )


def test_a_mapped_device_has_the_name_under_which_the_kernel_counts_it() -> None:
    """The device of a logical volume is a link to the name that its counters have."""
    (root,) = mounts(mount("/", "/dev/mapper/vg0-root")).read()
    assert (root.device, root.kernel_name) == ("/dev/mapper/vg0-root", "dm-1")


def test_root_is_read_though_it_is_no_device() -> None:
    """In a container the root is an overlay that no partition list has."""
    assert mounts().read() == (Filesystem("/", "", "", False, *FULL),)


def test_used_percent_is_what_df_shows() -> None:
    """Blocks reserved for root count neither as used nor as free."""
    (root,) = mounts(mount("/", "/dev/sda1")).read()
    assert root.used_percent == pytest.approx(100 * 40 / 90)


def test_dead_mount_is_unknown_after_the_timeout_and_is_not_asked_again(hanging: Hanging) -> None:
    """A mount that hangs costs one time-out and one thread; the others are read; it comes back by itself."""
    reader = mounts(mount("/", "a"), mount("/dead", "b"), usage=hanging, timeout_s=0.1)
    began_s = time.monotonic()
    first = reader.read()
    waited_s = time.monotonic() - began_s
    second = reader.read()
    assert 0.1 <= waited_s < 30  # it hangs for 60
    assert repr(first) == repr(second)
    assert [(f.mount_point, f.total == f.total) for f in first] == [("/", True), ("/dead", False)]
    assert hanging.asked.count("/dead") == 1
    hanging.let_go.set()
    until(lambda: repr(reader.read()) != repr(first))
    assert [f.total for f in reader.read()] == [100 * GIB, 100 * GIB]


def test_answer_stays_valid_for_a_minute_when_the_next_one_is_late(hanging: Hanging) -> None:
    """A slow disk keeps its last answer for a while, and is unknown after that."""
    clock = MachineClock()
    hanging.let_go.set()
    reader = Mounts(lambda: [mount("/dead", "b")], clock=clock, timeout_s=0.5, usage=hanging)
    assert reader.read_one("/dead") == FULL
    hanging.let_go.clear()
    reader._timeout_s = 0.02
    clock.pass_s(59)
    assert reader.read_one("/dead") == FULL
    clock.pass_s(2)
    assert reader.read_one("/dead") is UNKNOWN


def test_directory_that_is_not_there_raises_until_it_is() -> None:
    """Asking for a path that does not exist is an error, not an unknown size."""
    there: list[str] = []

    def usage(path: str) -> tuple[int, int, int]:
        if path not in there:
            raise FileNotFoundError(2, "No such file or directory", path)
        return space(path)

    reader = mounts(usage=usage)
    with pytest.raises(FileNotFoundError):
        reader.read_one("/nowhere")
    there.append("/nowhere")
    assert reader.read_one("/nowhere") == FULL


def test_names_from_outside_cost_neither_memory_nor_threads(hanging: Hanging) -> None:
    """Paths asked once are not remembered, and a dead mount under many names hangs a bounded number of threads."""
    reader = mounts(mount("/", "a"), usage=hanging, timeout_s=0.5)
    reader.read()
    for number in range(100):
        reader.read_one(f"/live/{number}")
    assert set(reader._probes) == {"/", "/live/99"}
    reader._timeout_s = 0.001
    dead = [f"/dead{'/.' * number}" for number in range(MOST_HANGING + 10)]
    assert [reader.read_one(path) for path in dead] == [UNKNOWN] * len(dead)
    assert sum(path.startswith("/dead") for path in hanging.asked) == MOST_HANGING


def test_forgotten_probes_are_asked_anew(hanging: Hanging) -> None:
    """A forked child does not wait for its parent's threads."""
    reader = mounts(usage=hanging, timeout_s=0.02)
    reader.read_one("/dead")
    reader.forget()
    reader.read_one("/dead")
    assert hanging.asked == ["/dead", "/dead"]
