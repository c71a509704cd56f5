"""Which block devices and network interfaces are counted, so that a sum has every byte once.

Kernel: ``Documentation/ABI/stable/sysfs-block`` (``slaves``, ``hidden``) and ``testing/sysfs-class-net`` (``device``,
``lower_*``, ``type``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# Devices without a disk of their own by name, for a kernel or a container that does not show what lies below them.
STACKED_DISKS: Final = ("dm-", "md", "loop", "ram", "zram")
_LOOPBACK_NAMES: Final = ("lo", "lo0", "Loopback Pseudo-Interface 1")
_ARPHRD_LOOPBACK: Final = "772"


def is_stacked(disk: str) -> bool:
    """Tell whether a block device is by its name none of hardware: its bytes are those of others, or of memory."""
    return disk.startswith(STACKED_DISKS)


def whole_disks(sys_block: Path) -> frozenset[str]:
    """Return the names of the block devices that lie on no other one."""
    return frozenset(
        name
        for name in os.listdir(sys_block)
        if not is_stacked(name) and not _has_entries(sys_block / name / "slaves") and not _is_hidden(sys_block / name)
    )


def counted_interfaces(interfaces: Iterable[str], sys_net: Path) -> frozenset[str]:
    """Return the interfaces whose bytes are counted: each byte that enters or leaves the machine is in one of them.

    Where there is hardware (a network card, a virtual machine's own), it is the hardware alone: what bridges, bonds,
    VLANs, tunnels and the ends of containers' pairs carry to the outside passes through it as well. Elsewhere, as in a
    container, it is every interface that lies on no other one. Loopback never leaves the machine.
    """
    candidates = frozenset(name for name in interfaces if not _is_loopback(name, sys_net / name))
    hardware = frozenset(name for name in candidates if (sys_net / name / "device").exists())
    return hardware or frozenset(name for name in candidates if not _lies_on_others(sys_net / name))


def _has_entries(folder: Path) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def _is_hidden(device: Path) -> bool:
    return _text(device / "hidden") == "1"


def _is_loopback(name: str, interface: Path) -> bool:
    return name in _LOOPBACK_NAMES or _text(interface / "type") == _ARPHRD_LOOPBACK


def _lies_on_others(interface: Path) -> bool:
    try:
        return any(entry.startswith("lower_") for entry in os.listdir(interface))
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
