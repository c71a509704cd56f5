"""The machine as a real Collector reads it (`hostmetrics`), against what the machine's own programs say of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.collector import ROOT, collector, collector_of_hosts, free_ports, requires_collector
from tests.components import free_port
from tests.e2e.talking import Exporter, eventually, exporter

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
NAME = "another-machine"  # than that of the exporter, whose own readings are not added to
CONFIG = ROOT / "deploy" / "collector-host.yaml"
WITHIN = 0.01
DETECTED = """\
  resourcedetection:
    detectors: [env, system]
"""
NAMED = f"""\
  resource:
    attributes: [{{key: host.name, value: {NAME}, action: upsert}}]
"""


def test_the_machine_is_as_free_and_df_have_it(tmp_path: Path) -> None:
    """Used memory and the fullest filesystem are within 1 %, under the host's name; processes have names and CPU."""
    config = CONFIG.read_text("utf-8")
    assert DETECTED in config
    named = tmp_path / CONFIG.name
    named.write_text(config.replace(DETECTED, NAMED).replace("resourcedetection, batch", "resource, batch"), "utf-8")
    reads_the_machine(tmp_path, named, requires_collector())


def test_the_file_as_it_is_reads_the_machine(tmp_path: Path) -> None:
    """The same holds where the processor `resourcedetection` names the host."""
    reads_the_machine(tmp_path, CONFIG, collector_of_hosts())


def reads_the_machine(folder: Path, config: Path, binary: str) -> None:
    """Run a Collector beside an exporter, and compare what it says of this machine with what is true."""
    ports, env = free_ports(), {"OTEL_RESOURCE_ATTRIBUTES": f"host.name={NAME}", "HOST_INTERVAL": "1s"}
    with (
        exporter(free_port(), folder / "central.db", folder / "exporter.log") as central,
        collector(ports, central.url, folder / "collector.log", config, binary=binary, env=env),
    ):
        assert eventually(lambda: cpu_of_processes(central), lambda cpu: "otelcol" in cpu, 120)["otelcol"] >= 0
        off = eventually(lambda: how_far_off(central), lambda off: max(off.values()) <= WITHIN, 60)
        assert max(off.values()) <= WITHIN, off


def cpu_of_processes(central: Exporter) -> dict[str, float]:
    """Return the CPU of processes of which it is known, by their name."""
    processes = central.get("/infrastructure/hosts")["processes"]
    return {each["name"]: each["cpu_used_percent"] for each in processes if each["cpu_used_percent"] is not None}


def how_far_off(central: Exporter) -> dict[str, float]:
    """Return by which part of it each reading differs from what was true before it or after it, or in between."""
    before, read_before = truth(central), host(central)
    read = eventually(lambda: host(central), lambda now: now["timestamp"] > read_before["timestamp"])
    read = eventually(lambda: host(central), lambda now: now["timestamp"] > read["timestamp"])
    after = truth(central)
    return {
        name: max(min(before[name], after[name]) - read[name], read[name] - max(before[name], after[name]), 0)
        / after[name]
        for name in after
    }


def host(central: Exporter) -> Any:
    """Return what is said of the host that the Collector reads."""
    hosts = eventually(lambda: central.get("/infrastructure/hosts"), lambda answer: NAME in names(answer), 60)
    return next(each for each in hosts["hosts"] if each["host"] == NAME)


def names(answer: Any) -> list[str]:
    """Return the names of hosts."""
    return [each["host"] for each in answer["hosts"]]


def truth(central: Exporter) -> dict[str, float]:
    """Return what `free` and `df` say; of filesystems, the fullest of those that are read."""
    memory = output("free", "-b").splitlines()[1].split()
    filesystems = [line.split(None, 2) for line in output("df", "-B1", "--output=used,avail,target").splitlines()[1:]]
    read = "\n".join(central.lines("system_filesystem_usage_bytes"))
    full = [
        int(used) / (int(used) + int(free))
        for used, free, mount in filesystems
        if f'mountpoint="{mount}"' in read and int(used) + int(free)
    ]
    return {"memory_used_bytes": float(memory[2]), "disk_used_percent": 100 * max(full)}


def output(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
