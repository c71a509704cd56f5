"""The machine an application runs on, and the services it watches."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final

from otel_measure.definitions.series import Compare, Series
from otel_measure.definitions.steps import SeriesWindow
from otel_measure.definitions.verdicts import host_status
from otel_measure.infrastructure import reports
from otel_measure.infrastructure.availability import Availability
from otel_measure.infrastructure.commands import DEFAULT_SLA_TARGET
from otel_measure.infrastructure.history import MachineHistory
from otel_measure.infrastructure.hosts import Hosts, hosts
from otel_measure.infrastructure.ledger import DEFAULT_WINDOW, Ledger, Service, Services
from otel_measure.infrastructure.mounts import mount_above
from otel_measure.infrastructure.processes import Processes
from otel_measure.infrastructure.sampler import Sampler
from otel_measure.infrastructure.summary import summary
from otel_measure.infrastructure.watch import RETRIES, Probe, Watch
from otel_measure.store.types.streams import HostReading

_WATCH_FAULT: Final = "watch"


class InfrastructureService:
    """What `get_infrastructure_service()` returns.

    Args:
        sampler: reads the machine.
        ledger: keeps the states of services.
        processes: reads single processes.
        beat_soon: has `beat` called at once; otherwise it is called every few seconds.
        fault: takes a fault of ours that must not reach the host: what, a sentence, the exception.
        streams: returns the readings of all hosts.
        history: tells how the machine was.
    """

    def __init__(
        self,
        sampler: Sampler,
        ledger: Ledger,
        processes: Processes,
        *,
        beat_soon: Callable[[], None],
        fault: Callable[[str, str, Exception], None],
        streams: Callable[[], Iterable[HostReading]],
        history: MachineHistory,
    ) -> None:
        self._history = history
        self._read_streams = streams
        self._sampler = sampler
        self._ledger = ledger
        self._processes = processes
        self._beat_soon = beat_soon
        self._fault = fault
        self._keeps_watch = False
        self._reset()

    def _reset(self) -> None:
        self._watching = threading.Lock()
        self._watches: dict[str, Watch] = {}

    # ------------------------------------------------------------ the machine

    def start_background_collection(self, interval_s: float = 10) -> None:
        """Read the machine every `interval_s` seconds from now on."""
        self._sampler.start(interval_s)

    def stop_background_collection(self) -> None:
        """Stop reading in the background; a question is still answered."""
        self._sampler.stop()

    def collect_cpu_metrics(self) -> reports.Cpu:
        """Return the use of the CPU over the last seconds; in a container of its quota."""
        return reports.cpu(self._sampler.fresh())

    def collect_memory_metrics(self) -> reports.Memory:
        """Return the use of memory and swap; in a container of its limit."""
        return reports.memory(self._sampler.fresh())

    def collect_disk_metrics(self, mount_point: str = "/") -> reports.Disk:
        """Return the space of a filesystem and the traffic of its device.

        Args:
            mount_point: a mount point, or any directory of the filesystem.

        Raises:
            ValueError: there is no such directory.
        """
        asked, snapshot = os.fspath(mount_point), self._sampler.fresh()
        is_mount = any(known.mount_point == asked for known in snapshot.now.filesystems)
        if is_mount:
            return reports.disk(snapshot, asked)
        space = self._sampler.space(asked)
        # What did not tell its space in time may hang: it is not looked at again.
        lies_on = mount_above(asked) if space.total == space.total else ""
        return reports.disk(snapshot, asked, space, lies_on=lies_on)

    def collect_network_metrics(self) -> reports.Network:
        """Return what the interfaces carry, every byte once; loopback is left out."""
        return reports.network(self._sampler.fresh())

    def collect_process_metrics(self, pid: int | None = None) -> reports.Process:
        """Return what a process uses; this one without a pid.

        Raises:
            ValueError: no such process runs.
        """
        return self._processes.read(pid)

    def list_hosts(self) -> Hosts:
        """Return every host, container and process that readings came of in the last 5 minutes, this machine's too.

        Raises:
            NoStore: there is none that keeps them.
        """
        return hosts(self._read_streams())

    def get_machine_series(
        self,
        window: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        step: str | None = None,
        compare: Compare | None = None,
    ) -> Series:
        """Return how the machine was over time: of each reading the mean, and as `…_max` the largest.

        Readings are kept by 10 seconds for a day, and by the minute for `history_days`.

        Args:
            window: such as "24h", which is the default; it ends now.
            start: in the place of a window: from when, aware.
            end: until when; now when not given.
            step: "10s", "1m", "5m", "15m", "1h", "6h", "1d" or "1w"; the shortest of at most 300 when not given.
            compare: "previous" adds the equally long time before.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NoStore: there is none that keeps readings.
        """
        return self._history.series(SeriesWindow(window, start, end), step, compare)

    def observed_seconds(self) -> float:
        """Return how much of the last 5 minutes was seen: what the 5-minute averages stand on."""
        return self._sampler.fresh().averages.seconds

    def get_metrics_summary(self, *, environment: str | None = None) -> dict[str, Any]:
        """Return the whole machine at a glance, with 5-minute averages, a status, and how many services are down.

        Args:
            environment: of the services; chosen as for every answer when not given.
        """
        machine = summary(
            self._sampler.fresh(),
            status_of=host_status,
            services_down=self._ledger.down(environment),
            platform=platform.platform(terse=True),
        )
        return dict(machine)

    # ------------------------------------------------------------ services

    def register_service(self, name: str, sla_target: float = DEFAULT_SLA_TARGET) -> Service:
        """Add a service, which is up until told otherwise; again only sets its target.

        With a spool, and while the store is away, it is added when the store is there.

        Args:
            name: under which its states are recorded.
            sla_target: percentage of the time that it has to be up, above 1 and up to 100.

        Raises:
            ValueError: an argument breaks its rule.
            NoStore: there is none to keep it.
            StoreRejected: 1,000 are registered.
        """
        registered = self._ledger.register(name, sla_target)
        self.keep_watch()
        return registered

    def record_service_down(self, name: str, *, at: datetime | None = None, reason: str | None = None) -> str:
        """Record that a service went down; while it is down already this is the same outage.

        With a spool, and while the store is away, it waits for the store and is about the time of the call; of a
        service that nobody has registered by then it is refused, and counted.

        Args:
            name: of a registered service.
            at: when, aware and not in the future; now when not given.
            reason: why, in your own words.

        Returns:
            The id of the record, which is durable by then.

        Raises:
            ValueError: an argument breaks its rule.
            NotFound: no such service is registered.
            NoStore: there is none to record in.
        """
        id = self._ledger.record(name, "down", at=at, reason=reason)
        self.keep_watch()
        return id

    def record_service_up(self, name: str, *, at: datetime | None = None) -> str:
        """Record that a service came up; while it is up already this changes nothing. See `record_service_down`."""
        id = self._ledger.record(name, "up", at=at)
        self.keep_watch()
        return id

    def record_maintenance(self, name: str, start: datetime, end: datetime, reason: str | None = None) -> str:
        """Record planned time of a service: it is neither up nor down then, and its availability is that of the rest.

        While the store is away it waits for it, as `record_service_down` does.

        Args:
            name: of a registered service.
            start: aware, in the past or to come.
            end: aware, and no part of it.
            reason: why, in your own words.

        Returns:
            The id of the record, which is durable by then.

        Raises:
            ValueError: an argument breaks its rule.
            NotFound: no such service is registered.
            NoStore: there is none to record in.
        """
        return self._ledger.record_maintenance(name, start, end, reason)

    def watch_service(self, name: str, probe: Probe, interval_s: float = 30, *, retries: int = RETRIES) -> None:
        """Ask a service again and again, in a thread of its own, and record when it goes down and comes up.

        A service that is not registered is registered with the default target. Watching it once more replaces the
        probe. From now on the service is observed while somebody watches it, and at no other time. Of processes that
        fork, the parent goes on watching.

        Args:
            name: under which the states are recorded.
            probe: an http(s) URL, up when it answers below 400; or a callable, up when it returns something true.
                An answer that takes more than 10 s is none.
            interval_s: seconds from an answer to the next question.
            retries: how often a probe that failed is asked again, 5 s later, before it is an outage, which then begins
                at the first failure.

        Raises:
            ValueError: an argument breaks its rule.
            NoStore: there is none to record in.
        """
        watch = Watch(
            probe,
            interval_s,
            lambda down_because, failing_for_s: self._heard(name, down_because, failing_for_s),
            retries=retries,
        )
        self._ledger.watch(name)
        self.keep_watch()
        with self._watching:
            before, self._watches[name] = self._watches.get(name), watch
        if before is not None:
            before.stop()
        watch.start(name)

    def unwatch_service(self, name: str) -> None:
        """Stop asking a service; it stays registered, and how it is from now on is unknown (an outage lasts)."""
        with self._watching:
            watch = self._watches.pop(name, None)
        if watch is not None:
            self._end_watch(name, watch)

    def _end_watch(self, name: str, watch: Watch) -> None:
        watch.stop()
        try:
            self._ledger.end_watch(name)
        except Exception as error:  # without heartbeats the watch is over as well, only a little earlier
            self._fault(_WATCH_FAULT, f"the end of the watch of service {name!r} could not be noted: {error!r}", error)

    def _heard(self, name: str, down_because: str | None, failing_for_s: float) -> None:
        try:
            self._ledger.observe(name, down_because, failing_for_s)
        except Exception as error:  # the thread asks again, and what it hears then is compared with the ledger
            self._fault(_WATCH_FAULT, f"what was heard of service {name!r} could not be recorded: {error!r}", error)

    def list_services(self, *, environment: str | None = None) -> Services:
        """Return every registered service of one environment and whether it is up now.

        Raises:
            NoStore: there is none to ask.
        """
        return self._ledger.services(environment)

    def knows_service(self, name: str, *, environment: str | None = None) -> bool:
        """Whether a service of this name is registered."""
        return self._ledger.knows(name, environment)

    def get_availability_metrics(
        self, name: str, window: str = DEFAULT_WINDOW, *, as_of: date | None = None, environment: str | None = None
    ) -> Availability:
        """Return how available a service was, with bounds, coverage and what is left of its error budget.

        Args:
            name: of a service; of one that is not registered everything is `nan`.
            window: how far to look back; it never begins before the registration.
            as_of: the day with whose end the window ends; now when not given.
            environment: in which it is watched; chosen as for every answer when not given.

        Raises:
            ValueError: the window is malformed, or the day lies in the future.
            NoStore: there is none to ask.
        """
        return self._ledger.availability(name, window, as_of, environment)

    def get_availability_series(
        self,
        name: str,
        window: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        step: str | None = None,
        compare: Compare | None = None,
        environment: str | None = None,
    ) -> Series:
        """Return how available a service was over time; see `get_availability_metrics` and `get_machine_series`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NoStore: there is none to ask.
        """
        return self._ledger.series(name, SeriesWindow(window, start, end), step, compare, environment)

    def list_availability(self, window: str = DEFAULT_WINDOW, *, environment: str | None = None) -> list[Availability]:
        """Return the availability of every registered service of one environment, sorted by name.

        Raises:
            ValueError: the window is malformed.
            NoStore: there is none to ask.
        """
        return self._ledger.availabilities(window, environment)

    def list_lifetimes(self) -> list[tuple[Availability, bool]]:
        """Return the availability of every service since its registration, and whether it is down now.

        Raises:
            NoStore: there is none to ask.
        """
        return list(self._ledger.lifetimes())

    # ------------------------------------------------------------ life

    def keep_watch(self) -> None:
        """Note heartbeats from now on, for this process is there to see; a script that only asks is not."""
        if not self._keeps_watch:
            self._keeps_watch = True
            self._beat_soon()

    def beat(self) -> None:
        """Note that this process is there to see, where it is, and which probes hang.

        Raises:
            StoreUnavailable: it was not noted.
        """
        if not self._keeps_watch:
            return
        with self._watching:
            watches = dict(self._watches)
        for watch in watches.values():
            watch.report_hung()
        self._ledger.beat([name for name, watch in watches.items() if watch.is_alive()])

    def stop_watching(self) -> None:
        """Stop asking any service."""
        with self._watching:
            watches, self._watches = self._watches, {}
        for name, watch in watches.items():
            self._end_watch(name, watch)

    def after_fork_in_child(self) -> None:
        """Leave the probes to the parent, whose threads ask them."""
        self._reset()
        self._processes.after_fork_in_child()
