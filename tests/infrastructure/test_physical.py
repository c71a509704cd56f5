"""Which devices and interfaces are counted, over trees like those that Linux shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from otel_measure.infrastructure.physical import counted_interfaces, is_stacked, whole_disks


def block(folder: Path, slaves: Mapping[str, Sequence[str]], hidden: Sequence[str] = ()) -> Path:
    """A ``/sys/block`` of these devices, each with the ones that it lies on."""
    for name, below in slaves.items():
        (folder / name / "slaves").mkdir(parents=True)
        for lower in below:
            (folder / name / "slaves" / lower).mkdir()
        (folder / name / "hidden").write_text("1\n" if name in hidden else "0\n")
    return folder


def test_a_stack_of_devices_counts_where_its_bytes_reach_a_disk(tmp_path: Path) -> None:
    """LVM on LUKS on RAID on two disks: the disks alone; memory, loop files and hidden paths are no disks."""
    devices: Mapping[str, Sequence[str]] = {
        "nvme0n1": (),
        "nvme1n1": (),
        "nvme1c0n1": (),
        "md0": ("nvme0n1p2", "nvme1n1p2"),
        "dm-0": ("md0",),
        "dm-1": ("dm-0",),
        "bcache0": ("nvme0n1", "sda"),
        "sda": (),
        "zram0": (),
        "ram0": (),
        "loop0": (),
    }
    assert whole_disks(block(tmp_path, devices, hidden=["nvme1c0n1"])) == {"nvme0n1", "nvme1n1", "sda"}


def test_a_device_whose_stack_cannot_be_seen_is_known_by_its_name() -> None:
    """A container shows counters of all devices and not what lies below them."""
    names = ["sda", "md127", "dm-3", "zram0", "loop7", "ram1", "nvme0n1", "mmcblk0", "vda"]
    assert [name for name in names if not is_stacked(name)] == ["sda", "nvme0n1", "mmcblk0", "vda"]


INTERFACES: Mapping[str, tuple[Mapping[str, Sequence[str]], set[str]]] = {
    "a host with containers counts its card": (
        {"lo": (), "eth0": ("device",), "docker0": ("lower_veth1",), "veth1": ("lower_veth2",), "wg0": ()},
        {"eth0"},
    ),
    "a bond of two cards counts the cards": (
        {"lo": (), "eth0": ("device",), "eth1": ("device",), "bond0": ("lower_eth0", "lower_eth1")},
        {"eth0", "eth1"},
    ),
    "a VLAN and a bridge on a card": (
        {"lo": (), "eno1": ("device",), "eno1.20": ("lower_eno1",), "br0": ("lower_eno1",)},
        {"eno1"},
    ),
    "a container counts its end of the pair": ({"lo": (), "eth0": ()}, {"eth0"}),
    "a bridge inside a container": ({"lo": (), "eth0": (), "br0": ("lower_eth0",)}, {"eth0"}),
    "a machine without a network": ({"lo": ()}, set()),
}


@pytest.mark.parametrize("name", INTERFACES)
def test_each_byte_of_the_network_counts_in_one_interface(name: str, tmp_path: Path) -> None:
    """Loopback never counts, hardware alone where there is any, else what lies on no other interface."""
    tree, counted = INTERFACES[name]
    for interface, entries in tree.items():
        (tmp_path / interface).mkdir()
        (tmp_path / interface / "type").write_text("772\n" if interface == "lo" else "1\n")
        for entry in entries:
            (tmp_path / interface / entry).mkdir()
    assert counted_interfaces(tree, tmp_path) == counted


def test_without_the_kernels_list_every_interface_but_loopback_counts(tmp_path: Path) -> None:
    """Other operating systems name their loopback."""
    assert counted_interfaces(["lo0", "en0", "utun1"], tmp_path / "none") == {"en0", "utun1"}
